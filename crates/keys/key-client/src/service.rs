//! One key service: what is asked of it, and what is believed.

use std::panic::resume_unwind;
use std::path::Path;

use oprf::{Blinding, answer_bytes};
use tokio::task::spawn_blocking;

use crate::config::KeyServiceConfig;
use crate::connection::Connection;
use crate::error::{KeyClientError, KeyConfigMistake};
use crate::look::{self, ServiceState};
use crate::metrics::ServiceMetrics;
use crate::peer::PeerKind;
use crate::pinned_key::PinnedKey;
use crate::{refusal, rules};

/// One key service.
pub(crate) struct Service {
    /// Pinned keys, one for each open epoch.
    pub(crate) pinned: Vec<PinnedKey>,
    connection: Connection,
    metrics: ServiceMetrics,
}

impl Service {
    /// Reads the certificates. `index` is the service's place in the configuration, from 0.
    pub(crate) fn new(
        index: usize,
        config: &KeyServiceConfig,
        base: &Path,
    ) -> Result<Self, KeyConfigMistake> {
        let label = rules::label(index, config);
        let connection = Connection::new(PeerKind::KeyService, &label, &config.connection(), base)?;
        let pinned = config.public_keys.iter().map(|pinned| PinnedKey {
            epoch: pinned.epoch.get(),
            key: pinned.key.get(),
            public_key: pinned.public_key,
        });
        Ok(Self {
            pinned: pinned.collect(),
            connection,
            metrics: ServiceMetrics::of(index),
        })
    }

    /// Has a blinding evaluated under the pinned key of an epoch, and verifies the answer.
    pub(crate) async fn evaluate(
        &self,
        blinding: Blinding,
        epoch: u16,
    ) -> Result<Blinding, KeyClientError> {
        let size = blinding.size();
        let evaluated = self.ask(blinding, epoch).await;
        self.metrics.count_request(evaluated.as_ref().err(), size);
        evaluated
    }

    async fn ask(&self, mut blinding: Blinding, epoch: u16) -> Result<Blinding, KeyClientError> {
        let pinned = *self
            .pinned
            .iter()
            .find(|pinned| pinned.epoch == epoch)
            .ok_or_else(|| not_open(epoch))?;
        let most_bytes = answer_bytes(blinding.size());
        let request = blinding.request(pinned.key);
        let answer = self
            .connection
            .evaluate(request, most_bytes, pinned.key)
            .await?;
        let accepted = on_a_thread(move || {
            let accepted = blinding.accept(&answer, pinned.key, &pinned.public_key);
            accepted.map(|()| blinding)
        });
        let accepted = accepted.await.ok_or_else(|| self.connection.ending())?;
        accepted.map_err(|fault| refusal::of_answer(fault, &self.connection.peer, &pinned))
    }

    /// Asks for the service's keys and its ceiling.
    pub(crate) async fn look(&self) -> Result<ServiceState, KeyClientError> {
        let body = self.connection.keys().await?;
        let state = look::read(&body, &self.pinned);
        let state = state.ok_or_else(|| refusal::no_list(&self.connection.peer))?;
        self.metrics.ceiling_left(state.left_today());
        Ok(state)
    }

    /// Host of the service, with its port where the configuration names one.
    pub(crate) fn host(&self) -> &str {
        &self.connection.peer.host
    }

    /// Metrics of the service.
    pub(crate) fn metrics(&self) -> &ServiceMetrics {
        &self.metrics
    }

    /// Error of a runtime that is going down while work is waiting for it.
    pub(crate) fn ending(&self) -> KeyClientError {
        self.connection.ending()
    }
}

/// Error for an epoch that no key is pinned for.
pub(crate) fn not_open(epoch: u16) -> KeyClientError {
    KeyClientError::Misconfigured {
        what: format!("no key of a key service is pinned for epoch {epoch}"),
        help: "write one for every key service into its public_keys, or use an open epoch"
            .to_owned(),
    }
}

/// Runs work of many milliseconds on a thread for it, and passes on its panic. `None` where the
/// runtime is going down.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

//! One key service: what is asked of it, and what is believed.

use std::panic::resume_unwind;
use std::path::Path;

use oprf::{Blinding, answer_bytes};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::task::spawn_blocking;
use url::Url;

use crate::config::KeyServiceConfig;
use crate::error::{KeyClientError, KeyConfigMistake};
use crate::exchange::Line;
use crate::limits::MAX_KEYS_BYTES;
use crate::look::{self, ServiceState};
use crate::metrics::ServiceMetrics;
use crate::pinned_key::PinnedKey;
use crate::{build, refusal, rules, transport};

/// One key service.
pub(crate) struct Service {
    /// Name in sentences: host, with the port where one is written.
    pub(crate) name: String,
    /// Pinned keys, one for each open epoch.
    pub(crate) pinned: Vec<PinnedKey>,
    url: Url,
    line: Line,
    metrics: ServiceMetrics,
}

impl Service {
    /// Reads the certificates. `index` is the service's place in the configuration, from 0.
    pub(crate) fn new(
        index: usize,
        config: &KeyServiceConfig,
        base: &Path,
    ) -> Result<Self, KeyConfigMistake> {
        let client = build::client(&rules::label(index, config), config, base)?;
        let pinned = config.public_keys.iter().map(|pinned| PinnedKey {
            epoch: pinned.epoch.get(),
            key: pinned.key.get(),
            public_key: pinned.public_key,
        });
        Ok(Self {
            name: rules::name(&config.url),
            pinned: pinned.collect(),
            url: config.url.clone(),
            line: Line::new(client),
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
        let request = self
            .line
            .client()
            .post(self.path("/v1/evaluate"))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            )
            .body(blinding.request(pinned.key));
        let answer = self.send(request, most_bytes, Some(pinned.key)).await?;
        let accepted = on_a_thread(move || {
            let accepted = blinding.accept(&answer, pinned.key, &pinned.public_key);
            accepted.map(|()| blinding)
        });
        let accepted = accepted.await.ok_or_else(|| self.ending())?;
        accepted.map_err(|fault| refusal::of_answer(fault, &self.name, &pinned))
    }

    /// Asks for the service's keys and its ceiling.
    pub(crate) async fn look(&self) -> Result<ServiceState, KeyClientError> {
        let request = self.line.client().get(self.path("/v1/keys"));
        let body = self.send(request, MAX_KEYS_BYTES, None).await?;
        let state = look::read(&body, &self.pinned).ok_or_else(|| refusal::no_list(&self.name))?;
        self.metrics.ceiling_left(state.left_today());
        Ok(state)
    }

    /// Metrics of the service.
    pub(crate) fn metrics(&self) -> &ServiceMetrics {
        &self.metrics
    }

    /// Error of a runtime that is going down while work is waiting for it.
    pub(crate) fn ending(&self) -> KeyClientError {
        KeyClientError::Retry {
            service: self.name.clone(),
            clause: "was not waited for: this program is ending".to_owned(),
        }
    }

    /// Sends a request; returns the body of an answer with status 200.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        most_bytes: usize,
        key: Option<u16>,
    ) -> Result<Vec<u8>, KeyClientError> {
        let of_error = |error: reqwest::Error| transport::of_error(&error, &self.name);
        let request = request.build().map_err(of_error)?;
        let reply = self.line.exchange(request, most_bytes).await;
        let reply = reply.map_err(of_error)?;
        if reply.status != 200 {
            return Err(refusal::of_status(&reply, &self.name, key));
        }
        reply.body.ok_or_else(|| refusal::too_long(&self.name))
    }

    fn path(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
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

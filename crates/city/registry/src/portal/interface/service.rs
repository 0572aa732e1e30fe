//! Portal's state: passes, ceilings, answers for repeats, and what is published.

use std::sync::Arc;
use std::time::Duration;

use client_door::Client;
use clock::Clock;
use contract::Subject;
use parking_lot::{Mutex, RwLock};
use pass::keys::PublicKey;
use tokio_util::sync::CancellationToken;

use super::PortalConfig;
use super::ceilings::{Ceilings, Wait};
use super::metrics::{count_publish_failed, count_published, count_unchanged};
use super::problem::Problem;
use super::publisher::{Published, Publisher};
use super::repeats::Repeats;
use crate::passes::{PassError, Passes};

/// Pause between two looks for passes that have ended.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);

/// State of the portal's interface.
pub struct Portal {
    pub(super) passes: Passes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) repeats: Arc<Repeats>,
    pub(super) published: RwLock<Option<Arc<Published>>>,
    ceilings: Mutex<Ceilings>,
    publisher: tokio::sync::Mutex<Publisher>,
}

impl Portal {
    /// Takes the issue of passes and the ceilings of the configuration. Nothing is published until
    /// [`Self::publish_step`].
    #[must_use]
    pub fn new(passes: Passes, config: &PortalConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let ceilings = Ceilings::new(
            config.requests_per_hour,
            config.requests_per_subject_per_hour,
        );
        Arc::new(Self {
            passes,
            clock,
            repeats: Repeats::new(),
            published: RwLock::default(),
            ceilings: Mutex::new(ceilings),
            publisher: tokio::sync::Mutex::default(),
        })
    }

    /// Public half of the root key, which verifiers pin.
    #[must_use]
    pub fn root(&self) -> &PublicKey {
        self.passes.keys().root()
    }

    /// Ends the passes whose facts have changed, and publishes anew where one has ended or the last
    /// publication is [`super::PUBLISH_EVERY`] old. Returns whether it published.
    ///
    /// # Errors
    /// [`PassError`]; what was published before stays.
    pub async fn publish_step(&self) -> Result<bool, PassError> {
        let mut publisher = self.publisher.lock().await;
        let stepped = publisher.step(&self.passes, self.clock.now()).await;
        let Some(published) = stepped.inspect_err(|_| count_publish_failed())? else {
            count_unchanged();
            return Ok(false);
        };
        count_published(published.ended);
        *self.published.write() = Some(Arc::new(published));
        Ok(true)
    }

    /// Publishes until `stop` is cancelled; `told` hears of every step whether it failed, and why.
    pub async fn publish_loop(
        &self,
        told: impl Fn(Result<(), &PassError>) + Send,
        stop: CancellationToken,
    ) {
        while !stop.is_cancelled() {
            let stepped = tokio::select! {
                stepped = self.publish_step() => stepped,
                () = stop.cancelled() => return,
            };
            told(stepped.as_ref().map(|_| ()));
            drop(stepped);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Counts a request of a client.
    pub(super) fn admit(&self, client: Client) -> Result<(), Wait> {
        let elapsed = self.clock.elapsed();
        self.ceilings.lock().admit_client(client, elapsed)
    }

    /// Counts a request about a subject; refuses pseudonyms of keys that are not open.
    pub(super) fn admit_subject(&self, subject: &Subject) -> Result<(), Problem> {
        if !self.passes.knows_epochs(subject.pseudonyms()) {
            return Err(Problem::Epoch);
        }
        let elapsed = self.clock.elapsed();
        let admitted = self.ceilings.lock().admit_subject(subject, elapsed);
        admitted.map_err(Problem::SubjectCeiling)
    }
}

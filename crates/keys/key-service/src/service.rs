//! Key service: who is asked, under which key, how much, and what is recorded of it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audit::{AuditError, Log};
use axum::body::Bytes;
use client_door::Client;
use clock::Clock;
use oprf::Request;
use serde_json::json;
use state_folder::StateFolder;
use tokio::sync::Semaphore;

use crate::config::{ClientConfig, Config};
use crate::counts::{Counts, NotCounted, STATE_WORDS};
use crate::error::OpenError;
use crate::keys::Keys;
use crate::metrics::{count_evaluated, count_refusal, show_ceiling_left, show_keys, show_writable};
use crate::numbers::Numbers;
use crate::record::{Recorder, record_changes};
use crate::refusal::Refusal;

/// Most requests that are evaluated or wait for it, over all clients.
pub const MOST_REQUESTS: usize = 64;
/// Pause between two calls of [`KeyService::step`].
pub const STEP_EVERY: Duration = Duration::from_secs(5);

/// Key service. It knows no time of its own and does no waiting of its own, so that tests can call
/// every step.
#[derive(Debug)]
pub struct KeyService {
    keys: Keys,
    clients: Vec<ClientConfig>,
    places: HashMap<Client, usize>,
    counts: Counts,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    cannot_count: AtomicBool,
    is_clock_behind: AtomicBool,
}

/// Use of a client's ceiling in its day.
pub(crate) struct Use {
    /// Most elements in a day.
    pub daily_ceiling: u32,
    /// Elements that were evaluated in the day.
    pub used_today: u64,
    /// Whether the token of the day was given; `None` where no tokens are issued.
    pub day_token_given: Option<bool>,
}

/// Client of the connections that show this client's certificate, or none without TLS.
fn identity(client: &ClientConfig) -> Client {
    let shown = client.certificate_fingerprint;
    shown.map_or(Client::Loopback, Client::Certificate)
}

impl KeyService {
    /// Reads the keys, the counts and the whole audit log, and records the start. Relative paths
    /// start from `base`. It waits for the disk.
    ///
    /// # Errors
    /// [`OpenError`], which says what to change.
    pub fn open(
        config: &Config,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let now = clock.now();
        let keys = Keys::read(config, base)?;
        let state = StateFolder::open(&base.join(&config.service.state), STATE_WORDS)?;
        Numbers::keep(&state, &keys)?;
        let counts = Counts::open(state, &config.clients, now)?;
        let log = Log::open(&base.join(&config.service.audit), now)?;
        let names = config.clients.iter().map(|client| client.name.clone());
        let recorder = Recorder::new(log, names.collect(), now);
        let places = config.clients.iter().map(identity).zip(0..).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let service = Self {
            keys,
            clients: config.clients.clone(),
            places,
            counts,
            recorder,
            clock,
            admitted: Arc::new(Semaphore::new(MOST_REQUESTS)),
            running: Arc::new(Semaphore::new(cores)),
            cannot_count: AtomicBool::new(false),
            is_clock_behind: AtomicBool::new(false),
        };
        service.record_start()?;
        service.show();
        Ok(Arc::new(service))
    }

    /// Writes the start, the counts that are taken over, and what has changed.
    fn record_start(&self) -> Result<(), OpenError> {
        let now = self.clock.now();
        let keys = self.keys.public();
        let keys: Vec<_> = keys
            .map(|key| {
                let number = key.number;
                json!({ "number": number, "use": key.key_use, "fingerprint": key.fingerprint })
            })
            .collect();
        let version = env!("CARGO_PKG_VERSION");
        let start = json!({ "version": version, "keys": keys, "clients": self.clients.len() });
        self.recorder.line(now, "start", &start)?;
        for (place, client) in self.clients.iter().enumerate() {
            let counted = self.counts.used(place, now);
            if counted > 0 {
                let name = &client.name;
                let details = json!({ "client": name, "elements_counted_today": counted });
                self.recorder.line(now, "count-taken-over", &details)?;
            }
        }
        let state = self.counts.state();
        record_changes(&self.recorder, state, &self.keys, &self.clients, now)
    }

    /// Keys of the service.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Client of a connection, by its place in the configuration.
    pub(crate) fn client(&self, client: Client) -> Result<usize, Refusal> {
        let place = self.places.get(&client).copied();
        place.ok_or(Refusal::UnknownClient)
    }

    /// Use of a client's ceiling. It may wait for the disk, since a count does.
    pub(crate) fn use_of(&self, client: usize) -> Use {
        let now = self.clock.now();
        let issues_tokens = self.keys.are_of_tokens();
        Use {
            daily_ceiling: self.clients[client].daily_ceiling,
            used_today: self.counts.used(client, now),
            day_token_given: issues_tokens.then(|| self.counts.day_token_given(client, now)),
        }
    }

    /// Counts a refusal; `None` where no client of the configuration was known.
    pub(crate) fn refused(&self, client: Option<usize>, refusal: Refusal) {
        count_refusal(refusal);
        self.recorder.refused(client, refusal);
    }

    /// Evaluates a request on a thread that may wait: beyond [`MOST_REQUESTS`] at once it is
    /// refused, and as many as there are processors run at once.
    pub(crate) async fn evaluate(
        self: Arc<Self>,
        client: usize,
        body: Bytes,
    ) -> Result<Vec<u8>, Refusal> {
        let place = Arc::clone(&self.admitted).try_acquire_owned();
        let place = place.map_err(|_| Refusal::Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| Refusal::Internal)?;
        let evaluated = tokio::task::spawn_blocking(move || {
            // Also where the client has hung up, until the work is done.
            let _held = (place, turn);
            self.evaluate_now(client, &body)
        });
        evaluated.await.unwrap_or(Err(Refusal::Internal))
    }

    /// Checks, counts and evaluates a request; waits for the disk where the count needs it.
    fn evaluate_now(&self, client: usize, body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let request = Request::parse(body).map_err(|_| Refusal::Malformed)?;
        let key = self.keys.get(request.key_number());
        let key = key.ok_or(Refusal::UnknownKey)?;
        if !key.takes(request.len()) {
            return Err(Refusal::Malformed);
        }
        if self.recorder.is_failing() {
            return Err(Refusal::CannotCount);
        }
        let started = self.clock.elapsed();
        let elements = request.len() as u64;
        if key.is_of_day() {
            self.count_day_token(client)?;
        } else {
            self.count(client, elements)?;
        }
        let answer = key.evaluate(&request);
        self.recorder.evaluated(client, elements);
        let took = self.clock.elapsed().saturating_sub(started);
        count_evaluated(&self.clients[client].name, elements, took);
        Ok(answer)
    }

    fn count(&self, client: usize, elements: u64) -> Result<(), Refusal> {
        let taken = self.counts.take(client, elements, self.clock.now());
        self.counted(taken, |wait, is_first| {
            if is_first {
                self.tell_ceiling(client);
            }
            Refusal::CeilingReached(wait)
        })
    }

    /// Counts the one token that the client has in its day.
    fn count_day_token(&self, client: usize) -> Result<(), Refusal> {
        let taken = self.counts.take_day_token(client, self.clock.now());
        self.counted(taken, |wait, _| Refusal::DayTokenGiven(wait))
    }

    /// Turns what was not counted into a refusal; `at_ceiling` does so for a ceiling.
    fn counted(
        &self,
        taken: Result<(), NotCounted>,
        at_ceiling: impl FnOnce(Duration, bool) -> Refusal,
    ) -> Result<(), Refusal> {
        match taken {
            Ok(()) => {
                self.tell_count(None);
                Ok(())
            }
            Err(NotCounted::CannotWrite(kind)) => {
                self.tell_count(Some(kind));
                Err(Refusal::CannotCount)
            }
            Err(NotCounted::Ceiling { wait, is_first }) => Err(at_ceiling(wait, is_first)),
        }
    }

    /// Tells the log once when counts cannot be written, and once when they can again.
    fn tell_count(&self, failed: Option<std::io::ErrorKind>) {
        let was_failing = self.cannot_count.swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(kind) if !was_failing => tracing::warn!(
                event = "cannot-count",
                ?kind,
                "a count cannot be written, and nothing is evaluated; make room in service.state"
            ),
            None if was_failing => tracing::info!(event = "counted-again", "counts can be written"),
            _ => {}
        }
    }

    fn tell_ceiling(&self, client: usize) {
        let ClientConfig {
            name,
            daily_ceiling,
            ..
        } = &self.clients[client];
        tracing::warn!(
            event = "ceiling-reached",
            client = name,
            daily_ceiling,
            "a client has used its day"
        );
        let now = self.clock.now();
        let written = self.recorder.ceiling_reached(client, *daily_ceiling, now);
        self.tell_audit(written.err().as_ref());
    }

    fn tell_audit(&self, failed: Option<&AuditError>) {
        if let Some(error) = failed {
            tracing::warn!(event = "audit-failed", %error, "nothing is evaluated meanwhile");
        }
    }

    /// Writes the tallies of an hour that has ended, tries again what could not be written, and
    /// shows the gauges. Waits for the disk. Returns what keeps the service from evaluating.
    pub fn step(&self) -> Option<String> {
        let now = self.clock.now();
        let was_failing = self.recorder.is_failing();
        let stepped = self.recorder.step(now);
        match &stepped {
            Ok(()) if was_failing => {
                tracing::info!(
                    event = "audit-written-again",
                    "the audit log can be written"
                );
            }
            Err(error) if !was_failing => self.tell_audit(Some(error)),
            _ => {}
        }
        self.tell_clock(self.counts.is_ahead(now));
        self.show();
        if let Err(error) = stepped {
            return Some(error.to_string());
        }
        let cannot_count = self.cannot_count.load(Ordering::Relaxed);
        cannot_count.then(|| "the last count could not be written".to_owned())
    }

    fn tell_clock(&self, is_behind: bool) {
        let was_behind = self.is_clock_behind.swap(is_behind, Ordering::Relaxed);
        if is_behind && !was_behind {
            tracing::warn!(
                event = "clock-behind",
                "the clock is behind the day of a count, which goes on until the clock has passed \
                 it; README.md says what to do"
            );
        }
    }

    fn show(&self) {
        let now = self.clock.now();
        for (place, client) in self.clients.iter().enumerate() {
            show_ceiling_left(&client.name, self.counts.left(place, now));
        }
        show_keys(self.keys.public().len());
        let cannot_count = self.cannot_count.load(Ordering::Relaxed);
        show_writable(!cannot_count && !self.recorder.is_failing());
    }

    /// Writes the tallies and the stop, and gives back what is reserved and not used. Waits for the
    /// disk.
    ///
    /// # Errors
    /// [`OpenError`]; the next start finds the reservations as used.
    pub fn stop(&self) -> Result<(), OpenError> {
        let now = self.clock.now();
        let settled = self.counts.settle();
        self.recorder.flush(now)?;
        self.recorder.line(now, "stop", &json!({}))?;
        settled.map_err(|error| self.counts.state().io_error("count", &error))?;
        Ok(())
    }
}

//! One-use tokens: fetched ahead from the issuer, kept in memory alone, one for each sealed batch.

mod day;
mod pool;
mod step;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use clock::Clock;
use contract::SealedTokens;
use key_client::{DayTokenAnswer, KeyClientError, TokenClient};
use outbox::{BatchTokens, FeedName, NoToken};
use parking_lot::Mutex;

pub(crate) use day::DayStep;
use day::{DayPlan, random_parts};
use pool::Pool;
pub use step::token_step;
use words::no_token;

use crate::slots::SlotRules;
use crate::waits::{ServiceKind, Waits};

/// Time between two steps that fetch tokens ahead.
pub(crate) const STEP: Duration = Duration::from_mins(1);

/// Tokens that are in hand at the least where nothing leaves: fetched in requests of the smaller
/// size, since a restart loses what is in memory.
const AHEAD: usize = 32;

/// Tokens of a day's ceiling that dummies leave to facts; a quarter of a ceiling that is smaller
/// than four times as much.
const LEFT_TO_FACTS: u64 = 512;

/// Tokens of the smaller request.
const SMALL_REQUEST: usize = 16;

/// Tokens of the larger request, and most that are asked for at once.
const LARGE_REQUEST: usize = 256;

/// Tokens of this gateway.
pub(crate) struct Tokens {
    client: TokenClient,
    clock: Arc<dyn Clock>,
    pool: Mutex<Pool>,
    /// Tokens that dummies may take until the next step fetches more.
    for_dummies: usize,
    /// Ceiling of the day; `None` before the issuer was asked.
    ceiling: Mutex<Option<Ceiling>>,
    /// Held while tokens are fetched, so that two pages do not fetch for the same lack. Keeps how
    /// the last fetch failed: whoever waited for it does not wait for another one of its own.
    fetching: tokio::sync::Mutex<Option<NoToken>>,
    /// Number of fetches that failed.
    failures: AtomicU64,
    waits: Arc<Waits>,
}

/// The issuer's ceiling, as far as it is known.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    daily: u64,
    left: u64,
}

impl Ceiling {
    /// Returns whether dummies may take more of it.
    fn has_spare(self) -> bool {
        self.left > left_to_facts(self.daily)
    }
}

/// Tokens of a day's ceiling that dummies leave to facts.
pub(crate) fn left_to_facts(daily_ceiling: u64) -> u64 {
    LEFT_TO_FACTS.min(daily_ceiling / 4)
}

impl Tokens {
    /// Makes tokens that come from this issuer; `slots` are those in which batches leave.
    pub(crate) fn new(
        client: TokenClient,
        clock: Arc<dyn Clock>,
        waits: Arc<Waits>,
        slots: Option<SlotRules>,
    ) -> Self {
        let slots = slots.filter(|slots| slots.dummies);
        Self {
            client,
            clock,
            pool: Mutex::default(),
            for_dummies: slots.map_or(0, dummies_between_steps),
            ceiling: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            failures: AtomicU64::new(0),
            waits,
        }
    }

    /// Fetches tokens until [`AHEAD`] are in hand, and those of dummies that may be sent until the
    /// next step, so that asking and sending are not at the same moment.
    ///
    /// # Errors
    /// [`NoToken`]. It is told where a page needs tokens.
    pub(crate) async fn fill_ahead(&self) -> Result<(), NoToken> {
        while self.left() < AHEAD || (self.left() < AHEAD + self.for_dummies && self.has_spare()) {
            let mut last_failure = self.fetching.lock().await;
            self.fetch_and_note(SMALL_REQUEST, &mut last_failure)
                .await?;
        }
        Ok(())
    }

    /// Returns whether dummies take tokens, too.
    pub(crate) const fn has_dummies(&self) -> bool {
        self.for_dummies > 0
    }

    /// Tokens of batches in hand.
    pub(crate) fn left(&self) -> usize {
        self.pool.lock().left()
    }

    /// Shows the metrics, so that an alert can tell "none yet" from "not counted". That of the
    /// ceiling is shown once it is known.
    pub(crate) fn register_metrics(&self) {
        metrics::gauge!("tokens_day_timestamp_seconds").set(0);
        self.pool.lock().show();
    }

    /// Asks the issuer what is left of the ceiling and shows it; costs nothing of it.
    pub(crate) async fn look(&self) {
        if let Ok(state) = self.client.look().await {
            *self.ceiling.lock() = Some(Ceiling {
                daily: state.daily_ceiling,
                left: state.left_today(),
            });
            let left = u32::try_from(state.left_today()).unwrap_or(u32::MAX);
            metrics::gauge!("tokens_ceiling_left").set(left);
        }
    }

    /// Returns whether the day's ceiling is known to have more than facts may need.
    fn has_spare(&self) -> bool {
        self.ceiling.lock().is_some_and(Ceiling::has_spare)
    }

    /// Fetches the token of the day where its moment has come. Returns whether a batch has to leave
    /// for its sake.
    pub(crate) async fn step_day(&self) -> DayStep {
        if !self.client.has_day_tokens() {
            return DayStep::Nothing;
        }
        let now = self.clock.now();
        let asks = {
            let mut pool = self.pool.lock();
            pool.turn(now, |now| DayPlan::new(now, random_parts()));
            pool.asks_for_day_token(now)
        };
        if asks {
            let answer = self.client.day_token().await;
            self.note_day_answer(answer);
        }
        self.pool.lock().day_step(now)
    }

    fn note_day_answer(&self, answer: Result<DayTokenAnswer, KeyClientError>) {
        let now = self.clock.now();
        let mut pool = self.pool.lock();
        match answer {
            Ok(DayTokenAnswer::Token(token)) => pool.add_day_token(token, now),
            Ok(DayTokenAnswer::GivenBefore | DayTokenAnswer::NotConfigured) => pool.end_day(),
            Err(error) => {
                let code = no_token(&error).code();
                tracing::warn!(
                    event = "day-token-failed",
                    code,
                    "the token of the day did not come; it is asked for again"
                );
                pool.put_day_off(now);
            }
        }
    }

    /// Asks for tokens, and notes a failure for whoever waits.
    async fn fetch_and_note(
        &self,
        wanted: usize,
        last_failure: &mut Option<NoToken>,
    ) -> Result<(), NoToken> {
        let fetched = self.fetch(wanted).await;
        *last_failure = fetched.as_ref().err().cloned();
        if last_failure.is_some() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        fetched
    }

    /// Asks for tokens: for as many as one request has places, if so many are wanted. Where the
    /// larger request is beyond what is left of the ceiling, the smaller one is tried.
    async fn fetch(&self, wanted: usize) -> Result<(), NoToken> {
        let asked = self.client.batch_tokens(wanted.min(LARGE_REQUEST)).await;
        let asked = match asked {
            Err(KeyClientError::Ceiling { .. }) if wanted > SMALL_REQUEST => {
                self.client.batch_tokens(SMALL_REQUEST).await
            }
            asked => asked,
        };
        match asked {
            Ok(tokens) => {
                if let Some(ceiling) = self.ceiling.lock().as_mut() {
                    ceiling.left = ceiling.left.saturating_sub(tokens.len() as u64);
                }
                self.pool.lock().add(tokens);
                Ok(())
            }
            Err(error) => {
                if matches!(error, KeyClientError::Ceiling { .. }) {
                    if let Some(ceiling) = self.ceiling.lock().as_mut() {
                        ceiling.left = 0;
                    }
                    metrics::gauge!("tokens_ceiling_left").set(0);
                }
                Err(no_token(&error))
            }
        }
    }
}

#[async_trait]
impl BatchTokens for Tokens {
    async fn ready(&self, count: usize, feed: Option<FeedName<'_>>) -> Result<(), NoToken> {
        if self.left() >= count {
            return Ok(());
        }
        let issuer = || format!("the token issuer {}", self.client.issuer());
        let begin = |feed| self.waits.begin(ServiceKind::TokenIssuer, issuer(), feed);
        let _waits = feed.map(begin);
        let failures = self.failures.load(Ordering::Relaxed);
        let mut last_failure = self.fetching.lock().await;
        loop {
            let left = self.left();
            if left >= count {
                return Ok(());
            }
            if self.failures.load(Ordering::Relaxed) != failures
                && let Some(failure) = last_failure.clone()
            {
                return Err(failure);
            }
            self.fetch_and_note(count - left, &mut last_failure).await?;
        }
    }

    fn take(&self) -> Result<SealedTokens, NoToken> {
        let now = self.clock.now();
        let taken = self.pool.lock().take(now);
        taken.ok_or_else(|| NoToken::Away("all tokens in hand were used up meanwhile".to_owned()))
    }

    fn take_spare(&self) -> Option<SealedTokens> {
        if !self.has_spare() {
            return None;
        }
        self.pool.lock().take_above(AHEAD)
    }

    fn give_back(&self, tokens: SealedTokens) {
        self.pool.lock().give_back(&tokens, self.clock.now());
    }
}

/// Most dummies that may be sent between two steps that fetch tokens.
fn dummies_between_steps(slots: SlotRules) -> usize {
    let step_seconds = u32::try_from(STEP.as_secs()).unwrap_or(u32::MAX);
    let in_a_step = step_seconds.div_ceil(slots.slot_seconds.max(1));
    (in_a_step.saturating_add(1).saturating_mul(slots.batches)) as usize
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = &self.client;
        f.debug_struct("Tokens")
            .field("client", client)
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

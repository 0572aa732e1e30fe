//! One-use tokens: fetched ahead from the issuer, kept in memory alone, one for each sealed batch.

mod day;
mod pool;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use clock::Clock;
use contract::SealedTokens;
use key_client::{DayTokenAnswer, KeyClientError, TokenClient};
use outbox::{BatchTokens, NoToken};
use parking_lot::Mutex;

pub(crate) use day::DayStep;
use day::{DayPlan, random_parts};
use pool::Pool;
use words::no_token;

/// Tokens that are in hand at the least where nothing leaves: fetched in requests of the smaller
/// size, since a restart loses what is in memory.
const AHEAD: usize = 32;

/// Tokens of the smaller request.
const SMALL_REQUEST: usize = 16;

/// Tokens of the larger request, and most that are asked for at once.
const LARGE_REQUEST: usize = 256;

/// Tokens of this gateway.
pub(crate) struct Tokens {
    client: TokenClient,
    clock: Arc<dyn Clock>,
    pool: Mutex<Pool>,
    /// Held while tokens are fetched, so that two pages do not fetch for the same lack.
    fetching: tokio::sync::Mutex<()>,
}

impl Tokens {
    pub(crate) fn new(client: TokenClient, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            pool: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// Fetches tokens until [`AHEAD`] are in hand, so that asking and sending are not at the same
    /// moment.
    ///
    /// # Errors
    /// [`NoToken`]. It is told where a page needs tokens.
    pub(crate) async fn fill_ahead(&self) -> Result<(), NoToken> {
        while self.left() < AHEAD {
            let _fetching = self.fetching.lock().await;
            self.fetch(SMALL_REQUEST).await?;
        }
        Ok(())
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
            let left = u32::try_from(state.left_today()).unwrap_or(u32::MAX);
            metrics::gauge!("tokens_ceiling_left").set(left);
        }
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
                let code = no_token(error).code();
                tracing::warn!(
                    event = "day-token-failed",
                    code,
                    "the token of the day did not come; it is asked for again"
                );
                pool.put_day_off(now);
            }
        }
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
                self.pool.lock().add(tokens);
                Ok(())
            }
            Err(error) => {
                if matches!(error, KeyClientError::Ceiling { .. }) {
                    metrics::gauge!("tokens_ceiling_left").set(0);
                }
                Err(no_token(error))
            }
        }
    }
}

#[async_trait]
impl BatchTokens for Tokens {
    async fn ready(&self, count: usize) -> Result<(), NoToken> {
        if self.left() >= count {
            return Ok(());
        }
        let _fetching = self.fetching.lock().await;
        loop {
            let left = self.left();
            if left >= count {
                return Ok(());
            }
            self.fetch(count - left).await?;
        }
    }

    fn take(&self) -> Result<SealedTokens, NoToken> {
        let now = self.clock.now();
        let taken = self.pool.lock().take(now);
        taken.ok_or_else(|| NoToken::Away("all tokens in hand were used up meanwhile".to_owned()))
    }

    fn give_back(&self, tokens: SealedTokens) {
        self.pool.lock().give_back(&tokens, self.clock.now());
    }
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

//! Tokens in hand: of batches, and of the present day. Nothing of them is ever written down.

use std::fmt;

use chrono::{DateTime, Utc};
use contract::SealedTokens;
use key_client::TokenBytes;

use super::day::{DayPlan, DayStep};

/// Tokens in hand. Lost with the process: they are cheap, and on a disk they could be stolen.
#[derive(Default)]
pub(super) struct Pool {
    batches: Vec<TokenBytes>,
    /// Plan of the present UTC day; `None` before the first step.
    plan: Option<DayPlan>,
    /// Token of the plan's day that is in no batch yet.
    day_token: Option<TokenBytes>,
}

impl Pool {
    /// Tokens of batches in hand.
    pub(super) const fn left(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn add(&mut self, tokens: Vec<TokenBytes>) {
        self.batches.extend(tokens);
        self.show();
    }

    /// Takes the tokens of one batch: the token of the day goes with the first one.
    pub(super) fn take(&mut self, now: DateTime<Utc>) -> Option<SealedTokens> {
        let batch = self.batches.pop()?;
        let is_of_today = self.plan.as_ref().is_some_and(|plan| plan.is_of(now));
        let day = self.day_token.take().filter(|_| is_of_today);
        if day.is_some() {
            show_day_token(now);
        }
        self.show();
        Some(SealedTokens { batch, day })
    }

    /// Takes the token of one batch, and none of the day, while more than so many are in hand.
    pub(super) fn take_above(&mut self, kept: usize) -> Option<SealedTokens> {
        if self.left() <= kept {
            return None;
        }
        let batch = self.batches.pop()?;
        self.show();
        Some(SealedTokens { batch, day: None })
    }

    /// Takes back what nobody has seen.
    pub(super) fn give_back(&mut self, tokens: &SealedTokens, now: DateTime<Utc>) {
        self.batches.push(tokens.batch);
        let is_of_today = self.plan.as_ref().is_some_and(|plan| plan.is_of(now));
        if is_of_today && self.day_token.is_none() {
            self.day_token = tokens.day;
        }
        self.show();
    }

    /// Begins a new day where one has begun; what is left of the day before is dropped.
    pub(super) fn turn(&mut self, now: DateTime<Utc>, plan: impl FnOnce(DateTime<Utc>) -> DayPlan) {
        if !self.plan.as_ref().is_some_and(|plan| plan.is_of(now)) {
            self.plan = Some(plan(now));
            self.day_token = None;
        }
    }

    /// Returns whether the moment has come to ask for the token of the day.
    pub(super) fn asks_for_day_token(&self, now: DateTime<Utc>) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.asks(now))
    }

    pub(super) fn add_day_token(&mut self, token: TokenBytes, now: DateTime<Utc>) {
        if let Some(plan) = self.plan.as_mut().filter(|plan| plan.is_of(now)) {
            plan.end_asking();
            self.day_token = Some(token);
        }
    }

    /// Asks for no token any more today.
    pub(super) fn end_day(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.end_asking();
        }
    }

    /// Asks again a while later.
    pub(super) fn put_day_off(&mut self, now: DateTime<Utc>) {
        if let Some(plan) = &mut self.plan {
            plan.put_off(now);
        }
    }

    /// Need of the token of the day at this moment.
    pub(super) fn day_step(&self, now: DateTime<Utc>) -> DayStep {
        let is_late = self.plan.as_ref().is_some_and(|plan| plan.is_late(now));
        if self.day_token.is_some() && is_late {
            DayStep::SendBatch
        } else {
            DayStep::Nothing
        }
    }

    /// Shows how many are left.
    pub(super) fn show(&self) {
        let left = u32::try_from(self.left()).unwrap_or(u32::MAX);
        metrics::gauge!("tokens_left").set(left);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the seconds fit its 53 bits"
)]
fn show_day_token(now: DateTime<Utc>) {
    metrics::gauge!("tokens_day_timestamp_seconds").set(now.timestamp() as f64);
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} tokens)", self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Pool with two tokens of batches, whose day begins now and whose token is asked for at once.
    fn pool(now: DateTime<Utc>) -> Pool {
        let mut pool = Pool::default();
        pool.add(vec![[1; 162], [2; 162]]);
        pool.turn(now, |now| DayPlan::new(now, [0.0, 0.5]));
        pool
    }

    #[test]
    fn the_token_of_the_day_goes_with_the_first_batch_and_once() {
        let noon = at("2026-11-30T12:00:00Z");
        let mut pool = pool(noon);
        assert!(pool.asks_for_day_token(noon));
        pool.add_day_token([9; 162], noon);
        assert!(!pool.asks_for_day_token(noon));
        assert_eq!(
            pool.day_step(noon),
            DayStep::Nothing,
            "a batch may come yet"
        );
        let first = pool.take(noon).unwrap();
        assert_eq!(first.day, Some([9; 162]));
        // Sealed and never written: the next batch has it.
        pool.give_back(&first, noon);
        assert_eq!(pool.take(noon).unwrap().day, Some([9; 162]));
        assert_eq!(pool.take(noon).unwrap().day, None);
        assert!(pool.take(noon).is_none());
        assert_eq!(pool.day_step(at("2026-11-30T23:59:00Z")), DayStep::Nothing);
    }

    #[test]
    fn a_dummy_takes_neither_the_last_tokens_nor_that_of_the_day() {
        let noon = at("2026-11-30T12:00:00Z");
        let mut pool = pool(noon);
        pool.add_day_token([9; 162], noon);
        assert!(pool.take_above(2).is_none());
        let spare = pool.take_above(1).expect("one of two");
        assert_eq!(spare.day, None);
        assert!(pool.take_above(1).is_none());
        assert_eq!(pool.take(noon).unwrap().day, Some([9; 162]));
    }

    #[test]
    fn a_day_without_a_batch_sends_one_and_a_token_does_not_outlive_its_day() {
        let noon = at("2026-11-30T12:00:00Z");
        let mut pool = pool(noon);
        pool.add_day_token([9; 162], noon);
        let late = at("2026-11-30T23:59:00Z");
        assert_eq!(pool.day_step(late), DayStep::SendBatch);
        let next = at("2026-12-01T00:00:00Z");
        assert_eq!(
            pool.take(next).unwrap().day,
            None,
            "before the step of the day"
        );
        pool.turn(next, |now| DayPlan::new(now, [0.9, 0.5]));
        assert_eq!(pool.day_step(next), DayStep::Nothing);
        assert!(!pool.asks_for_day_token(next));
        assert!(format!("{pool:?}").len() < 20);
    }

    #[test]
    fn what_fails_is_put_off_and_what_was_given_before_is_not_asked_for_again() {
        let noon = at("2026-11-30T12:00:00Z");
        let mut pool = pool(noon);
        pool.put_day_off(noon);
        assert!(!pool.asks_for_day_token(noon));
        assert!(pool.asks_for_day_token(at("2026-11-30T12:10:00Z")));
        pool.end_day();
        assert!(!pool.asks_for_day_token(at("2026-11-30T23:00:00Z")));
    }
}

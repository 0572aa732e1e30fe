//! Slots: moments at which batches may leave, at most so many at each.
//!
//! A slot begins at a multiple of its length, counted from 1970-01-01 00:00 UTC, so that the
//! batches of all clinics with the same settings leave in the same slots; a random delay, another
//! one in each slot, keeps them from leaving at one moment. What a slot does not take waits for the
//! next, and a slot that has passed is not made up for.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use outbox::OutboxError;
use parking_lot::Mutex;

/// Length, delay and size of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRules {
    /// Length of a slot in seconds.
    pub slot_seconds: u32,
    /// Longest random delay of the moment in a slot at which batches leave, in seconds.
    pub jitter_seconds: u32,
    /// Most batches that leave in a slot, the beacon and probes included.
    pub batches: u32,
    /// True if a slot in which fewer leave is filled up with dummies.
    pub dummies: bool,
}

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

impl SlotRules {
    /// Most batches that leave in a day; with dummies so many leave.
    #[must_use]
    pub fn batches_a_day(&self) -> u64 {
        let in_slots = DAY_SECONDS * u64::from(self.batches);
        in_slots.div_ceil(u64::from(self.slot_seconds.max(1)))
    }

    /// Longest time after which so many batches have left if the queue takes them. Of each slot one
    /// place is left out, which the beacon may take.
    #[must_use]
    pub fn longest_wait(&self, batches: u64) -> TimeDelta {
        let a_slot = u64::from(self.batches).saturating_sub(1).max(1);
        let slots = batches.div_ceil(a_slot);
        let seconds = slots.saturating_mul(self.slot_seconds.into());
        let jitter = if slots > 0 { self.jitter_seconds } else { 0 };
        let seconds = seconds.saturating_add(jitter.into());
        i64::try_from(seconds)
            .ok()
            .and_then(TimeDelta::try_seconds)
            .unwrap_or(TimeDelta::MAX)
    }
}

/// Batches that may leave at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Most batches that may leave.
    pub(crate) batches: usize,
    /// True if dummies take the places that are left.
    pub(crate) dummies: bool,
}

/// Slots of a running gateway.
#[derive(Debug)]
pub(crate) struct Slots {
    rules: SlotRules,
    next: Mutex<NextSlot>,
    /// True while there are no tokens for dummies.
    lacks_tokens: AtomicBool,
}

/// Next slot in which batches may leave.
#[derive(Debug, Clone, Copy)]
struct NextSlot {
    /// Number of the slot, counted from 1970.
    number: i64,
    /// Random delay in it, in milliseconds; `None` before it is drawn.
    delay_ms: Option<i64>,
}

impl NextSlot {
    const fn of(number: i64) -> Self {
        Self {
            number,
            delay_ms: None,
        }
    }
}

impl Slots {
    /// Makes the slots of a program that starts now. Nothing leaves in the present slot: a program
    /// that was restarted in it may have used it already.
    pub(crate) fn new(rules: SlotRules, now: DateTime<Utc>) -> Self {
        let present = now.timestamp_millis().div_euclid(slot_ms(rules));
        Self {
            rules,
            next: Mutex::new(NextSlot::of(present + 1)),
            lacks_tokens: AtomicBool::new(false),
        }
    }

    /// Notes how many dummies lacked a token in a slot, and logs the first and the last such slot:
    /// in between, the slots show what dummies hide.
    pub(crate) fn note_lack_of_tokens(&self, lacking: usize) {
        let lacked = self.lacks_tokens.swap(lacking > 0, Ordering::Relaxed);
        match (lacked, lacking > 0) {
            (false, true) => tracing::warn!(
                event = "dummies-lack-tokens",
                lacking,
                "slots are not filled: what tokens are left is for facts"
            ),
            (true, false) => {
                tracing::info!(
                    event = "dummies-again",
                    "slots are filled with dummies again"
                );
            }
            _ => {}
        }
    }

    /// Takes the slot that is open now; returns what may leave in it, and `None` where no slot is
    /// open or this one was taken before.
    ///
    /// # Errors
    /// [`OutboxError::NoRandomness`].
    pub(crate) fn take(&self, now: DateTime<Utc>) -> Result<Option<Room>, OutboxError> {
        let now_ms = now.timestamp_millis();
        let present = now_ms.div_euclid(slot_ms(self.rules));
        let mut next = self.next.lock();
        // Slots that passed are over. After the clock was set back, none is waited for that lies
        // further ahead than the next.
        let number = next.number.clamp(present, present + 1);
        if number != next.number {
            *next = NextSlot::of(number);
        }
        let delay_ms = match next.delay_ms {
            Some(delay_ms) => delay_ms,
            None => *next.delay_ms.insert(draw_delay_ms(self.rules)?),
        };
        if now_ms < number * slot_ms(self.rules) + delay_ms {
            return Ok(None);
        }
        *next = NextSlot::of(number + 1);
        Ok(Some(Room {
            batches: self.rules.batches as usize,
            dummies: self.rules.dummies,
        }))
    }
}

fn slot_ms(rules: SlotRules) -> i64 {
    i64::from(rules.slot_seconds.max(1)) * 1000
}

fn draw_delay_ms(rules: SlotRules) -> Result<i64, OutboxError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| OutboxError::NoRandomness)?;
    let longest_ms = u64::from(rules.jitter_seconds) * 1000;
    let delay_ms = u64::from_le_bytes(random) % (longest_ms + 1);
    Ok(i64::try_from(delay_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const RULES: SlotRules = SlotRules {
        slot_seconds: 600,
        jitter_seconds: 0,
        batches: 3,
        dummies: false,
    };

    /// A moment so many seconds after the beginning of a slot of 600 seconds.
    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_140_800 + second, 0).expect("a moment")
    }

    fn take(slots: &Slots, second: i64) -> Option<usize> {
        let room = slots.take(at(second)).expect("there is randomness");
        room.map(|room| room.batches)
    }

    #[test]
    fn a_slot_is_taken_once_and_the_present_one_of_a_start_not_at_all() {
        let slots = Slots::new(RULES, at(0));
        assert_eq!(take(&slots, 0), None);
        assert_eq!(take(&slots, 599), None);
        assert_eq!(take(&slots, 600), Some(3));
        assert_eq!(take(&slots, 600), None);
        assert_eq!(take(&slots, 1199), None);
        assert_eq!(take(&slots, 1201), Some(3));
    }

    #[test]
    fn slots_that_passed_are_not_made_up_for() {
        let slots = Slots::new(RULES, at(0));
        assert_eq!(take(&slots, 6_050), Some(3));
        assert_eq!(take(&slots, 6_051), None);
        assert_eq!(take(&slots, 6_600), Some(3));
    }

    #[test]
    fn a_clock_that_was_set_back_costs_one_slot_at_most() {
        let slots = Slots::new(RULES, at(60_000));
        assert_eq!(take(&slots, 60_600), Some(3));
        assert_eq!(take(&slots, 1_200), None, "this slot may have been used");
        assert_eq!(take(&slots, 1_800), Some(3));
    }

    #[test]
    fn delays_are_within_the_jitter_and_differ() {
        let rules = SlotRules {
            jitter_seconds: 300,
            ..RULES
        };
        let mut moments = BTreeSet::new();
        for _ in 0..20 {
            let slots = Slots::new(rules, at(0));
            assert_eq!(take(&slots, 599), None);
            let opens = (600..=900).find(|second| take(&slots, *second).is_some());
            moments.insert(opens.expect("it opens within the jitter"));
        }
        assert!(moments.len() > 1, "{moments:?}");
    }

    #[test]
    fn a_day_has_so_many_places_for_batches() {
        let rules = |slot_seconds, batches| SlotRules {
            slot_seconds,
            batches,
            ..RULES
        };
        assert_eq!(rules(900, 8).batches_a_day(), 768);
        assert_eq!(rules(86_400, 2).batches_a_day(), 2);
        assert_eq!(rules(50_000, 2).batches_a_day(), 4, "rounded up");
    }

    #[test]
    fn the_longest_wait_leaves_a_place_for_the_beacon() {
        let wait = |batches| RULES.longest_wait(batches).num_seconds();
        assert_eq!([0, 1, 2, 3, 5].map(wait), [0, 600, 600, 1200, 1800]);
        let jittered = SlotRules {
            jitter_seconds: 300,
            ..RULES
        };
        assert_eq!(jittered.longest_wait(1).num_seconds(), 900);
        assert_eq!(jittered.longest_wait(0).num_seconds(), 0);
        assert_eq!(RULES.longest_wait(u64::MAX), TimeDelta::MAX);
    }
}

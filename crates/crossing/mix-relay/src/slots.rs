//! Times of the slots: the multiples of the slot's length since 1970, whatever arrived when.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::Mixer;

/// Time that a slot gets to end after the program was asked to stop. What was not confirmed by then
/// is published again after the next start, and what was is acknowledged.
const GRACE: Duration = Duration::from_secs(10);

/// Longest sleep in one go, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_secs(1);

/// Number of the slot that a moment is in.
fn number(now: DateTime<Utc>, length: NonZeroU32) -> i64 {
    now.timestamp().div_euclid(length.get().into())
}

/// Time until the next slot begins: more than nothing, and the slot's length at most.
fn until_next(now: DateTime<Utc>, length: NonZeroU32) -> Duration {
    let into = now.timestamp().rem_euclid(length.get().into());
    let whole = u64::from(length.get()) - u64::try_from(into).unwrap_or_default();
    // A leap second counts as the end of the second before it.
    let nanoseconds = now.timestamp_subsec_nanos().min(999_999_999);
    Duration::from_secs(whole) - Duration::from_nanos(nanoseconds.into())
}

/// Publishes at the beginning of every slot until `stop` is cancelled. A slot whose time has come
/// while the one before it still waits for the broker is left out.
pub async fn run_slots(mixer: &Mixer, clock: &Arc<dyn Clock>, stop: &CancellationToken) {
    let length = mixer.slot_length();
    loop {
        let present = number(clock.now(), length);
        // A clock that was set back begins other slots, too.
        while number(clock.now(), length) == present {
            let pause = until_next(clock.now(), length).min(NAP);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        mixer.slot_until(stopped).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn slots_begin_at_multiples_of_their_length() {
        let half_minute = NonZeroU32::new(30).unwrap();
        for (now, wait_milliseconds) in [
            ("2026-12-01T00:00:00Z", 30_000),
            ("2026-12-01T00:00:29.999Z", 1),
            ("2026-12-01T00:00:30Z", 30_000),
            ("1969-12-31T23:59:59Z", 1000),
            ("2016-12-31T23:59:60.5Z", 0),
        ] {
            let wait = until_next(at(now), half_minute);
            assert!(
                wait > Duration::ZERO && wait <= Duration::from_secs(30),
                "{now}"
            );
            assert_eq!(wait.as_millis(), wait_milliseconds, "{now}");
        }
        let second = NonZeroU32::new(1).unwrap();
        assert_eq!(
            number(at("1970-01-01T00:00:01.9Z"), second),
            number(at("1970-01-01T00:00:01Z"), second)
        );
        assert_eq!(number(at("1969-12-31T23:59:59.5Z"), second), -1);
    }
}

//! Tries of one request: how often, and how long to wait between them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connector_kit::SourceError;

use crate::refusal::HttpRefusal;

/// Tries of one request, the first among them.
const MAX_TRIES: u32 = 5;
/// Pause before the second try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that a server may ask for between two tries (Retry-After). One that asks for
/// more is left alone by the caller.
pub(crate) const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The longest time that one request waits between all its tries.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The patience with one server.
#[derive(Default)]
pub(crate) struct Patience {
    /// The last request has failed in all its tries: until there is an answer again, one try has to
    /// do, so that nobody waits over and over for a server that is down.
    is_exhausted: AtomicBool,
}

/// The pauses between the tries of one request.
pub(crate) struct Pauses {
    tries_left: u32,
    next: Duration,
    waited: Duration,
}

impl Patience {
    pub(crate) fn pauses(&self) -> Pauses {
        let tries = if self.is_exhausted.load(Ordering::Relaxed) {
            1
        } else {
            MAX_TRIES
        };
        Pauses {
            tries_left: tries - 1,
            next: FIRST_PAUSE,
            waited: Duration::ZERO,
        }
    }

    pub(crate) fn note_answer(&self) {
        self.is_exhausted.store(false, Ordering::Relaxed);
    }

    pub(crate) fn note_exhausted(&self) {
        self.is_exhausted.store(true, Ordering::Relaxed);
    }
}

impl Pauses {
    /// Time to wait before the next try; `None` where there should be none.
    pub(crate) fn before_next_try(&mut self, refused: &HttpRefusal) -> Option<Duration> {
        let SourceError::Retry { after, .. } = &refused.error else {
            return None;
        };
        let pause = after.unwrap_or_default().max(self.next);
        let waited = self.waited + pause;
        if !refused.is_brief || self.tries_left == 0 || pause > MAX_PAUSE || waited > MAX_WAIT {
            return None;
        }
        self.tries_left -= 1;
        self.next *= 2;
        self.waited = waited;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(after: Option<u64>) -> HttpRefusal {
        HttpRefusal {
            status: Some(503),
            is_brief: true,
            error: SourceError::Retry {
                what: String::new(),
                after: after.map(Duration::from_secs),
            },
        }
    }

    fn pauses(patience: &Patience, after: Option<u64>) -> Vec<u128> {
        let mut pauses = patience.pauses();
        std::iter::from_fn(|| pauses.before_next_try(&busy(after)))
            .map(|pause| pause.as_millis())
            .collect()
    }

    #[test]
    fn tries_are_few_and_waits_bounded() {
        let patience = Patience::default();
        assert_eq!(pauses(&patience, None), [250, 500, 1000, 2000]);
        assert_eq!(pauses(&patience, Some(0)), [250, 500, 1000, 2000]);
        assert_eq!(pauses(&patience, Some(1)), [1000, 1000, 1000, 2000]);
        assert_eq!(pauses(&patience, Some(30)), [30_000, 30_000], "a minute");
        assert!(pauses(&patience, Some(31)).is_empty(), "the caller's turn");
        patience.note_exhausted();
        assert!(pauses(&patience, None).is_empty(), "it is down");
        patience.note_answer();
        assert_eq!(pauses(&patience, None).len(), 4);
        let mut lasting = busy(None);
        lasting.is_brief = false;
        assert_eq!(patience.pauses().before_next_try(&lasting), None);
    }
}

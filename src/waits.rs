//! Waits of feeds for answers of key services and of the token issuer, while they last.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use clock::Clock;
use outbox::{FeedName, ServiceWait};
use parking_lot::Mutex;

/// Length from which on a wait is told. A usual answer takes less.
const TOLD_AFTER: TimeDelta = TimeDelta::seconds(2);

/// Kind of service that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServiceKind {
    /// Key services, which evaluate pseudonyms.
    KeyServices,
    /// Token issuer.
    TokenIssuer,
}

impl ServiceKind {
    /// Both kinds.
    pub(crate) const ALL: [Self; 2] = [Self::KeyServices, Self::TokenIssuer];

    /// Code of the kind, for logs and metrics.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::KeyServices => "key-services",
            Self::TokenIssuer => "token-issuer",
        }
    }
}

/// Wait that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiting {
    /// Kind of the service.
    pub(crate) kind: ServiceKind,
    /// Feed, service and begin.
    pub(crate) wait: ServiceWait,
}

/// Waits of this gateway.
pub(crate) struct Waits {
    clock: Arc<dyn Clock>,
    open: Mutex<Vec<(u64, Waiting)>>,
}

impl Waits {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let open = Mutex::default();
        Arc::new(Self { clock, open })
    }

    /// Notes that a page of the feed waits for the service from now on, until the result is
    /// dropped.
    pub(crate) fn begin(
        self: &Arc<Self>,
        kind: ServiceKind,
        service: String,
        feed: FeedName<'_>,
    ) -> WaitGuard {
        let wait = ServiceWait {
            source: feed.source.to_owned(),
            feed: feed.feed.to_owned(),
            service,
            since: Some(self.clock.now()),
        };
        let mut open = self.open.lock();
        let number = open.last().map_or(0, |(number, _)| number + 1);
        open.push((number, Waiting { kind, wait }));
        WaitGuard {
            waits: Arc::clone(self),
            number,
        }
    }

    /// Waits that have lasted long enough to be told, ordered.
    pub(crate) fn told(&self) -> Vec<Waiting> {
        let now = self.clock.now();
        let is_long = |since: DateTime<Utc>| now - since >= TOLD_AFTER;
        let open = self.open.lock();
        let open = open.iter().map(|(_, waiting)| waiting);
        let mut told: Vec<Waiting> = open
            .filter(|waiting| waiting.wait.since.is_some_and(is_long))
            .cloned()
            .collect();
        told.sort_unstable();
        told
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = &self.open;
        f.debug_struct("Waits")
            .field("open", open)
            .finish_non_exhaustive()
    }
}

/// A wait, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct WaitGuard {
    waits: Arc<Waits>,
    number: u64,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        let mut open = self.waits.open.lock();
        open.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use clock::ManualClock;

    use super::*;

    #[test]
    fn a_wait_is_told_from_two_seconds_on_and_until_it_ends() {
        let clock = Arc::new(ManualClock::at(DateTime::UNIX_EPOCH));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let waits = Waits::new(shared);
        let tests = FeedName {
            source: "mis",
            feed: "tests",
        };
        let issuer = || "the token issuer issuer.example".to_owned();
        let first = waits.begin(ServiceKind::TokenIssuer, issuer(), tests);
        let second = waits.begin(ServiceKind::KeyServices, "the key service".into(), tests);
        assert_eq!(waits.told(), []);
        clock.advance(std::time::Duration::from_secs(2));
        let told = waits.told();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1].wait.service, issuer());
        drop(second);
        assert_eq!(waits.told().len(), 1);
        drop(first);
        assert_eq!(waits.told(), []);
    }
}

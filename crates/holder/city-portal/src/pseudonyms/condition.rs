//! Condition of the key services, as questions and looks find it: the log is told of changes only.

use parking_lot::Mutex;

use super::fault::{KeyServiceFault, KeyServiceFaultKind};

/// Condition that is found again and again, by many questions at once.
pub(super) struct ServicesCondition(Mutex<KnownCondition>);

/// Condition as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KnownCondition {
    /// Services that nobody has asked yet.
    Nothing,
    /// All services answer.
    Answering,
    /// Failure of a service, and who found it.
    Failing(KeyServiceFault, FoundBy),
}

/// Finder of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// A citizen's question.
    Question,
    /// A look at what the services say of themselves.
    Look,
}

/// Line for the log.
#[derive(Debug, PartialEq, Eq)]
enum LogLine<'a> {
    Answering,
    Failing(&'a KeyServiceFault),
}

impl ServicesCondition {
    /// Condition of services that nobody has asked yet.
    pub(super) const fn new() -> Self {
        Self(Mutex::new(KnownCondition::Nothing))
    }

    /// Notes what was found, and tells the log if that is a change.
    pub(super) fn note(&self, found: Result<(), &KeyServiceFault>, by: FoundBy) {
        // Decided under the lock, so that of many questions at once one writes the line.
        let line = self.0.lock().change(found, by);
        match line {
            None => {}
            Some(LogLine::Answering) => {
                tracing::info!(event = "key-services-answer", "the key services answer");
            }
            Some(LogLine::Failing(fault)) => tracing::warn!(
                event = "key-service-failed",
                fault = fault.kind().as_str(),
                "{fault}"
            ),
        }
    }
}

impl KnownCondition {
    fn change<'a>(
        &mut self,
        found: Result<(), &'a KeyServiceFault>,
        by: FoundBy,
    ) -> Option<LogLine<'a>> {
        match (&*self, found) {
            (Self::Answering, Ok(())) => None,
            (Self::Failing(known, FoundBy::Question), Ok(()))
                if by == FoundBy::Look && known.kind() == KeyServiceFaultKind::Misconfigured =>
            {
                // A wrong proof, for one: what a service says of itself does not show it.
                None
            }
            (_, Ok(())) => {
                *self = Self::Answering;
                Some(LogLine::Answering)
            }
            (Self::Failing(known, _), Err(fault)) if known.is_same_trouble(fault) => {
                if by == FoundBy::Look {
                    *self = Self::Failing(fault.clone(), by);
                }
                None
            }
            (_, Err(fault)) => {
                *self = Self::Failing(fault.clone(), by);
                Some(LogLine::Failing(fault))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use key_client::KeyClientError;

    use super::*;

    fn away(clause: &str) -> KeyServiceFault {
        KeyServiceFault::Client(KeyClientError::Retry {
            service: "the key service keys.example".to_owned(),
            clause: clause.to_owned(),
        })
    }

    fn ceiling(seconds: u64) -> KeyServiceFault {
        KeyServiceFault::Client(KeyClientError::Ceiling {
            service: "the key service keys.example".to_owned(),
            retry_after: Duration::from_secs(seconds),
        })
    }

    fn misconfigured(what: &str) -> KeyServiceFault {
        KeyServiceFault::Client(KeyClientError::Misconfigured {
            what: what.to_owned(),
            help: "mend it".to_owned(),
        })
    }

    #[test]
    fn only_a_change_is_a_line() {
        let mut known = KnownCondition::Nothing;
        let busy = away("is busy");
        let slow = away("did not answer in time");
        let [sooner, later] = [ceiling(20), ceiling(30)];
        for (found, line) in [
            (Ok(()), Some(LogLine::Answering)),
            (Ok(()), None),
            (Err(&busy), Some(LogLine::Failing(&busy))),
            (Err(&slow), None),
            (Err(&later), Some(LogLine::Failing(&later))),
            (Err(&sooner), None),
            (Err(&busy), Some(LogLine::Failing(&busy))),
            (Ok(()), Some(LogLine::Answering)),
        ] {
            assert_eq!(known.change(found, FoundBy::Question), line, "{found:?}");
        }
        let mut known = KnownCondition::Nothing;
        let first = known.change(Err(&busy), FoundBy::Look);
        assert_eq!(first, Some(LogLine::Failing(&busy)));
    }

    #[test]
    fn a_look_ends_only_what_a_look_can_see() {
        let proof = misconfigured("another key");
        let mut known = KnownCondition::Answering;
        let line = known.change(Err(&proof), FoundBy::Question);
        assert_eq!(line, Some(LogLine::Failing(&proof)));
        assert_eq!(known.change(Ok(()), FoundBy::Look), None);
        assert_eq!(known.change(Err(&proof), FoundBy::Question), None);
        let answered = known.change(Ok(()), FoundBy::Question);
        assert_eq!(answered, Some(LogLine::Answering));

        // One that a look has seen as well.
        known.change(Err(&proof), FoundBy::Question);
        assert_eq!(known.change(Err(&proof), FoundBy::Look), None);
        let answered = known.change(Ok(()), FoundBy::Look);
        assert_eq!(answered, Some(LogLine::Answering));

        known.change(Err(&ceiling(1)), FoundBy::Question);
        let answered = known.change(Ok(()), FoundBy::Look);
        assert_eq!(answered, Some(LogLine::Answering));
    }
}

//! Judgement of what key services say of themselves: their keys, and what is left of their
//! ceilings.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, Utc};
use key_client::{KeyClientError, PinnedKeyLook, PinnedKeyState, ServiceLook};

use super::fault::KeyServiceFault;
use crate::limits::ELEMENTS_OF_A_QUESTION;

/// Failure that a look at a service shows. It is asked in so many epochs.
pub(super) fn fault(
    look: ServiceLook,
    epochs: usize,
    now: DateTime<Utc>,
) -> Option<KeyServiceFault> {
    let service = look.service;
    let state = match look.state {
        Ok(state) => state,
        Err(error) => return Some(error.into()),
    };
    let mut pinned = state.pinned.iter();
    if let Some(mistake) = pinned.find_map(|look| compare(&service, look).err()) {
        return Some(mistake.into());
    }
    let needed = ELEMENTS_OF_A_QUESTION * epochs as u64;
    (state.left_today() < needed).then(|| {
        let retry_after = until_midnight(now);
        KeyClientError::Ceiling {
            service: format!("the key service {service}"),
            retry_after,
        }
        .into()
    })
}

/// Words about a key that a service has as it is pinned, or the mistake.
pub(crate) fn compare(service: &str, look: &PinnedKeyLook) -> Result<String, KeyClientError> {
    let key = format!("key {} of epoch {}", look.key, look.epoch);
    match &look.state {
        PinnedKeyState::Same => Ok(format!("{service} has {key} as it is pinned")),
        PinnedKeyState::Missing => Err(KeyClientError::Misconfigured {
            what: format!("{service} has no {key}"),
            help: "ask its operator, and write the number and public key told as public_keys"
                .to_owned(),
        }),
        PinnedKeyState::OfTokens { key_use } => Err(KeyClientError::Misconfigured {
            what: format!(
                "{service} is a token issuer: its key {} is for tokens ({key_use})",
                look.key
            ),
            help: "write the url and the keys of a key service, which evaluates pseudonyms"
                .to_owned(),
        }),
        PinnedKeyState::Differs { theirs } => Err(KeyClientError::Misconfigured {
            what: format!(
                "{service} has another {key}: its public key has the fingerprint {}",
                theirs.fingerprint()
            ),
            help: "compare the fingerprint with the operator over a second channel before writing \
                   it as public_key: pseudonyms of another key find nobody"
                .to_owned(),
        }),
    }
}

/// Time until the next day of UTC, when ceilings are lifted.
fn until_midnight(now: DateTime<Utc>) -> Duration {
    let midnight = now.date_naive().checked_add_days(Days::new(1));
    let midnight = midnight.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let wait = midnight.and_then(|midnight| (midnight - now).to_std().ok());
    // The last day of the calendar has no next one.
    wait.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use key_client::ServiceState;

    use super::*;

    fn looked(used_today: u64, epochs: usize) -> Option<KeyServiceFault> {
        let look = ServiceLook {
            service: "keys.example".to_owned(),
            state: Ok(ServiceState {
                pinned: Vec::new(),
                daily_ceiling: 100,
                used_today,
            }),
        };
        let noon = Utc.with_ymd_and_hms(2026, 11, 30, 12, 0, 1).single();
        fault(look, epochs, noon.expect("a time"))
    }

    #[test]
    fn a_ceiling_is_reached_where_the_next_question_has_no_room() {
        assert_eq!(looked(84, 1), None);
        assert_eq!(looked(68, 2), None);
        let reached = looked(85, 1).expect("15 are left");
        assert_eq!(reached.retry_after(), Some(Duration::from_secs(43_199)));
        assert!(looked(69, 2).is_some() && looked(101, 1).is_some());
    }

    #[test]
    fn a_question_has_as_many_elements_as_the_smaller_request() {
        assert_eq!(ELEMENTS_OF_A_QUESTION, oprf::SIZES[0] as u64);
    }
}

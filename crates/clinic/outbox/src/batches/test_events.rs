//! Events for the tests of batches.

use contract::{Body, Event, FactKind, RecordDigest};
use record_secrets::{RecordSecrets, Revision};

use super::new_event::NewEvent;

/// Secrets of a clinic.
pub(crate) fn secrets() -> RecordSecrets {
    RecordSecrets::new(&[7; 32])
}

/// Makes withdrawals of as many different records.
pub(crate) fn new_events(count: u16) -> Vec<NewEvent> {
    let digest = |index: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&index.to_be_bytes());
        RecordDigest(bytes)
    };
    let revision = Revision {
        generation: 1,
        count: 1,
    };
    let kind = FactKind::Test;
    let event = |index| NewEvent {
        record: digest(index),
        revision,
        content: secrets().withdrawal_content(&digest(index), kind),
        body: Body::Withdrawn { kind },
    };
    (0..count).map(event).collect()
}

/// Makes the events that [`new_events`] are sealed as.
pub(super) fn events(count: u16) -> Vec<Event> {
    let with_version = |event: NewEvent| event.with_version(&secrets()).unwrap();
    new_events(count).into_iter().map(with_version).collect()
}

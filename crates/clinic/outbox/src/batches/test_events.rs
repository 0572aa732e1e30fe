//! Events for the tests of batches.

use contract::{Body, Event, FactKind, RecordDigest, Version};

/// Makes withdrawals of as many different records.
pub(super) fn events(count: u16) -> Vec<Event> {
    let digest = |index: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&index.to_be_bytes());
        RecordDigest(bytes)
    };
    let version = Version {
        generation: 1,
        count: 1,
    };
    let body = Body::Withdrawn {
        kind: FactKind::Test,
    };
    let event = |index| Event {
        record: digest(index),
        version,
        content: None,
        body: body.clone(),
    };
    (0..count).map(event).collect()
}

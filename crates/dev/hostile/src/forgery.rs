//! Events about other clinics' records, and batches that no type of ours can hold.

use contract::{
    Body, ContentDigest, Event, OwnerToken, Pseudonym, RecordDigest, Subject, Version, wire,
};
use serde_json::Value;

use crate::Outcome;
use crate::clinic::{Clinic, other_kind};
use crate::people::{INVENTED, fact, name};

/// Every way to change another clinic's record of which the digest and the newest event are known:
/// withdrawals, other facts and other persons, at versions below, equal, above and last of all,
/// with tokens that are none, this account's own, or values that the event shows.
#[must_use]
pub fn of_record(victim: &Event, account: &Clinic) -> Vec<Event> {
    let version = victim.version.to_u64();
    let versions = [1, version - 1, version, version + 1, Version::MAX.to_u64()];
    let mut shown = OwnerToken([0; 16]);
    shown.0.copy_from_slice(&victim.record.0[..16]);
    let owners = [
        account.owner(&victim.record),
        OwnerToken([0; 16]),
        OwnerToken(victim.content.0),
        shown,
    ];
    let stranger = Subject::new(vec![name(contract::Scheme::Snils, INVENTED)]);
    let kind = victim.body.kind();
    let mut bodies = vec![
        Body::Withdrawn { kind },
        Body::Withdrawn {
            kind: other_kind(kind),
        },
    ];
    for number in 0..3 {
        if let Some(subject) = stranger.clone() {
            let fact = fact(number);
            bodies.push(Body::Asserted { subject, fact });
        }
    }
    if let Body::Asserted { subject, .. } = &victim.body {
        bodies.push(Body::Asserted {
            subject: subject.clone(),
            fact: fact(INVENTED),
        });
    }
    let mut forged = Vec::new();
    for (place, body) in bodies.iter().enumerate() {
        for (number, version) in versions.iter().enumerate() {
            forged.push(Event {
                record: victim.record,
                version: Version::new(*version).unwrap_or(Version::MAX),
                content: ContentDigest([7; 16]),
                owner: owners[(place + number) % owners.len()],
                body: body.clone(),
            });
        }
    }
    forged
}

/// Event of this account's own about a record that it names as it likes.
#[must_use]
pub fn named(record: RecordDigest, names: &[Pseudonym], account: &Clinic) -> Option<Event> {
    Some(Event {
        record,
        version: Version::MAX,
        content: ContentDigest([9; 16]),
        owner: account.owner(&record),
        body: Body::Asserted {
            subject: Subject::new(names.to_vec())?,
            fact: fact(INVENTED),
        },
    })
}

/// Encoded batch of one event that states any number of names, whatever the contract permits.
///
/// # Errors
/// The event states no person.
pub fn with_names(event: &Event, names: &[Pseudonym]) -> Outcome<Vec<u8>> {
    let mut batch: Value = serde_json::from_slice(&wire::encode(std::slice::from_ref(event)))?;
    let identifiers = batch
        .pointer_mut("/0/data/contained/0/identifier")
        .ok_or("the event states no person")?;
    *identifiers = names.iter().map(identifier).collect();
    Ok(serde_json::to_vec(&batch)?)
}

fn identifier(name: &Pseudonym) -> Value {
    let Pseudonym {
        scheme,
        suite,
        epoch,
        value,
    } = name;
    let value: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({
        "system": format!(
            "urn:clinic-gateway:pseudonym:{}:{}:{epoch}",
            suite.as_str(),
            scheme.as_str()
        ),
        "value": value,
    })
}

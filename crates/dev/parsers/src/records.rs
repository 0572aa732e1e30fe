//! Target: a clinic's records, whatever a source made of its bytes: pseudonymised, encoded,
//! decoded.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use connector_kit::ClinicRecord;
use contract::{Event, Suite, wire};
use pseudonym::{KeyRing, MAX_RECORD_ID_BYTES, Policy, PolicyConfig, Pseudonymiser, RecordOutcome};
use record_secrets::{RecordSecrets, Revision};
use secrecy::ExposeSecret as _;

static RING: LazyLock<KeyRing> = LazyLock::new(KeyRing::generate);
static SECRETS: LazyLock<RecordSecrets> = LazyLock::new(|| RING.record_secrets());
static PSEUDONYMISER: LazyLock<Pseudonymiser> = LazyLock::new(|| {
    let policy = Policy::new(&PolicyConfig::default()).expect("the defaults are a policy");
    Pseudonymiser::new(&RING, Suite::Hmac, "source", policy).expect("the id is short")
});

/// The present moment of every target.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_626_350_400, 0).expect("a moment of July 2021")
}

/// Takes records all the way to what leaves; returns how many leave.
pub(crate) fn through(records: Vec<ClinicRecord>) -> usize {
    let today: NaiveDate = now().date_naive();
    let leaves = records.into_iter().map(|record| one(record, today));
    leaves.filter(|leaves| *leaves).count()
}

fn one(record: ClinicRecord, today: NaiveDate) -> bool {
    let digest = PSEUDONYMISER.record_digest(record.fact.feed(), &record.record_id);
    let identity = telling(&record);
    let draft = match PSEUDONYMISER.apply(record, today) {
        RecordOutcome::Draft(draft, _) => draft,
        RecordOutcome::OutOfScope(draft) => {
            assert!(draft.only_if_sent);
            draft
        }
        RecordOutcome::Rejected(rejection) => {
            assert!(rejection.record == digest && rejection.record_id.len() <= MAX_RECORD_ID_BYTES);
            return false;
        }
    };
    assert!(
        draft.record == digest,
        "a sweep finds a record by its id alone"
    );
    let first = Revision {
        generation: 1,
        count: 1,
    };
    let derived = SECRETS.owner_and_version(&draft.record, first);
    let (owner, version) = derived.expect("the first revision is within the limits");
    let event = Event {
        record: draft.record,
        version,
        content: draft.content,
        owner,
        body: draft
            .body
            .ready()
            .expect("a suite of HMAC leaves nobody to evaluate"),
    };
    let encoded = wire::encode(std::slice::from_ref(&event));
    assert!(
        wire::decode(&encoded) == Ok(vec![Ok(event)]),
        "what leaves is within the contract"
    );
    let text = String::from_utf8(encoded).expect("JSON is text");
    assert!(
        identity
            .iter()
            .all(|number| !text.contains(number.as_str())),
        "an identifier leaves the clinic"
    );
    true
}

/// The person's numbers that cannot stand in an event by chance: long, and of many different
/// digits.
fn telling(record: &ClinicRecord) -> Vec<String> {
    let values = record
        .person
        .identifiers
        .iter()
        .map(|identifier| identifier.value.expose_secret().to_owned());
    values
        .filter(|value| {
            let mut digits: Vec<u8> = value.bytes().filter(u8::is_ascii_digit).collect();
            let only_digits = digits.len() == value.len() && (10..=40).contains(&digits.len());
            digits.sort_unstable();
            digits.dedup();
            only_digits && digits.len() >= 4
        })
        .collect()
}

//! Inputs of the instruction-count benchmarks: a page of invented records and what it becomes, the
//! same in every run.

pub mod component;
pub mod numbers;

use chrono::{Days, NaiveDate};
use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Field, Identifier, IdentifierKind, Person,
    RecordStatus,
};
use contract::wire::MAX_EVENTS;
use contract::{Event, PrivateKey, Suite};
use draft::Draft;
use pseudonym::{KeyRing, Policy, PolicyConfig, Pseudonymiser, RecordOutcome};
use record_secrets::Revision;
use secrecy::SecretString;

use numbers::{oms, snils};

/// Records in a page: as many as the contract lets into one batch.
pub const PAGE_RECORDS: u32 = 1000;
const _: () = assert!(PAGE_RECORDS as usize == MAX_EVENTS);

/// Keys of nobody: those of crates/clinic/pseudonym's README.
const RING: &str = "pseudonym 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n\
    record ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8\n";
/// SNILS numbers begin here: far above 001-001-998, up to which they carry no check digits.
const FIRST_SNILS: u64 = 100_200_000;
/// OMS numbers (without their last digit) begin here.
const FIRST_OMS: u64 = 770_188_500_000_000;
/// Every so many-th person is a foreign citizen, with a passport and nothing else.
const FOREIGN_EVERY: u32 = 50;
/// 2021-02-01.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2021, 2, 1).expect("February has a first day");
/// The clinic's date: 2021-10-01.
pub const TODAY: NaiveDate = NaiveDate::from_ymd_opt(2021, 10, 1).expect("October has a first day");

/// The step that pseudonymises, with one key epoch and no mapped codes.
///
/// # Panics
/// Never: keys and policy are sound.
#[must_use]
pub fn pseudonymiser() -> Pseudonymiser {
    let ring = ring();
    let policy = Policy::new(&PolicyConfig::default()).expect("the defaults are a policy");
    Pseudonymiser::new(&ring, Suite::Hmac, "mis", policy).expect("the id is short")
}

fn ring() -> KeyRing {
    KeyRing::parse(&SecretString::from(RING)).expect("the keys are well-formed")
}

/// The registry's key: 32 bytes of 7.
///
/// # Panics
/// Never: any 32 bytes are a key.
#[must_use]
pub fn registry_key() -> PrivateKey {
    let text = "cgsk1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    PrivateKey::from_text(&text.into()).expect("any 32 bytes are an X25519 key")
}

/// A page: vaccinations, tests and recoveries in turn, each person with SNILS and OMS number or a
/// foreign passport.
#[must_use]
pub fn page() -> Vec<ClinicRecord> {
    (0..PAGE_RECORDS).map(record).collect()
}

/// Turns a page of records into the drafts that the outbox takes.
#[must_use]
pub fn drafts() -> Vec<Draft> {
    let pseudonymiser = pseudonymiser();
    page()
        .into_iter()
        .filter_map(|record| draft(&pseudonymiser, record))
        .collect()
}

/// The draft of a record; none if it does not leave.
#[must_use]
pub fn draft(pseudonymiser: &Pseudonymiser, record: ClinicRecord) -> Option<Draft> {
    match pseudonymiser.apply(record, TODAY) {
        RecordOutcome::Draft(draft, _) => Some(draft),
        RecordOutcome::OutOfScope(_) | RecordOutcome::Rejected(_) => None,
    }
}

/// The page as events of one batch, each the first version of its record.
///
/// # Panics
/// Never: the first revision is within the limits.
#[must_use]
pub fn events() -> Vec<Event> {
    let secrets = ring().record_secrets();
    let first = Revision {
        generation: 1,
        count: 1,
    };
    let event = |Draft {
                     record,
                     content,
                     body,
                     ..
                 }| {
        let derived = secrets.owner_and_version(&record, first);
        let (owner, version) = derived.expect("the first revision is within the limits");
        Some(Event {
            record,
            version,
            content,
            owner,
            body: body.ready()?,
        })
    };
    drafts().into_iter().filter_map(event).collect()
}

fn record(index: u32) -> ClinicRecord {
    let occurred_on = |after: u64| {
        Field::Value(ClinicDate::Day(
            FIRST_DAY + Days::new(u64::from(index) % 120 + after),
        ))
    };
    let fact = match index % 3 {
        0 => ClinicFact::Vaccination {
            vaccine: vec![Coding::local(
                ["Спутник V", "ЭпиВакКорона", "КовиВак"][(index / 3 % 3) as usize],
            )],
            dose_number: Field::Value((1 + index / 3 % 2).into()),
            series_doses: Field::Value(2.into()),
            occurred_on: occurred_on(0),
        },
        1 => ClinicFact::Test {
            test: vec![Coding::local("94759-8")],
            result: vec![Coding::local(if index.is_multiple_of(7) {
                "положительный"
            } else {
                "отрицательный"
            })],
            occurred_on: occurred_on(0),
        },
        _ => ClinicFact::Recovery {
            diagnosis: vec![Coding::local("U07.1")],
            began_on: occurred_on(0),
            occurred_on: occurred_on(17),
        },
    };
    ClinicRecord {
        record_id: (4_000_000 + index).to_string(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person: Person {
            identifiers: identifiers(index),
            unreadable: false,
        },
        fact,
        stamp: Some(1_625_119_200_000_000 + i64::from(index)),
    }
}

fn identifiers(person: u32) -> Vec<Identifier> {
    let identifier = |kind, value: String, country: Option<&str>| Identifier {
        kind,
        value: value.into(),
        country: country.map(str::to_owned),
    };
    if person.is_multiple_of(FOREIGN_EVERY) {
        return vec![identifier(
            IdentifierKind::PassportForeign,
            format!("10FR{person:05}"),
            Some("FRA"),
        )];
    }
    vec![
        identifier(
            IdentifierKind::Snils,
            snils(FIRST_SNILS + u64::from(person)),
            None,
        ),
        identifier(
            IdentifierKind::Oms,
            oms(FIRST_OMS + u64::from(person)),
            None,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A benchmark of refusals would measure something else.
    #[test]
    fn the_whole_page_leaves_as_facts() {
        let events = events();
        assert_eq!(events.len(), page().len());
        for kind in contract::FactKind::ALL {
            let of_kind = events
                .iter()
                .filter(|event| event.body.kind() == kind)
                .count();
            assert!(of_kind >= 333, "{of_kind} of {kind:?}");
        }
        assert_eq!(events, self::events(), "the same in every run");
    }
}

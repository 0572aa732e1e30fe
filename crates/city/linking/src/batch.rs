//! Opened batches: decoded events, checked against the calendar, their persons already under the
//! second layer.

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::wire::Refused;
use contract::{
    BatchId, Body, Event, Fact, FactKind, RecordDigest, RefusalReason, Subject, Version,
};
use escrow::BatchName;

use crate::open_epoch::OpenEpoch;
use crate::persons::NameSetId;
use crate::second_layer::{CityPseudonym, SecondLayerKey, StoredOwner, StoredRecord};
use crate::tokens::BatchTokens;

/// Fact that holds, and its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Medical fact.
    pub fact: Fact,
    /// Pseudonyms of the person, strongest first; at least one.
    pub pseudonyms: Vec<CityPseudonym>,
    /// Id of the set of these pseudonyms.
    pub name_set: NameSetId,
}

impl Assertion {
    /// Assertion of a fact of the person with these pseudonyms.
    #[must_use]
    pub fn new(fact: Fact, mut pseudonyms: Vec<CityPseudonym>) -> Self {
        pseudonyms.sort_unstable_by_key(CityPseudonym::strength);
        pseudonyms.dedup();
        let values: Vec<[u8; 32]> = pseudonyms.iter().map(|name| name.value).collect();
        Self {
            fact,
            name_set: NameSetId::of(&values),
            pseudonyms,
        }
    }
}

/// Digest of a record, as it came and as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordName {
    /// Digest that the sender names the record by; never stored.
    pub sent: RecordDigest,
    /// Second-layer digest that the store names it by.
    pub stored: StoredRecord,
}

/// Conditions that an event is accepted under.
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    /// Key of the second layer.
    pub key: &'a SecondLayerKey,
    /// Key epochs whose pseudonyms are accepted.
    pub open_epochs: &'a [OpenEpoch],
    /// Present time.
    pub now: DateTime<Utc>,
}

/// Version of a record, as the store takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingEvent {
    /// Batch that the event came in.
    pub batch: BatchId,
    /// Place in the batch, from 0.
    pub index: usize,
    /// Digest of the record.
    pub record: RecordName,
    /// Version of the record, as [`contract::Version::to_i64`].
    pub version: i64,
    /// Digest of the content, [`contract::ContentDigest`].
    pub content: [u8; 16],
    /// Digest of the owner token.
    pub owner: StoredOwner,
    /// Kind of the fact.
    pub kind: FactKind,
    /// Fact and person; `None` when withdrawn, or when only a tombstone is kept.
    pub asserted: Option<Assertion>,
    /// True where no pass can rest on the fact any more by the city's retention.
    pub is_outdated: bool,
}

impl IncomingEvent {
    /// Medical fact; `None` when withdrawn.
    #[must_use]
    pub fn fact(&self) -> Option<&Fact> {
        self.asserted.as_ref().map(|asserted| &asserted.fact)
    }

    /// Id of the set of the person's pseudonyms; `None` when withdrawn.
    #[must_use]
    pub fn name_set(&self) -> Option<NameSetId> {
        self.asserted.as_ref().map(|asserted| asserted.name_set)
    }

    /// True where the event takes its record back.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.asserted.is_none() && !self.is_outdated
    }

    /// True where nothing of the event's fact and person is to be stored.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.asserted.is_none() && self.is_outdated
    }

    /// The event without its fact and its person.
    #[must_use]
    pub fn tombstone(&self) -> Self {
        Self {
            asserted: None,
            ..self.clone()
        }
    }
}

/// Event that is not stored, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRefusal {
    /// Batch that the event came in.
    pub batch: BatchId,
    /// Place in the batch, from 0.
    pub index: usize,
    /// Digest of the record, where it could be read.
    pub record: Option<RecordName>,
    /// Version of the record, where it could be read.
    pub version: Option<i64>,
    /// Reason that the sender gets.
    pub reason: RefusalReason,
}

/// Batch that could be opened, its events sorted into acceptable and refused ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBatch {
    /// Id of the batch.
    pub id: BatchId,
    /// Name of the batch for the auditor's eyes; `None` where nothing is laid down for an auditor.
    pub name: Option<BatchName>,
    /// Tokens that the batch spends; `None` where it has none.
    pub tokens: Option<BatchTokens>,
    /// Events that may be stored, in the batch's order.
    pub events: Vec<IncomingEvent>,
    /// Events that may not be stored.
    pub refusals: Vec<EventRefusal>,
}

impl OpenBatch {
    /// Sorts decoded events into those that may be stored and those that may not.
    #[must_use]
    pub fn new(
        id: BatchId,
        decoded: Vec<Result<Event, Refused>>,
        acceptance: Acceptance<'_>,
    ) -> Self {
        // Gateways allow their own tomorrow, and their day begins up to 14 hours before the one of
        // UTC. More would be harmless, less would lose a fact for good: what is refused here is
        // never sent again.
        let last_day = acceptance
            .now
            .date_naive()
            .checked_add_days(Days::new(2))
            .unwrap_or(NaiveDate::MAX);
        let name = |sent: RecordDigest| RecordName {
            sent,
            stored: acceptance.key.record(&sent),
        };
        let mut batch = Self {
            id,
            name: None,
            tokens: None,
            events: Vec::with_capacity(decoded.len()),
            refusals: Vec::new(),
        };
        for (index, item) in decoded.into_iter().enumerate() {
            match item {
                Ok(event) => {
                    let record = name(event.record);
                    let version = event.version.to_i64();
                    match accept(event, acceptance, last_day) {
                        Ok(accepted) => batch.events.push(IncomingEvent {
                            batch: id,
                            index,
                            record,
                            version,
                            content: accepted.content,
                            owner: accepted.owner,
                            kind: accepted.kind,
                            asserted: accepted.asserted,
                            is_outdated: false,
                        }),
                        Err(reason) => batch.refusals.push(EventRefusal {
                            batch: id,
                            index,
                            record: Some(record),
                            version: Some(version),
                            reason,
                        }),
                    }
                }
                Err(refused) => batch.refusals.push(EventRefusal {
                    batch: id,
                    index: refused.index,
                    record: refused.record.map(name),
                    version: refused.version.map(Version::to_i64),
                    reason: refused.reason,
                }),
            }
        }
        batch
    }

    /// Refuses every event of the batch for this reason.
    pub fn refuse_all(&mut self, reason: RefusalReason) {
        let accepted = self.events.drain(..).map(|event| EventRefusal {
            batch: event.batch,
            index: event.index,
            record: Some(event.record),
            version: Some(event.version),
            reason,
        });
        self.refusals.extend(accepted);
        for refusal in &mut self.refusals {
            refusal.reason = reason;
        }
        self.refusals.sort_unstable_by_key(|refusal| refusal.index);
    }
}

/// Event without its place and its names.
struct Accepted {
    content: [u8; 16],
    owner: StoredOwner,
    kind: FactKind,
    asserted: Option<Assertion>,
}

/// Brings an event under the second layer, or says why it may not be stored.
fn accept(
    event: Event,
    acceptance: Acceptance<'_>,
    last_day: NaiveDate,
) -> Result<Accepted, RefusalReason> {
    let kind = event.body.kind();
    let asserted = match event.body {
        Body::Withdrawn { .. } => None,
        Body::Asserted { subject, fact } => {
            if latest_date(&fact) > last_day {
                return Err(RefusalReason::BadDate);
            }
            if !is_of_open_epochs(&subject, acceptance.open_epochs) {
                return Err(RefusalReason::EpochNotOpen);
            }
            let names = subject.pseudonyms().iter();
            let names = names.map(|name| acceptance.key.apply(name));
            let names = names.collect::<Option<_>>();
            Some(Assertion::new(
                fact,
                names.ok_or(RefusalReason::BadSubject)?,
            ))
        }
    };
    Ok(Accepted {
        content: event.content.0,
        owner: acceptance.key.owner(&event.record, &event.owner),
        kind,
        asserted,
    })
}

fn is_of_open_epochs(subject: &Subject, open: &[OpenEpoch]) -> bool {
    let mut names = subject.pseudonyms().iter();
    names.all(|name| OpenEpoch::is_open(open, name))
}

/// Later one of a fact's dates, each at its first possible day.
fn latest_date(fact: &Fact) -> NaiveDate {
    match fact {
        Fact::Vaccination { occurred_on, .. } | Fact::Test { occurred_on, .. } => {
            occurred_on.earliest()
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => began_on
            .map_or(NaiveDate::MIN, |date| date.earliest())
            .max(occurred_on.earliest()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{
        ContentDigest, Epoch, OwnerToken, PartialDate, Pseudonym, Scheme, Suite, Vaccine,
    };

    fn pseudonym(scheme: Scheme, epoch: Epoch) -> Pseudonym {
        Pseudonym {
            scheme,
            suite: Suite::Hmac,
            epoch,
            value: [9; 32],
        }
    }

    fn event(date: &str, names: Vec<Pseudonym>) -> Event {
        let fact = Fact::Vaccination {
            vaccine: Vaccine::SputnikV,
            dose_number: Some(1),
            series_doses: Some(2),
            occurred_on: date.parse::<PartialDate>().unwrap(),
        };
        Event {
            record: RecordDigest([1; 32]),
            version: Version::MAX,
            content: ContentDigest([2; 16]),
            owner: OwnerToken([3; 16]),
            body: Body::Asserted {
                subject: Subject::new(names).unwrap(),
                fact,
            },
        }
    }

    fn on(date: &str) -> Event {
        let names = [Scheme::PassportRu, Scheme::Snils].map(|scheme| pseudonym(scheme, 1));
        event(date, names.to_vec())
    }

    fn open(event: Event) -> OpenBatch {
        let acceptance = Acceptance {
            key: &SecondLayerKey::generate(),
            open_epochs: &[1, 2].map(OpenEpoch::of_every_suite),
            now: "2021-06-30T23:00:00Z".parse().unwrap(),
        };
        OpenBatch::new(BatchId([3; 16]), vec![Ok(event)], acceptance)
    }

    #[test]
    fn a_clinics_tomorrow_is_allowed_wherever_its_day_began_and_the_day_after_is_not() {
        assert_eq!(open(on("2021-07-01")).refusals, []);
        // 23:00 UTC is 02:00 of July 1 in Moscow.
        assert_eq!(open(on("2021-07-02")).refusals, []);
        let refused = open(on("2021-07-03"));
        assert_eq!(refused.refusals[0].reason, RefusalReason::BadDate);
        assert!(refused.events.is_empty());
        assert_eq!(
            open(on("2021")).refusals,
            [],
            "a year counts from its first day"
        );
    }

    #[test]
    fn the_strongest_pseudonym_comes_first() {
        let batch = open(on("2021-06-01"));
        let asserted = batch.events[0].asserted.as_ref().unwrap();
        let schemes = asserted.pseudonyms.iter().map(|name| name.scheme);
        assert_eq!(
            schemes.collect::<Vec<_>>(),
            [Scheme::Snils, Scheme::PassportRu]
        );
    }

    #[test]
    fn an_event_with_a_name_of_a_closed_epoch_is_refused_whole() {
        let of = |epochs: &[Epoch]| {
            let names = epochs.iter().map(|epoch| pseudonym(Scheme::Snils, *epoch));
            open(event("2021-06-01", names.collect()))
        };
        assert_eq!(of(&[1, 2]).refusals, []);
        for closed in [[2, 3], [1, 65535]] {
            let batch = of(&closed);
            assert_eq!(batch.refusals[0].reason, RefusalReason::EpochNotOpen);
            assert!(batch.refusals[0].record.is_some() && batch.events.is_empty());
        }
    }

    #[test]
    fn an_event_with_a_name_that_is_no_element_is_refused_whole() {
        // The generator of ristretto255 (RFC 9496, appendix A.1), and the same with one bit more.
        let element = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";
        let mut value = [0; 32];
        hex::decode_to_slice(element, &mut value).unwrap();
        let of = |value: [u8; 32]| {
            let name = Pseudonym {
                suite: Suite::Voprf,
                value,
                ..pseudonym(Scheme::Oms, 1)
            };
            open(event("2021-06-01", vec![pseudonym(Scheme::Snils, 1), name]))
        };
        let good = of(value);
        assert_eq!((good.events.len(), good.refusals.len()), (1, 0));
        value[0] |= 1;
        let bad = of(value);
        assert_eq!(bad.refusals[0].reason, RefusalReason::BadSubject);
        assert!(bad.refusals[0].record.is_some() && bad.events.is_empty());
    }

    #[test]
    fn nothing_is_stored_as_it_came() {
        let batch = open(on("2021-06-01"));
        let stored = &batch.events[0];
        assert_ne!(stored.record.stored, stored.record.sent.0);
        assert_ne!(stored.owner, [3; 16]);
        let names = &stored.asserted.as_ref().unwrap().pseudonyms;
        assert!(names.iter().all(|name| name.value != [9; 32]));
    }
}

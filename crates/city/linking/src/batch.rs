//! Opened batches: decoded events, checked against the calendar, their persons already under the
//! second layer.

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::wire::Refused;
use contract::{BatchId, Body, Event, Fact, FactKind, RefusalReason};

use crate::second_layer::{CityPseudonym, SecondLayerKey};

/// Fact that holds, and its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Medical fact.
    pub fact: Fact,
    /// Pseudonyms of the person, strongest first; at least one.
    pub pseudonyms: Vec<CityPseudonym>,
}

/// Version of a record, as the store takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingEvent {
    /// Batch that the event came in.
    pub batch: BatchId,
    /// Place in the batch, from 0.
    pub index: usize,
    /// Digest of the record.
    pub record: [u8; 32],
    /// Version of the record, as [`contract::Version::to_u64`], which fits.
    pub version: i64,
    /// Digest of the content, [`contract::ContentDigest`]; `None` from a gateway that sends none.
    pub content: Option<[u8; 16]>,
    /// Kind of the fact.
    pub kind: FactKind,
    /// Fact and person; `None` when withdrawn.
    pub asserted: Option<Assertion>,
}

impl IncomingEvent {
    /// Medical fact; `None` when withdrawn.
    #[must_use]
    pub fn fact(&self) -> Option<&Fact> {
        self.asserted.as_ref().map(|asserted| &asserted.fact)
    }

    /// Value of the strongest pseudonym of the person; `None` when withdrawn.
    #[must_use]
    pub fn strongest_value(&self) -> Option<[u8; 32]> {
        let asserted = self.asserted.as_ref()?;
        asserted.pseudonyms.first().map(|strongest| strongest.value)
    }

    /// True where the event takes its record back.
    #[must_use]
    pub const fn is_withdrawn(&self) -> bool {
        self.asserted.is_none()
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
    pub record: Option<[u8; 32]>,
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
        key: &SecondLayerKey,
        now: DateTime<Utc>,
    ) -> Self {
        // Gateways allow their own tomorrow, and their day begins up to 14 hours before the one of
        // UTC. More would be harmless, less would lose a fact for good: what is refused here is
        // never sent again.
        let last_day = now
            .date_naive()
            .checked_add_days(Days::new(2))
            .unwrap_or(NaiveDate::MAX);
        let mut batch = Self {
            id,
            events: Vec::with_capacity(decoded.len()),
            refusals: Vec::new(),
        };
        for (index, item) in decoded.into_iter().enumerate() {
            match item {
                Ok(event) => match accept(id, index, event, key, last_day) {
                    Ok(event) => batch.events.push(event),
                    Err(refusal) => batch.refusals.push(refusal),
                },
                Err(refused) => batch.refusals.push(EventRefusal {
                    batch: id,
                    index: refused.index,
                    record: refused.record.map(|record| record.0),
                    version: refused
                        .version
                        .and_then(|version| i64::try_from(version.to_u64()).ok()),
                    reason: refused.reason,
                }),
            }
        }
        batch
    }
}

/// Makes the event that the store takes, or the refusal of one that may not be stored.
fn accept(
    batch: BatchId,
    index: usize,
    event: Event,
    key: &SecondLayerKey,
    last_day: NaiveDate,
) -> Result<IncomingEvent, EventRefusal> {
    let record = event.record.0;
    let version = i64::try_from(event.version.to_u64()).ok();
    let refuse = |reason| EventRefusal {
        batch,
        index,
        record: Some(record),
        version,
        reason,
    };
    let kind = event.body.kind();
    let content = event.content.map(|content| content.0);
    let asserted = match event.body {
        Body::Withdrawn { .. } => None,
        Body::Asserted { subject, fact } => {
            if latest_date(&fact) > last_day {
                return Err(refuse(RefusalReason::BadDate));
            }
            let mut pseudonyms: Vec<_> = subject
                .pseudonyms()
                .iter()
                .map(|pseudonym| key.apply(pseudonym))
                .collect();
            pseudonyms.sort_unstable_by_key(CityPseudonym::strength);
            Some(Assertion { fact, pseudonyms })
        }
    };
    let version = version.ok_or_else(|| refuse(RefusalReason::Malformed))?;
    Ok(IncomingEvent {
        batch,
        index,
        record,
        version,
        content,
        kind,
        asserted,
    })
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
        PartialDate, Pseudonym, RecordDigest, Scheme, Subject, Suite, Vaccine, Version,
    };

    fn event(date: &str, version: Version) -> Event {
        let pseudonym = |scheme| Pseudonym {
            scheme,
            suite: Suite::Hmac,
            epoch: 1,
            value: [9; 32],
        };
        let subject = Subject::new(vec![
            pseudonym(Scheme::PassportRu),
            pseudonym(Scheme::Snils),
        ])
        .unwrap();
        let fact = Fact::Vaccination {
            vaccine: Vaccine::SputnikV,
            dose_number: Some(1),
            series_doses: Some(2),
            occurred_on: date.parse::<PartialDate>().unwrap(),
        };
        Event {
            record: RecordDigest([1; 32]),
            version,
            content: None,
            body: Body::Asserted { subject, fact },
        }
    }

    fn open(event: Event) -> OpenBatch {
        let now = "2021-06-30T23:00:00Z".parse().unwrap();
        OpenBatch::new(
            BatchId([3; 16]),
            vec![Ok(event)],
            &SecondLayerKey::generate(),
            now,
        )
    }

    #[test]
    fn a_clinics_tomorrow_is_allowed_wherever_its_day_began_and_the_day_after_is_not() {
        let version = Version {
            generation: 1,
            count: 1,
        };
        assert_eq!(open(event("2021-07-01", version)).refusals, []);
        // 23:00 UTC is 02:00 of July 1 in Moscow.
        assert_eq!(open(event("2021-07-02", version)).refusals, []);
        let refused = open(event("2021-07-03", version));
        assert_eq!(refused.refusals[0].reason, RefusalReason::BadDate);
        assert!(refused.events.is_empty());
        assert_eq!(
            open(event("2021", version)).refusals,
            [],
            "a year counts from its first day"
        );
    }

    #[test]
    fn the_strongest_pseudonym_comes_first() {
        let batch = open(event(
            "2021-06-01",
            Version {
                generation: 1,
                count: 1,
            },
        ));
        let asserted = batch.events[0].asserted.as_ref().unwrap();
        assert_eq!(
            asserted
                .pseudonyms
                .iter()
                .map(|p| p.scheme)
                .collect::<Vec<_>>(),
            [Scheme::Snils, Scheme::PassportRu]
        );
    }

    #[test]
    fn a_version_beyond_a_bigint_is_malformed() {
        let batch = open(event(
            "2021-06-01",
            Version {
                generation: u32::MAX,
                count: 1,
            },
        ));
        assert_eq!(batch.refusals[0].reason, RefusalReason::Malformed);
    }
}

//! Which drafts of a page have something to tell, and under which version: pure, no database.

use std::cmp::Reverse;
use std::collections::HashMap;

use contract::{Body, ContentDigest, Draft, Event, RecordDigest, Version};

use crate::gate::Key;
use crate::index::ByDigest;
use crate::keys::key_of;
use crate::{Committed, OutboxError, Pulled, Refused, SourceStamp};

/// What the outbox remembers of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) record_no: i64,
    /// `None` for a record that was not read since feeds are remembered.
    pub(crate) feed_id: Option<i64>,
    pub(crate) stamp: SourceStamp,
    /// `None` where it was forgotten so that the record is sent again, or where there never was
    /// one.
    pub(crate) content: Option<ContentDigest>,
    /// The last version given out; of count 0 if there was none.
    pub(crate) version: Version,
    pub(crate) withdrawn: bool,
}

impl Known {
    pub(crate) const fn was_sent(&self) -> bool {
        self.version.count > 0
    }
}

/// What to remember of a record from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) record: RecordDigest,
    /// `None` for a record that is new.
    pub(crate) record_no: Option<i64>,
    pub(crate) content: Option<ContentDigest>,
    pub(crate) version: Version,
    pub(crate) withdrawn: bool,
    pub(crate) stamp: SourceStamp,
}

impl Row {
    /// What is remembered under the number.
    pub(crate) const fn remembered(&self, record_no: i64, feed_id: Option<i64>) -> Known {
        let Self {
            content,
            version,
            withdrawn,
            stamp,
            ..
        } = *self;
        Known {
            record_no,
            feed_id,
            stamp,
            content,
            version,
            withdrawn,
        }
    }
}

/// What a page comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What to seal, and beside each event what its draft said that the event does not.
    pub(crate) events: Vec<Event>,
    pub(crate) beside: Vec<Beside>,
    /// The drafts with nothing to tell.
    pub(crate) silent: Vec<Pulled>,
    /// What to remember, in the order of the drafts; then what is new among the refused.
    pub(crate) rows: Vec<Row>,
    /// Records of which only feed or stamp have changed: their numbers and new stamps.
    pub(crate) moved: Vec<(i64, SourceStamp)>,
    /// The keys of the records that `rows` and `moved` are about, sorted.
    pub(crate) changed: Vec<Key>,
    /// The counts of drafts; the rest stays zero.
    pub(crate) counts: Committed,
}

/// What of a draft is no part of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beside {
    stamp: SourceStamp,
    only_if_sent: bool,
}

impl Plan {
    fn sized(drafts: usize) -> Self {
        let events = Vec::with_capacity(drafts);
        let beside = Vec::with_capacity(drafts);
        let rows = Vec::with_capacity(drafts);
        let changed = Vec::with_capacity(drafts);
        Self {
            events,
            beside,
            rows,
            changed,
            ..Self::default()
        }
    }

    fn remember(&mut self, row: Row) {
        self.changed.push(key_of(&row.record));
        self.rows.push(row);
    }

    fn move_to(&mut self, record: &RecordDigest, known: &Known, stamp: SourceStamp) {
        self.changed.push(key_of(record));
        self.moved.push((known.record_no, stamp));
    }

    /// Takes in the plan of a page that speaks of other records.
    pub(crate) fn join(&mut self, other: Self) {
        let Self {
            events,
            beside,
            silent,
            rows,
            moved,
            changed,
            counts,
        } = other;
        self.events.extend(events);
        self.beside.extend(beside);
        self.silent.extend(silent);
        self.rows.extend(rows);
        self.moved.extend(moved);
        self.changed.extend(changed);
        self.changed.sort_unstable();
        self.counts = self.counts.plus(counts);
    }

    /// The drafts again, sorted, to plan them anew.
    pub(crate) fn into_drafts(self) -> Vec<Pulled> {
        let mut drafts = self.silent;
        drafts.extend(
            self.events
                .into_iter()
                .zip(self.beside)
                .filter_map(|(event, beside)| {
                    let Event {
                        record,
                        content,
                        body,
                        ..
                    } = event;
                    let Beside {
                        stamp,
                        only_if_sent,
                    } = beside;
                    Some(Pulled {
                        draft: Draft {
                            record,
                            content: content?,
                            body,
                            only_if_sent,
                        },
                        stamp,
                    })
                }),
        );
        sorted(drafts).0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    New,
    Corrected,
    Withdrawn,
    Resent,
    Unchanged,
}

/// Keeps the last draft of every record, sorted by record, and says how many earlier ones
/// fell away.
pub(crate) fn last_of_each(drafts: Vec<Pulled>) -> (Vec<Pulled>, u64) {
    let offered = drafts.len();
    let (drafts, kept) = sorted(drafts);
    (drafts, (offered - kept) as u64)
}

/// The last of each record, sorted, and how many. Places are sorted, not the drafts: those are many
/// times as large.
fn sorted(drafts: Vec<Pulled>) -> (Vec<Pulled>, usize) {
    let records = drafts.iter().map(|pulled| pulled.draft.record);
    let mut places: Vec<(RecordDigest, Reverse<usize>)> = records.zip((0..).map(Reverse)).collect();
    places.sort_unstable();
    places.dedup_by_key(|(record, _)| *record);
    let mut drafts: Vec<Option<Pulled>> = drafts.into_iter().map(Some).collect();
    let sorted: Vec<Pulled> = places
        .iter()
        .filter_map(|(_, Reverse(place))| drafts[*place].take())
        .collect();
    (sorted, places.len())
}

/// The refused rows that no draft speaks of, the last of each record.
pub(crate) fn only_refused<'a>(
    refused: &'a [Refused],
    sorted: &[Pulled],
) -> HashMap<RecordDigest, &'a Refused> {
    let drafted = |record| {
        sorted
            .binary_search_by_key(&record, |pulled| pulled.draft.record)
            .is_ok()
    };
    refused
        .iter()
        .filter(|one| !drafted(one.record))
        .map(|one| (one.record, one))
        .collect()
}

/// Decides on drafts of distinct, sorted records of one feed.
pub(crate) fn plan(
    drafts: Vec<Pulled>,
    refused: &HashMap<RecordDigest, &Refused>,
    known: &HashMap<RecordDigest, Known, ByDigest>,
    feed_id: Option<i64>,
    generation: u32,
) -> Result<Plan, OutboxError> {
    let mut plan = Plan::sized(drafts.len());
    let moved = |known: &Known, stamp| known.stamp != stamp || known.feed_id != feed_id;
    for Pulled { draft, stamp } in drafts {
        let known = known.get(&draft.record);
        let withdrawn = matches!(draft.body, Body::Withdrawn { .. });
        let record = draft.record;
        let content = Some(draft.content);
        let record_no = known.map(|known| known.record_no);
        let row = |version| Row {
            record,
            record_no,
            content,
            version,
            withdrawn,
            stamp,
        };
        let counter = match judge(&draft, known, generation) {
            Verdict::New => &mut plan.counts.new,
            Verdict::Corrected => &mut plan.counts.corrected,
            Verdict::Withdrawn => &mut plan.counts.withdrawn,
            Verdict::Resent => &mut plan.counts.resent,
            Verdict::Unchanged => {
                plan.counts.unchanged += 1;
                match known {
                    None => plan.remember(row(Version {
                        generation,
                        count: 0,
                    })),
                    Some(known) if moved(known, stamp) => plan.move_to(&record, known, stamp),
                    Some(_) => {}
                }
                plan.silent.push(Pulled { draft, stamp });
                continue;
            }
        };
        *counter += 1;
        let version = next_version(known, generation)?;
        plan.remember(row(version));
        plan.events.push(Event {
            record,
            version,
            content,
            body: draft.body,
        });
        plan.beside.push(Beside {
            stamp,
            only_if_sent: draft.only_if_sent,
        });
        let asked_for = known.is_some_and(|known| known.was_sent() && known.content.is_none());
        plan.counts.missed += u64::from(!asked_for);
    }
    // Sent again only because the generation rose: the source's pulls missed nothing.
    plan.counts.missed = plan.counts.missed.saturating_sub(plan.counts.resent);
    for (record, refused) in refused {
        let stamp = refused.stamp;
        match known.get(record) {
            None => {
                let version = Version {
                    generation,
                    count: 0,
                };
                let record = *record;
                let record_no = None;
                plan.remember(Row {
                    record,
                    record_no,
                    content: None,
                    version,
                    withdrawn: false,
                    stamp,
                });
            }
            Some(known) if moved(known, stamp) => plan.move_to(record, known, stamp),
            Some(_) => {}
        }
    }
    plan.changed.sort_unstable();
    Ok(plan)
}

fn judge(draft: &Draft, known: Option<&Known>, generation: u32) -> Verdict {
    let withdraws = matches!(draft.body, Body::Withdrawn { .. });
    let Some(known) = known.filter(|known| known.was_sent()) else {
        return match (withdraws, draft.only_if_sent && generation == 1) {
            (false, _) => Verdict::New,
            (true, true) => Verdict::Unchanged,
            // In a later generation the record may have been sent by the state that was lost.
            (true, false) => Verdict::Withdrawn,
        };
    };
    let same_content = known
        .content
        .is_some_and(|content| withdraws || content == draft.content);
    let same = withdraws == known.withdrawn && same_content;
    match (same, known.version.generation >= generation) {
        (true, true) => Verdict::Unchanged,
        // What the registry holds may be newer than what this outbox remembers: say it again, above
        // that.
        (true, false) => Verdict::Resent,
        (false, _) if withdraws => Verdict::Withdrawn,
        (false, _) => Verdict::Corrected,
    }
}

/// Counts up within the present generation, or within the later one of a version that was adopted
/// from the registry.
pub(crate) fn next_version(known: Option<&Known>, generation: u32) -> Result<Version, OutboxError> {
    let (generation, count) = match known.filter(|known| known.was_sent()) {
        Some(Known { version, .. }) if version.generation >= generation => {
            (version.generation, version.count.checked_add(1))
        }
        _ => (generation, Some(1)),
    };
    let count = count.ok_or(OutboxError::Exhausted {
        what: "version of a record",
    })?;
    Ok(Version { generation, count })
}

#[cfg(test)]
mod tests {
    use contract::FactKind;

    use super::*;

    const RECORD: RecordDigest = RecordDigest([1; 32]);

    fn withdrawal(only_if_sent: bool) -> Draft {
        let body = Body::Withdrawn {
            kind: FactKind::Vaccination,
        };
        Draft {
            record: RECORD,
            content: ContentDigest([0; 16]),
            body,
            only_if_sent,
        }
    }

    fn assertion(content: u8) -> Draft {
        let pseudonym = contract::Pseudonym {
            scheme: contract::Scheme::Snils,
            suite: contract::Suite::Hmac,
            epoch: 1,
            value: [9; 32],
        };
        let occurred_on = contract::PartialDate::from_year(2021).unwrap();
        let body = Body::Asserted {
            subject: contract::Subject::new(vec![pseudonym]).unwrap(),
            fact: contract::Fact::Recovery {
                began_on: None,
                occurred_on,
            },
        };
        Draft {
            record: RECORD,
            content: ContentDigest([content; 16]),
            body,
            only_if_sent: false,
        }
    }

    fn known(content: u8, generation: u32, withdrawn: bool) -> Known {
        let version = Version {
            generation,
            count: 7,
        };
        let content = Some(ContentDigest([content; 16]));
        Known {
            record_no: 1,
            feed_id: Some(1),
            stamp: None,
            content,
            version,
            withdrawn,
        }
    }

    #[test]
    fn verdicts_within_a_generation() {
        let asserted = known(1, 1, false);
        let withdrawn = known(0, 1, true);
        assert_eq!(judge(&assertion(1), None, 1), Verdict::New);
        assert_eq!(judge(&assertion(1), Some(&asserted), 1), Verdict::Unchanged);
        assert_eq!(judge(&assertion(2), Some(&asserted), 1), Verdict::Corrected);
        assert_eq!(
            judge(&assertion(1), Some(&withdrawn), 1),
            Verdict::Corrected,
            "asserted again"
        );
        assert_eq!(
            judge(&withdrawal(true), None, 1),
            Verdict::Unchanged,
            "never sent"
        );
        assert_eq!(judge(&withdrawal(false), None, 1), Verdict::Withdrawn);
        assert_eq!(
            judge(&withdrawal(true), Some(&asserted), 1),
            Verdict::Withdrawn
        );
        assert_eq!(
            judge(&withdrawal(true), Some(&withdrawn), 1),
            Verdict::Unchanged
        );
        assert_eq!(
            judge(&withdrawal(false), Some(&withdrawn), 1),
            Verdict::Unchanged
        );
    }

    #[test]
    fn everything_is_said_again_in_a_later_generation() {
        assert_eq!(
            judge(&assertion(1), Some(&known(1, 1, false)), 2),
            Verdict::Resent
        );
        assert_eq!(
            judge(&assertion(2), Some(&known(1, 1, false)), 2),
            Verdict::Corrected
        );
        assert_eq!(
            judge(&withdrawal(true), Some(&known(0, 1, true)), 2),
            Verdict::Resent
        );
        assert_eq!(
            judge(&withdrawal(true), None, 2),
            Verdict::Withdrawn,
            "the lost state may have sent it"
        );
        assert_eq!(
            next_version(Some(&known(1, 1, false)), 2).unwrap(),
            Version {
                generation: 2,
                count: 1
            }
        );
        assert_eq!(
            next_version(Some(&known(1, 2, false)), 2).unwrap(),
            Version {
                generation: 2,
                count: 8
            }
        );
    }

    #[test]
    fn last_draft_of_a_record_counts() {
        let pulled = |draft| Pulled { draft, stamp: None };
        let other = pulled(Draft {
            record: RecordDigest([0; 32]),
            ..assertion(5)
        });
        let offered = vec![pulled(assertion(1)), other.clone(), pulled(assertion(2))];
        assert_eq!(
            last_of_each(offered),
            (vec![other, pulled(assertion(2))], 1)
        );
    }

    #[test]
    fn what_was_forgotten_or_never_sent_is_no_reason_to_keep_silent() {
        let forgotten = |withdrawn| Known {
            content: None,
            ..known(0, 1, withdrawn)
        };
        assert_eq!(
            judge(&assertion(1), Some(&forgotten(false)), 1),
            Verdict::Corrected
        );
        assert_eq!(
            judge(&withdrawal(true), Some(&forgotten(true)), 1),
            Verdict::Withdrawn
        );
        let never = Known {
            version: Version {
                generation: 1,
                count: 0,
            },
            ..known(1, 1, false)
        };
        assert_eq!(judge(&assertion(1), Some(&never), 1), Verdict::New);
        assert_eq!(
            judge(&withdrawal(true), Some(&never), 1),
            Verdict::Unchanged
        );
        assert_eq!(
            next_version(Some(&never), 1).unwrap(),
            Version {
                generation: 1,
                count: 1
            }
        );
    }

    #[test]
    fn adopted_version_of_a_later_generation_is_counted_up() {
        let adopted = known(1, 5, false);
        assert_eq!(judge(&assertion(1), Some(&adopted), 2), Verdict::Unchanged);
        assert_eq!(
            next_version(Some(&adopted), 2).unwrap(),
            Version {
                generation: 5,
                count: 8
            }
        );
        assert_eq!(
            next_version(Some(&adopted), 6).unwrap(),
            Version {
                generation: 6,
                count: 1
            }
        );
    }

    #[test]
    fn page_moves_stamps_and_remembers_the_refused_without_sending() {
        let unchanged = Known {
            stamp: Some(5),
            ..known(1, 1, false)
        };
        let known = HashMap::from_iter([(RECORD, unchanged)]);
        let refused = Refused {
            record_id: "r".into(),
            reason: "bad-snils",
            record: RecordDigest([2; 32]),
            stamp: Some(9),
        };
        let drafts = vec![Pulled {
            draft: assertion(1),
            stamp: Some(6),
        }];
        let list = [refused];
        let refused = only_refused(&list, &drafts);
        let plan = plan(drafts.clone(), &refused, &known, Some(1), 1).unwrap();
        assert_eq!(
            (plan.events.len(), plan.moved.as_slice()),
            (0, [(1, Some(6))].as_slice())
        );
        assert_eq!(
            (
                plan.rows.len(),
                plan.rows[0].version.count,
                plan.rows[0].stamp
            ),
            (1, 0, Some(9))
        );
        let also_drafted = [Refused {
            record: RECORD,
            ..list[0].clone()
        }];
        assert!(
            only_refused(&also_drafted, &drafts).is_empty(),
            "the draft speaks for its record"
        );
    }
}

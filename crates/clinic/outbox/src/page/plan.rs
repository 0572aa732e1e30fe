//! The plan of a page: which drafts need an event, and under which version. Pure, no database.

use std::collections::HashMap;

use contract::{Body, Draft, Event, RecordDigest, Version};

use super::drafts::sort_and_keep_last;
use super::types::{Committed, Pulled};
use crate::dead_letters::Refused;
use crate::file::OutboxError;
use crate::records::{Key, KnownRecord, RecordMap, RecordUpdate, SourceStamp, key_of};
use crate::versions::next_version;

/// Metadata of a draft that are no part of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DraftMetadata {
    stamp: SourceStamp,
    only_if_sent: bool,
}

/// Plan of a page: its events, and the changes of records.
#[derive(Debug, Default)]
pub(super) struct PagePlan {
    /// Events to seal.
    pub(super) events: Vec<Event>,
    /// Metadata of the events' drafts, in the same order.
    pub(super) metadata: Vec<DraftMetadata>,
    /// Drafts that need no event.
    pub(super) unchanged: Vec<Pulled>,
    /// New states of records, in the order of the drafts; then new ones among the refused.
    pub(super) updates: Vec<RecordUpdate>,
    /// Numbers and new stamps of records of which only feed or stamp have changed.
    pub(super) moved: Vec<(i64, SourceStamp)>,
    /// Keys of the records in `updates` and `moved`, sorted.
    pub(super) changed: Vec<Key>,
    /// Counts of the drafts; the rest stays zero.
    pub(super) counts: Committed,
}

impl PagePlan {
    /// Plans a page of distinct, sorted records of one feed. `refused` are rows without a draft.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] after the last version of a record.
    pub(super) fn new(
        drafts: Vec<Pulled>,
        refused: &HashMap<RecordDigest, &Refused>,
        known: &RecordMap<KnownRecord>,
        feed_id: Option<i64>,
        generation: u32,
    ) -> Result<Self, OutboxError> {
        let mut plan = Self {
            events: Vec::with_capacity(drafts.len()),
            metadata: Vec::with_capacity(drafts.len()),
            updates: Vec::with_capacity(drafts.len()),
            changed: Vec::with_capacity(drafts.len()),
            ..Self::default()
        };
        for pulled in drafts {
            let known = known.get(&pulled.draft.record);
            plan.add_draft(pulled, known, feed_id, generation)?;
        }
        // Sent again only because the generation rose: the source's pulls missed nothing.
        plan.counts.missed = plan.counts.missed.saturating_sub(plan.counts.resent);
        for (record, refused) in refused {
            plan.add_refused(
                record,
                refused.stamp,
                known.get(record),
                feed_id,
                generation,
            );
        }
        plan.changed.sort_unstable();
        Ok(plan)
    }

    fn add_draft(
        &mut self,
        pulled: Pulled,
        known: Option<&KnownRecord>,
        feed_id: Option<i64>,
        generation: u32,
    ) -> Result<(), OutboxError> {
        let counter = match change_of(&pulled.draft, known, generation) {
            Change::New => &mut self.counts.new,
            Change::Corrected => &mut self.counts.corrected,
            Change::Withdrawn => &mut self.counts.withdrawn,
            Change::Resent => &mut self.counts.resent,
            Change::Unchanged => {
                self.add_unchanged(pulled, known, feed_id, generation);
                return Ok(());
            }
        };
        *counter += 1;
        let version = next_version(known, generation)?;
        let update = update_of(&pulled, known, version);
        self.update(update);
        let Pulled { draft, stamp } = pulled;
        self.events.push(Event {
            record: draft.record,
            version,
            content: Some(draft.content),
            body: draft.body,
        });
        self.metadata.push(DraftMetadata {
            stamp,
            only_if_sent: draft.only_if_sent,
        });
        let was_asked_for =
            known.is_some_and(|known| known.state.was_sent() && known.state.content.is_none());
        self.counts.missed += u64::from(!was_asked_for);
        Ok(())
    }

    fn add_unchanged(
        &mut self,
        pulled: Pulled,
        known: Option<&KnownRecord>,
        feed_id: Option<i64>,
        generation: u32,
    ) {
        self.counts.unchanged += 1;
        let never_sent = Version {
            generation,
            count: 0,
        };
        match known {
            None => self.update(update_of(&pulled, None, never_sent)),
            Some(known) => {
                self.move_if_changed(&pulled.draft.record, known, feed_id, pulled.stamp);
            }
        }
        self.unchanged.push(pulled);
    }

    fn add_refused(
        &mut self,
        record: &RecordDigest,
        stamp: SourceStamp,
        known: Option<&KnownRecord>,
        feed_id: Option<i64>,
        generation: u32,
    ) {
        match known {
            None => self.update(RecordUpdate {
                record: *record,
                record_no: None,
                content: None,
                version: Version {
                    generation,
                    count: 0,
                },
                withdrawn: false,
                stamp,
            }),
            Some(known) => self.move_if_changed(record, known, feed_id, stamp),
        }
    }

    fn update(&mut self, update: RecordUpdate) {
        self.changed.push(key_of(&update.record));
        self.updates.push(update);
    }

    fn move_if_changed(
        &mut self,
        record: &RecordDigest,
        known: &KnownRecord,
        feed_id: Option<i64>,
        stamp: SourceStamp,
    ) {
        if known.state.stamp != stamp || known.state.feed_id != feed_id {
            self.changed.push(key_of(record));
            self.moved.push((known.record_no, stamp));
        }
    }

    /// Takes in the plan of a page of other records.
    pub(super) fn join(&mut self, other: Self) {
        self.events.extend(other.events);
        self.metadata.extend(other.metadata);
        self.unchanged.extend(other.unchanged);
        self.updates.extend(other.updates);
        self.moved.extend(other.moved);
        self.changed.extend(other.changed);
        self.changed.sort_unstable();
        self.counts = self.counts.plus(other.counts);
    }

    /// Drafts of the plan, sorted, to plan them anew.
    pub(super) fn into_drafts(self) -> Vec<Pulled> {
        let mut drafts = self.unchanged;
        let sent = self.events.into_iter().zip(self.metadata);
        drafts.extend(sent.filter_map(|(event, metadata)| {
            Some(Pulled {
                draft: Draft {
                    record: event.record,
                    content: event.content?,
                    body: event.body,
                    only_if_sent: metadata.only_if_sent,
                },
                stamp: metadata.stamp,
            })
        }));
        sort_and_keep_last(drafts).drafts
    }
}

fn update_of(pulled: &Pulled, known: Option<&KnownRecord>, version: Version) -> RecordUpdate {
    let draft = &pulled.draft;
    RecordUpdate {
        record: draft.record,
        record_no: known.map(|known| known.record_no),
        content: Some(draft.content),
        version,
        withdrawn: matches!(draft.body, Body::Withdrawn { .. }),
        stamp: pulled.stamp,
    }
}

/// Change of a record by its draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Corrected,
    Withdrawn,
    Resent,
    Unchanged,
}

fn change_of(draft: &Draft, known: Option<&KnownRecord>, generation: u32) -> Change {
    let withdraws = matches!(draft.body, Body::Withdrawn { .. });
    let Some(known) = known.filter(|known| known.state.was_sent()) else {
        return match (withdraws, draft.only_if_sent && generation == 1) {
            (false, _) => Change::New,
            (true, true) => Change::Unchanged,
            // In a later generation the record may have been sent by the state that was lost.
            (true, false) => Change::Withdrawn,
        };
    };
    let same_content = known
        .state
        .content
        .is_some_and(|content| withdraws || content == draft.content);
    let same = withdraws == known.state.withdrawn && same_content;
    match (same, known.state.version.generation >= generation) {
        (true, true) => Change::Unchanged,
        // The registry may hold something newer than this outbox remembers: send it again, above
        // that.
        (true, false) => Change::Resent,
        (false, _) if withdraws => Change::Withdrawn,
        (false, _) => Change::Corrected,
    }
}

#[cfg(test)]
mod tests {
    use contract::{ContentDigest, FactKind};
    use record_index::RecordState;

    use super::super::drafts::refused_without_draft;
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

    fn known(content: u8, generation: u32, withdrawn: bool) -> KnownRecord {
        let version = Version {
            generation,
            count: 7,
        };
        let content = Some(ContentDigest([content; 16]));
        KnownRecord {
            record_no: 1,
            state: RecordState {
                feed_id: Some(1),
                stamp: None,
                content,
                version,
                withdrawn,
            },
        }
    }

    #[test]
    fn changes_within_a_generation() {
        let asserted = known(1, 1, false);
        let withdrawn = known(0, 1, true);
        assert_eq!(change_of(&assertion(1), None, 1), Change::New);
        assert_eq!(
            change_of(&assertion(1), Some(&asserted), 1),
            Change::Unchanged
        );
        assert_eq!(
            change_of(&assertion(2), Some(&asserted), 1),
            Change::Corrected
        );
        assert_eq!(
            change_of(&assertion(1), Some(&withdrawn), 1),
            Change::Corrected,
            "asserted again"
        );
        assert_eq!(
            change_of(&withdrawal(true), None, 1),
            Change::Unchanged,
            "never sent"
        );
        assert_eq!(change_of(&withdrawal(false), None, 1), Change::Withdrawn);
        assert_eq!(
            change_of(&withdrawal(true), Some(&asserted), 1),
            Change::Withdrawn
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&withdrawn), 1),
            Change::Unchanged
        );
        assert_eq!(
            change_of(&withdrawal(false), Some(&withdrawn), 1),
            Change::Unchanged
        );
    }

    #[test]
    fn everything_is_sent_again_in_a_later_generation() {
        assert_eq!(
            change_of(&assertion(1), Some(&known(1, 1, false)), 2),
            Change::Resent
        );
        assert_eq!(
            change_of(&assertion(2), Some(&known(1, 1, false)), 2),
            Change::Corrected
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&known(0, 1, true)), 2),
            Change::Resent
        );
        assert_eq!(
            change_of(&withdrawal(true), None, 2),
            Change::Withdrawn,
            "the lost state may have sent it"
        );
    }

    #[test]
    fn forgotten_or_never_sent_content_is_sent() {
        let forgotten = |withdrawn| {
            let mut known = known(0, 1, withdrawn);
            known.state.content = None;
            known
        };
        assert_eq!(
            change_of(&assertion(1), Some(&forgotten(false)), 1),
            Change::Corrected
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&forgotten(true)), 1),
            Change::Withdrawn
        );
        let mut never = known(1, 1, false);
        never.state.version.count = 0;
        assert_eq!(change_of(&assertion(1), Some(&never), 1), Change::New);
        assert_eq!(
            change_of(&withdrawal(true), Some(&never), 1),
            Change::Unchanged
        );
    }

    #[test]
    fn adopted_version_of_a_later_generation_is_counted_up() {
        let adopted = known(1, 5, false);
        assert_eq!(
            change_of(&assertion(1), Some(&adopted), 2),
            Change::Unchanged
        );
    }

    #[test]
    fn page_moves_stamps_and_keeps_the_refused_without_sending() {
        let mut unchanged = known(1, 1, false);
        unchanged.state.stamp = Some(5);
        let known = RecordMap::from_iter([(RECORD, unchanged)]);
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
        let refused = refused_without_draft(&list, &drafts);
        let plan = PagePlan::new(drafts.clone(), &refused, &known, Some(1), 1).unwrap();
        assert_eq!(
            (plan.events.len(), plan.moved.as_slice()),
            (0, [(1, Some(6))].as_slice())
        );
        assert_eq!(
            (
                plan.updates.len(),
                plan.updates[0].version.count,
                plan.updates[0].stamp
            ),
            (1, 0, Some(9))
        );
        let also_drafted = [Refused {
            record: RECORD,
            ..list[0].clone()
        }];
        assert!(
            refused_without_draft(&also_drafted, &drafts).is_empty(),
            "the draft counts for its record"
        );
    }
}

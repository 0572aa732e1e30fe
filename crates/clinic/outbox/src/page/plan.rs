//! The plan of a page: which drafts need an event, and under which revision. Pure, no database.

use std::collections::HashMap;

use contract::{ContentDigest, Event, RecordDigest};
use draft::Draft;
use record_secrets::Revision;

use super::drafts::sort_and_keep_last;
use super::evaluation::PlannedEvent;
use super::types::{Committed, Pulled};
use crate::dead_letters::Refused;
use crate::records::{Key, KnownRecord, RecordMap, RecordUpdate, SourceStamp, key_of};
use crate::versions::next_revision;

/// Metadata of a draft that are no part of its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DraftMetadata {
    stamp: SourceStamp,
    only_if_sent: bool,
}

/// State of the outbox that a page is planned on, beside its records.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlanBasis<'a> {
    /// Row of the feed, if there is one.
    pub(super) feed_id: Option<i64>,
    /// Present generation.
    pub(super) generation: u32,
    /// Generation since which contents can be compared: earlier ones are of the contract's first
    /// version, which digested otherwise.
    pub(super) contents_since: u32,
    /// True if a state that was lost may have sent records that are not known here.
    pub(super) may_be_lost: bool,
    /// Contents that the registry refused, by their records: they are not sent again as they are.
    pub(super) refused_contents: &'a RecordMap<ContentDigest>,
}

impl PlanBasis<'_> {
    /// Returns whether the registry has refused what the draft says.
    fn is_refused(&self, draft: &Draft) -> bool {
        self.refused_contents.get(&draft.record) == Some(&draft.content)
    }
}

/// Plan of a page: its events, and the changes of records.
#[derive(Debug, Default)]
pub(super) struct PagePlan {
    /// Events to seal; none once they are.
    pub(super) new_events: Vec<PlannedEvent>,
    /// Sealed events.
    pub(super) events: Vec<Event>,
    /// Metadata of the events' drafts, in the same order.
    pub(super) metadata: Vec<DraftMetadata>,
    /// Drafts that need no event.
    pub(super) unchanged: Vec<Pulled>,
    /// Drafts that the registry refused as they are, and that are not sent again.
    pub(super) still_refused: Vec<Pulled>,
    /// Records of refused rows of which an older version stands at the registry.
    pub(super) refused_corrections: Vec<RecordDigest>,
    /// Records of such rows that could not be read, for a cause that may be the source's own and
    /// pass: they count as refused corrections once they have failed before.
    pub(super) unread_corrections: Vec<RecordDigest>,
    /// Records of refused rows of which only a state that was lost can have sent an older version.
    pub(super) possible_corrections: Vec<RecordDigest>,
    /// Drafts that no version is left for.
    pub(super) parked: Vec<Pulled>,
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
    pub(super) fn new(
        drafts: Vec<Pulled>,
        refused: &HashMap<RecordDigest, &Refused>,
        known: &RecordMap<KnownRecord>,
        basis: PlanBasis<'_>,
    ) -> Self {
        let mut plan = Self {
            new_events: Vec::with_capacity(drafts.len()),
            metadata: Vec::with_capacity(drafts.len()),
            updates: Vec::with_capacity(drafts.len()),
            changed: Vec::with_capacity(drafts.len()),
            ..Self::default()
        };
        for pulled in drafts {
            let known = known.get(&pulled.draft.record);
            plan.add_draft(pulled, known, basis);
        }
        // Sent again only because the generation rose: the source's pulls missed nothing.
        plan.counts.missed = plan.counts.missed.saturating_sub(plan.counts.resent);
        for refused in refused.values() {
            plan.add_refused(refused, known.get(&refused.record), basis);
        }
        plan.changed.sort_unstable();
        plan
    }

    fn add_draft(&mut self, pulled: Pulled, known: Option<&KnownRecord>, basis: PlanBasis<'_>) {
        self.counts.went_back += u64::from(went_back(known, pulled.stamp));
        let change = change_of(&pulled.draft, known, basis);
        let revision = next_revision(known, basis.generation);
        let Some(revision) = revision.filter(|_| change != Change::Unchanged) else {
            self.note_unsent(&pulled, known, basis);
            if change == Change::Unchanged {
                if is_no_fact(&pulled.draft, known) {
                    self.counts.no_fact += 1;
                } else {
                    self.counts.unchanged += 1;
                }
                if basis.is_refused(&pulled.draft) {
                    self.still_refused.push(pulled);
                } else {
                    self.unchanged.push(pulled);
                }
            } else {
                self.counts.parked += 1;
                self.parked.push(pulled);
            }
            return;
        };
        *self.counts.of_mut(change) += 1;
        self.counts.sent += 1;
        let update = update_of(&pulled, known, revision);
        self.update(update);
        let Pulled { draft, stamp } = pulled;
        self.new_events.push(PlannedEvent {
            record: draft.record,
            revision,
            content: draft.content,
            body: draft.body,
        });
        self.metadata.push(DraftMetadata {
            stamp,
            only_if_sent: draft.only_if_sent,
        });
        let was_asked_for =
            known.is_some_and(|known| known.state.was_sent() && known.state.content.is_none());
        self.counts.missed += u64::from(!was_asked_for);
    }

    fn note_unsent(&mut self, pulled: &Pulled, known: Option<&KnownRecord>, basis: PlanBasis<'_>) {
        match known {
            None => {
                let never_sent = Revision::never_sent(basis.generation);
                self.update(update_of(pulled, None, never_sent));
            }
            Some(known) => {
                self.move_if_changed(&pulled.draft.record, known, basis.feed_id, pulled.stamp);
            }
        }
    }

    fn add_refused(
        &mut self,
        refused: &Refused,
        known: Option<&KnownRecord>,
        basis: PlanBasis<'_>,
    ) {
        let Refused { record, stamp, .. } = refused;
        self.counts.went_back += u64::from(went_back(known, *stamp));
        let never_sent = known.is_none_or(|known| !known.state.was_sent());
        let stands = refused.leaves_older_version();
        if never_sent && basis.may_be_lost && !stands {
            self.possible_corrections.push(*record);
        }
        match known {
            None => self.update(RecordUpdate {
                record: *record,
                record_no: None,
                content: None,
                revision: Revision::never_sent(basis.generation),
                withdrawn: false,
                stamp: *stamp,
            }),
            Some(known) => {
                self.move_if_changed(record, known, basis.feed_id, *stamp);
                if known.state.was_sent() && !known.state.withdrawn && !stands {
                    let corrections = if refused.may_pass() {
                        &mut self.unread_corrections
                    } else {
                        &mut self.refused_corrections
                    };
                    corrections.push(*record);
                }
            }
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
        self.new_events.extend(other.new_events);
        self.events.extend(other.events);
        self.metadata.extend(other.metadata);
        self.unchanged.extend(other.unchanged);
        self.still_refused.extend(other.still_refused);
        self.refused_corrections.extend(other.refused_corrections);
        self.unread_corrections.extend(other.unread_corrections);
        self.possible_corrections.extend(other.possible_corrections);
        self.parked.extend(other.parked);
        self.updates.extend(other.updates);
        self.moved.extend(other.moved);
        self.changed.extend(other.changed);
        self.changed.sort_unstable();
        self.counts = self.counts.plus(other.counts);
    }

    /// Records that have a draft.
    pub(super) fn records(&self) -> impl Iterator<Item = &RecordDigest> {
        let unsent = self.unchanged.iter().chain(&self.parked);
        let unsent = unsent.chain(&self.still_refused);
        let unsent = unsent.map(|pulled| &pulled.draft.record);
        self.events.iter().map(|event| &event.record).chain(unsent)
    }

    /// Drafts of the plan, sorted, to plan them anew.
    pub(super) fn into_drafts(self) -> Vec<Pulled> {
        let mut drafts = self.unchanged;
        drafts.extend(self.parked);
        drafts.extend(self.still_refused);
        let sent = self.events.into_iter().zip(self.metadata);
        drafts.extend(sent.map(|(event, metadata)| Pulled {
            draft: Draft {
                record: event.record,
                content: event.content,
                body: event.body.into(),
                only_if_sent: metadata.only_if_sent,
            },
            stamp: metadata.stamp,
        }));
        sort_and_keep_last(drafts).drafts
    }
}

/// Returns whether a row's stamp lies before the one remembered.
fn went_back(known: Option<&KnownRecord>, stamp: SourceStamp) -> bool {
    let stamps = known.and_then(|known| known.state.stamp).zip(stamp);
    stamps.is_some_and(|(before, now)| now < before)
}

fn update_of(pulled: &Pulled, known: Option<&KnownRecord>, revision: Revision) -> RecordUpdate {
    let draft = &pulled.draft;
    RecordUpdate {
        record: draft.record,
        record_no: known.map(|known| known.record_no),
        content: Some(draft.content),
        revision,
        withdrawn: draft.body.withdraws(),
        stamp: pulled.stamp,
    }
}

/// Change of a record by its draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Corrected,
    Withdrawn,
    /// Withdrawn though this state never sent it.
    WithdrawnUnsent,
    Resent,
    Unchanged,
}

impl Committed {
    const fn of_mut(&mut self, change: Change) -> &mut u64 {
        match change {
            Change::New => &mut self.new,
            Change::Corrected => &mut self.corrected,
            Change::Withdrawn => &mut self.withdrawn,
            Change::WithdrawnUnsent => &mut self.withdrawn_unsent,
            Change::Resent => &mut self.resent,
            Change::Unchanged => &mut self.unchanged,
        }
    }
}

/// Returns whether a draft that changes nothing says nothing to the registry, and never did.
fn is_no_fact(draft: &Draft, known: Option<&KnownRecord>) -> bool {
    let withdraws = draft.body.withdraws();
    withdraws && !known.is_some_and(|known| known.state.was_sent())
}

fn change_of(draft: &Draft, known: Option<&KnownRecord>, basis: PlanBasis<'_>) -> Change {
    let withdraws = draft.body.withdraws();
    let Some(known) = known.filter(|known| known.state.was_sent()) else {
        return match (withdraws, draft.only_if_sent && basis.generation == 1) {
            (false, _) => Change::New,
            (true, true) => Change::Unchanged,
            // A cancelled record may have been sent by a state that was lost without a trace; in a
            // later generation any may have been.
            (true, false) => Change::WithdrawnUnsent,
        };
    };
    // Withdrawn since the registry refused it: it would do so again.
    if known.state.withdrawn && basis.is_refused(draft) {
        return Change::Unchanged;
    }
    let since = known.state.revision.generation;
    let is_comparable = since >= basis.contents_since;
    let same_content = known
        .state
        .content
        .is_some_and(|content| withdraws || content == draft.content || !is_comparable);
    let same = withdraws == known.state.withdrawn && same_content;
    match (same, since >= basis.generation) {
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
    use std::sync::LazyLock;

    use contract::{Body, FactKind};
    use record_index::RecordState;
    use record_secrets::MAX_COUNT;

    use super::super::drafts::refused_without_draft;
    use super::*;
    use crate::{PERSON_HIDDEN, RECORD_UNREADABLE};

    const RECORD: RecordDigest = RecordDigest([1; 32]);

    static NONE_REFUSED: LazyLock<RecordMap<ContentDigest>> = LazyLock::new(RecordMap::default);

    fn basis(generation: u32) -> PlanBasis<'static> {
        PlanBasis {
            feed_id: Some(1),
            generation,
            contents_since: 1,
            may_be_lost: false,
            refused_contents: &NONE_REFUSED,
        }
    }

    fn withdrawal(only_if_sent: bool) -> Draft {
        let body = Body::Withdrawn {
            kind: FactKind::Vaccination,
        };
        Draft {
            record: RECORD,
            content: ContentDigest([0; 16]),
            body: body.into(),
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
            body: body.into(),
            only_if_sent: false,
        }
    }

    fn known(content: u8, generation: u32, withdrawn: bool) -> KnownRecord {
        let revision = Revision {
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
                revision,
                withdrawn,
            },
        }
    }

    #[test]
    fn changes_within_a_generation() {
        let asserted = known(1, 1, false);
        let withdrawn = known(0, 1, true);
        assert_eq!(change_of(&assertion(1), None, basis(1)), Change::New);
        assert_eq!(
            change_of(&assertion(1), Some(&asserted), basis(1)),
            Change::Unchanged
        );
        assert_eq!(
            change_of(&assertion(2), Some(&asserted), basis(1)),
            Change::Corrected
        );
        assert_eq!(
            change_of(&assertion(1), Some(&withdrawn), basis(1)),
            Change::Corrected,
            "asserted again"
        );
        assert_eq!(
            change_of(&withdrawal(true), None, basis(1)),
            Change::Unchanged,
            "never sent"
        );
        assert_eq!(
            change_of(&withdrawal(false), None, basis(1)),
            Change::WithdrawnUnsent,
            "nothing of it was sent, as far as this state knows"
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&asserted), basis(1)),
            Change::Withdrawn
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&withdrawn), basis(1)),
            Change::Unchanged
        );
        assert_eq!(
            change_of(&withdrawal(false), Some(&withdrawn), basis(1)),
            Change::Unchanged
        );
    }

    #[test]
    fn everything_is_sent_again_in_a_later_generation() {
        assert_eq!(
            change_of(&assertion(1), Some(&known(1, 1, false)), basis(2)),
            Change::Resent
        );
        assert_eq!(
            change_of(&assertion(2), Some(&known(1, 1, false)), basis(2)),
            Change::Corrected
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&known(0, 1, true)), basis(2)),
            Change::Resent
        );
        assert_eq!(
            change_of(&withdrawal(true), None, basis(2)),
            Change::WithdrawnUnsent,
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
            change_of(&assertion(1), Some(&forgotten(false)), basis(1)),
            Change::Corrected
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&forgotten(true)), basis(1)),
            Change::Withdrawn
        );
        let mut never = known(1, 1, false);
        never.state.revision.count = 0;
        assert_eq!(
            change_of(&assertion(1), Some(&never), basis(1)),
            Change::New
        );
        assert_eq!(
            change_of(&withdrawal(true), Some(&never), basis(1)),
            Change::Unchanged
        );
    }

    #[test]
    fn adopted_version_of_a_later_generation_is_counted_up() {
        let adopted = known(1, 5, false);
        assert_eq!(
            change_of(&assertion(1), Some(&adopted), basis(2)),
            Change::Unchanged
        );
    }

    #[test]
    fn page_moves_stamps_and_keeps_the_refused_without_sending() {
        let mut unchanged = known(1, 1, false);
        unchanged.state.stamp = Some(5);
        let known = RecordMap::from_iter([(RECORD, unchanged)]);
        let refused = Refused {
            value: None,
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
        let plan = PagePlan::new(drafts.clone(), &refused, &known, basis(1));
        assert_eq!(
            (plan.new_events.len(), plan.moved.as_slice()),
            (0, [(1, Some(6))].as_slice())
        );
        assert_eq!(
            (
                plan.updates.len(),
                plan.updates[0].revision.count,
                plan.updates[0].stamp
            ),
            (1, 0, Some(9))
        );
        let also_drafted = [Refused {
            value: None,
            record: RECORD,
            ..list[0].clone()
        }];
        assert!(
            refused_without_draft(&also_drafted, &drafts).is_empty(),
            "the draft counts for its record"
        );
    }

    #[test]
    fn a_row_that_may_be_unreadable_for_a_moment_is_no_refused_correction_yet() {
        let known = RecordMap::from_iter([(RECORD, known(1, 1, false))]);
        for (reason, stamp, unread) in [
            (RECORD_UNREADABLE, None, true),
            (RECORD_UNREADABLE, Some(9), false),
            ("bad-snils", None, false),
        ] {
            let list = [Refused {
                value: None,
                record_id: "r".into(),
                reason,
                record: RECORD,
                stamp,
            }];
            let refused = refused_without_draft(&list, &[]);
            let plan = PagePlan::new(Vec::new(), &refused, &known, basis(1));
            let sorted = |yes| if yes { vec![RECORD] } else { vec![] };
            assert_eq!(plan.unread_corrections, sorted(unread), "{reason}");
            assert_eq!(plan.refused_corrections, sorted(!unread), "{reason}");
        }
    }

    #[test]
    fn a_row_whose_person_is_hidden_leaves_its_older_version_alone() {
        let sent = RecordMap::from_iter([(RECORD, known(1, 1, false))]);
        let after_loss = PlanBasis {
            may_be_lost: true,
            ..basis(2)
        };
        for (reason, corrections, possible) in [(PERSON_HIDDEN, 0, 0), ("date-invalid", 1, 1)] {
            let list = [Refused {
                value: None,
                record_id: "r".into(),
                reason,
                record: RECORD,
                stamp: None,
            }];
            let refused = refused_without_draft(&list, &[]);
            let plan = PagePlan::new(Vec::new(), &refused, &sent, after_loss);
            let noted = plan.refused_corrections.len() + plan.unread_corrections.len();
            assert_eq!(noted, corrections, "{reason}");
            let plan = PagePlan::new(Vec::new(), &refused, &RecordMap::default(), after_loss);
            assert_eq!(plan.possible_corrections.len(), possible, "{reason}");
        }
    }

    #[test]
    fn content_of_the_first_contract_is_sent_again_whatever_it_was() {
        let renewed = PlanBasis {
            contents_since: 3,
            ..basis(3)
        };
        let change = |draft: &Draft, known: KnownRecord| change_of(draft, Some(&known), renewed);
        assert_eq!(
            change(&assertion(2), known(1, 2, false)),
            Change::Resent,
            "nobody can tell it from a correction"
        );
        assert_eq!(change(&assertion(2), known(1, 3, false)), Change::Corrected);
        assert_eq!(change(&assertion(2), known(1, 2, true)), Change::Corrected);
        assert_eq!(
            change(&withdrawal(true), known(1, 2, false)),
            Change::Withdrawn
        );
    }

    #[test]
    fn record_without_a_version_left_is_parked_and_the_rest_of_the_page_goes_on() {
        let mut exhausted = known(1, 1, false);
        exhausted.state.revision.count = MAX_COUNT;
        let known = RecordMap::from_iter([(RECORD, exhausted)]);
        let other = Draft {
            record: RecordDigest([2; 32]),
            ..assertion(5)
        };
        let drafts = [assertion(2), other.clone()].map(|draft| Pulled {
            draft,
            stamp: Some(9),
        });
        let plan =
            |generation| PagePlan::new(drafts.to_vec(), &HashMap::new(), &known, basis(generation));
        let parked = plan(1);
        assert_eq!(
            (parked.parked.len(), parked.parked[0].draft.record),
            (1, RECORD)
        );
        assert_eq!((parked.counts.parked, parked.counts.new), (1, 1));
        assert_eq!(parked.new_events[0].record, other.record);
        assert_eq!(
            parked.moved,
            [(1, Some(9))],
            "a sweep need not read it again"
        );
        assert_eq!(
            parked.into_drafts().len(),
            1,
            "the other one is being sealed"
        );
        let risen = plan(2);
        assert_eq!((risen.parked.len(), risen.new_events.len()), (0, 2));
    }
}

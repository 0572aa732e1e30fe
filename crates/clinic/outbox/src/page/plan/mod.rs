//! The plan of a page: which drafts need an event, and under which revision. Pure, no database.

mod change;

use std::collections::HashMap;

use contract::{ContentDigest, Event, RecordDigest};
use draft::{Draft, FactClass};
use record_secrets::{ClassDigest, Revision};

use self::change::{Change, change_of, is_forgotten, is_no_fact, stands};
use super::drafts::sort_and_keep_last;
use super::evaluation::PlannedEvent;
use super::types::{Committed, Pulled};
use crate::classes::{MemberState, NewMember, Opening};
use crate::dead_letters::Refused;
use crate::records::{Key, KnownRecord, RecordMap, RecordUpdate, SourceStamp, key_of};
use crate::versions::next_revision;

/// Metadata of a draft that are no part of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DraftMetadata {
    stamp: SourceStamp,
    only_if_sent: bool,
    class: Option<FactClass>,
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
    /// Classes of the page's facts that are too small, and those that open.
    pub(super) classes: &'a Opening,
}

impl PlanBasis<'_> {
    /// Returns whether the registry has refused what the draft says.
    fn is_refused(&self, draft: &Draft) -> bool {
        self.refused_contents.get(&draft.record) == Some(&draft.content)
    }

    /// Class of the draft's fact, if too few persons are in it.
    fn small_class(&self, draft: &Draft) -> Option<FactClass> {
        let class = draft.class.as_ref();
        let leaves_coarser = self.classes.coarser(draft).is_some();
        class
            .filter(|class| !leaves_coarser && self.classes.is_small(class))
            .cloned()
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
    /// Drafts that are withheld, since too few persons are in their class.
    pub(super) withheld: Vec<Pulled>,
    /// Records in classes that are not open: those withheld, and those that stand at the registry
    /// already.
    pub(super) members: Vec<NewMember>,
    /// Classes that open with the page.
    pub(super) opened: Vec<ClassDigest>,
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
            opened: basis.classes.opened().to_vec(),
            ..Self::default()
        };
        plan.changed.extend(basis.classes.keys());
        for pulled in drafts {
            let known = known.get(&pulled.draft.record);
            plan.add_draft(pulled, known, basis);
        }
        for refused in refused.values() {
            plan.add_refused(refused, known.get(&refused.record), basis);
        }
        plan.changed.sort_unstable();
        plan
    }

    fn add_draft(&mut self, pulled: Pulled, known: Option<&KnownRecord>, basis: PlanBasis<'_>) {
        self.counts.went_back += u64::from(went_back(known, pulled.stamp));
        let pulled = self.coarsened(pulled, basis);
        let change = change_of(&pulled.draft, known, basis);
        if let Some(class) = basis.small_class(&pulled.draft) {
            let says_the_same = match change {
                Change::Unchanged => true,
                Change::Resent => !known.is_some_and(is_forgotten),
                _ => false,
            };
            // Or the same about other names of the person, or what a repair sends again.
            let stood = || stands(known) && basis.classes.stands(&pulled.draft);
            let state = if says_the_same || stood() {
                MemberState::Standing
            } else {
                MemberState::Withheld
            };
            if !basis.is_refused(&pulled.draft) || state == MemberState::Withheld {
                self.members.push(NewMember {
                    record: pulled.draft.record,
                    class,
                    state,
                });
            }
            if state == MemberState::Withheld {
                self.withhold(pulled, known, basis);
                return;
            }
        }
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
        self.metadata.push(DraftMetadata {
            stamp,
            only_if_sent: draft.only_if_sent,
            class: draft.class,
        });
        self.new_events.push(PlannedEvent {
            record: draft.record,
            revision,
            content: draft.content,
            body: draft.body,
        });
        // What is sent again as it was, the source's pulls have not missed; nor what somebody has
        // asked for.
        let was_missed = change != Change::Resent && !known.is_some_and(is_forgotten);
        self.counts.missed += u64::from(was_missed);
    }

    /// The draft with a coarser date, where it leaves with one; else as it is.
    fn coarsened(&mut self, pulled: Pulled, basis: PlanBasis<'_>) -> Pulled {
        let Pulled { draft, stamp } = pulled;
        let coarser = basis.classes.coarser(&draft);
        let coarser = coarser.map(|(state, coarser)| (state, coarser.clone()));
        let (Some((state, coarser)), Some(class)) = (coarser, draft.class.clone()) else {
            return Pulled { draft, stamp };
        };
        self.members.push(NewMember {
            record: draft.record,
            class,
            state,
        });
        let draft = Draft {
            content: coarser.content,
            body: draft.body.with_fact(coarser.fact),
            ..draft
        };
        Pulled { draft, stamp }
    }

    /// Keeps a draft back whose class is too small. An older version of its record is treated as that
    /// of a refused row: what is not true any more does not go on standing.
    fn withhold(&mut self, pulled: Pulled, known: Option<&KnownRecord>, basis: PlanBasis<'_>) {
        let record = pulled.draft.record;
        self.counts.withheld += 1;
        match known {
            None => {
                let never_sent = Revision::never_sent(basis.generation);
                self.update(RecordUpdate {
                    content: None,
                    ..update_of(&pulled, None, never_sent)
                });
            }
            Some(known) => {
                self.move_if_changed(&record, known, basis.feed_id, pulled.stamp);
                if known.state.was_sent() && !known.state.withdrawn {
                    self.refused_corrections.push(record);
                }
            }
        }
        if basis.may_be_lost && known.is_none_or(|known| !known.state.was_sent()) {
            self.possible_corrections.push(record);
        }
        self.withheld.push(pulled);
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
        self.withheld.extend(other.withheld);
        self.members.extend(other.members);
        self.opened.extend(other.opened);
        self.updates.extend(other.updates);
        self.moved.extend(other.moved);
        self.changed.extend(other.changed);
        self.changed.sort_unstable();
        self.counts = self.counts.plus(other.counts);
    }

    /// Records that have a draft.
    pub(super) fn records(&self) -> impl Iterator<Item = &RecordDigest> {
        let unsent = self.unchanged.iter().chain(&self.parked);
        let unsent = unsent.chain(&self.still_refused).chain(&self.withheld);
        let unsent = unsent.map(|pulled| &pulled.draft.record);
        self.events.iter().map(|event| &event.record).chain(unsent)
    }

    /// Drafts of the plan, sorted, to plan them anew.
    pub(super) fn into_drafts(self) -> Vec<Pulled> {
        let mut drafts = self.unchanged;
        drafts.extend(self.parked);
        drafts.extend(self.still_refused);
        drafts.extend(self.withheld);
        let sent = self.events.into_iter().zip(self.metadata);
        drafts.extend(sent.map(|(event, metadata)| Pulled {
            draft: Draft {
                record: event.record,
                content: event.content,
                body: event.body.into(),
                only_if_sent: metadata.only_if_sent,
                class: metadata.class,
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

#[cfg(test)]
mod tests;

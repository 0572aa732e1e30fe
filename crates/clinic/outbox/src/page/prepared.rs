//! Prepared pages: looked up, planned and sealed, to be committed later.
//!
//! No part of a prepared page is written, and no sealed byte leaves. The state it rests on
//! (records, generation, feed) is compared again under the commit gate; if a commit since may have
//! changed any of it, the page is prepared anew there, and its batches are thrown away: no version
//! is given out by a preparation, only by a commit.

use std::fmt;

use contract::FactKind;

use super::plan::PagePlan;
use super::types::PageCommit;
use crate::batches::NewBatch;
use crate::file::OutboxError;
use crate::records::Key;
use crate::sweep::NamesLacking;
use crate::versions::{ReadPoint, any_common};

/// A page whose batches are sealed, to be given to [`crate::Outbox::commit`]. Dropped instead, it
/// leaves no trace.
pub struct Prepared {
    /// Page without its drafts: those are in the plan.
    pub(super) page: PageCommit,
    /// Kind of the feed's facts, if a draft tells.
    pub(super) kind: Option<FactKind>,
    /// Number of drafts that were handed in.
    pub(super) offered_drafts: u64,
    /// Drafts that a later one of the same record replaced.
    pub(super) replaced_drafts: u64,
    pub(super) read: ReadState,
    pub(super) plan: PagePlan,
    pub(super) batches: Vec<NewBatch>,
}

/// State that the plan of a page rests on.
pub(super) struct ReadState {
    /// Point before the look-up.
    pub(super) point: ReadPoint,
    /// Keys of the records looked up, sorted.
    pub(super) keys: Vec<Key>,
    pub(super) generation: u32,
    pub(super) feed_id: Option<i64>,
    /// Numbers of the records that were known.
    pub(super) record_nos: Vec<i64>,
    /// Highest record number at the look-up.
    pub(super) upto: i64,
    /// Names that the page of a content sweep has, and that are not stored yet.
    pub(super) names: NamesLacking,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Prepared({}/{}, {} events, {} batches)",
            self.page.source,
            self.page.feed,
            self.plan.events.len(),
            self.batches.len()
        )
    }
}

impl Prepared {
    /// Takes in the page that follows, so that both are committed in one transaction, with one wait
    /// for the disk; the cursor and the time are those of the second then. The page is given back
    /// where that would not come to the same as one commit after the other: pages of two feeds, of
    /// sweeps, or of the same record, prepared in two generations or in another order.
    ///
    /// # Errors
    /// The page given, which is to be committed after this one.
    pub fn join(&mut self, next: Self) -> Result<(), Box<Self>> {
        if !self.may_join(&next) {
            return Err(Box::new(next));
        }
        let page = &mut self.page;
        page.refused.extend(next.page.refused);
        page.accepted_record_ids
            .extend(next.page.accepted_record_ids);
        page.names.extend(next.page.names);
        page.resume = next.page.resume.or(page.resume.take());
        page.now = next.page.now;
        self.kind = self.kind.or(next.kind);
        self.offered_drafts += next.offered_drafts;
        self.replaced_drafts += next.replaced_drafts;
        self.read.join(next.read);
        self.plan.join(next.plan);
        self.batches.extend(next.batches);
        Ok(())
    }

    fn may_join(&self, next: &Self) -> bool {
        let page = &self.page;
        let next_page = &next.page;
        page.source == next_page.source
            && page.feed == next_page.feed
            && page.generation_at_read == next_page.generation_at_read
            && page.sweep.is_none()
            && next_page.sweep.is_none()
            && self.read.may_join(&next.read)
    }
}

impl ReadState {
    fn may_join(&self, next: &Self) -> bool {
        self.generation == next.generation
            && self.feed_id == next.feed_id
            && self.point.is_no_later_than(next.point)
            && !any_common(&self.keys, &next.keys)
    }

    /// Takes in a later state. A page that rests on two look-ups rests on the earlier: at worst it
    /// is prepared anew without need.
    fn join(&mut self, later: Self) {
        self.keys.extend(later.keys);
        self.keys.sort_unstable();
        self.record_nos.extend(later.record_nos);
        self.upto = self.upto.min(later.upto);
    }
}

/// A page that was not committed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotCommitted {
    /// Reason.
    #[source]
    pub error: OutboxError,
    /// Page as it was, to be committed later; `None` where it has to be read again.
    pub prepared: Option<Box<Prepared>>,
}

impl From<OutboxError> for NotCommitted {
    fn from(error: OutboxError) -> Self {
        Self {
            error,
            prepared: None,
        }
    }
}

impl From<NotCommitted> for OutboxError {
    fn from(not_committed: NotCommitted) -> Self {
        not_committed.error
    }
}

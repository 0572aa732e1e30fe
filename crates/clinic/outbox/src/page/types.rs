//! Pages as callers hand them in, and what they came to.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use draft::{Draft, Evaluator};

use crate::dead_letters::Refused;
use crate::file::{OutboxError, check_name};
use crate::limits::MAX_PAGE_DRAFTS;
use crate::records::{RecordName, SourceStamp};
use crate::sweep::SweepStep;

/// Longest cursor, in bytes: a connector's own (4096) and what the gateway writes before it.
const MAX_CURSOR_BYTES: usize = 4096 + 256;

/// A row of the clinic that became a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Draft of the row.
    pub draft: Draft,
    /// Change stamp of the row.
    pub stamp: SourceStamp,
}

/// A page of one feed, ready to be made durable.
#[derive(Debug, Clone)]
pub struct PageCommit {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Drafts of the page's rows, at most [`MAX_PAGE_DRAFTS`]; of a record that comes twice the
    /// last one counts.
    pub drafts: Vec<Pulled>,
    /// Rows that were refused.
    pub refused: Vec<Refused>,
    /// Record ids of the rows that were *not* refused: their dead letters are closed. Needed only
    /// when [`crate::Outbox::has_dead_letters`] says there are any.
    pub accepted_record_ids: Vec<String>,
    /// Names of the rows whose drafts assert a fact, of a content sweep those of all drafts: a sweep
    /// asks for them by these, should they be missing.
    pub names: Vec<RecordName>,
    /// Cursor of the next run once this page is safe; `None` leaves the cursor as it is.
    pub resume: Option<String>,
    /// Generation when the run that read this page began, looked up before its cursor was. If it
    /// has risen since, the cursor stays forgotten: all before this page is still to be sent again.
    /// `None`: the present one.
    pub generation_at_read: Option<u32>,
    /// Step of a sweep that the page is; what it has seen becomes durable with it.
    pub sweep: Option<SweepStep>,
    /// Evaluator of the persons of drafts whose pseudonyms are yet to be evaluated; it is asked
    /// about those only that are sent. `None` where no draft has such a person.
    pub evaluator: Option<Arc<dyn Evaluator>>,
    /// Present time.
    pub now: DateTime<Utc>,
}

impl PageCommit {
    /// Returns whether the page is one of whole rows, of a sweep.
    pub(crate) const fn reads_contents(&self) -> bool {
        match &self.sweep {
            Some(step) => step.contents.is_some(),
            None => false,
        }
    }

    /// Checks the page against its limits.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`].
    pub(crate) fn check(&self) -> Result<(), OutboxError> {
        check_name(&self.source)?;
        check_name(&self.feed)?;
        let sweep = self.sweep.as_ref();
        let lengths = [
            self.drafts.len(),
            self.refused.len(),
            self.accepted_record_ids.len(),
            self.names.len(),
            sweep.map_or(0, |step| step.seen.keys.max(step.letter_names.len())),
            sweep.map_or(0, |step| step.record_names.len()),
        ];
        if lengths.into_iter().any(|length| length > MAX_PAGE_DRAFTS) {
            return Err(OutboxError::TooLarge { what: "a page" });
        }
        let keys_cursor = sweep.and_then(|step| step.cursor.as_ref());
        let mut cursors = self.resume.iter().chain(keys_cursor);
        if cursors.any(|cursor| cursor.len() > MAX_CURSOR_BYTES) {
            return Err(OutboxError::TooLarge { what: "a cursor" });
        }
        Ok(())
    }
}

/// Counts of a committed page. `sent + unchanged + no_fact + parked + withheld` is the number of its
/// drafts, and with `refused` it is `read`; what is sent is new, corrected, withdrawn,
/// sent before or not, or resent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Rows of the page, whatever came of them.
    pub read: u64,
    /// Rows that were put into batches.
    pub sent: u64,
    /// Records never sent before.
    pub new: u64,
    /// Records sent before and now sent with other content.
    pub corrected: u64,
    /// Records sent before and now withdrawn.
    pub withdrawn: u64,
    /// Records that are cancelled and were never sent from this state: withdrawn all the same,
    /// since a state that was lost may have sent them.
    pub withdrawn_unsent: u64,
    /// Records sent again because the generation rose, or a retry or a repair asked for it; as they
    /// were, as far as can be told.
    pub resent: u64,
    /// Drafts that need no event: sent already, withdrawn already, and earlier drafts of a record
    /// that came twice.
    pub unchanged: u64,
    /// Drafts that say nothing to the registry, and never did: about something else than COVID-19,
    /// or not done, such as an appointment.
    pub no_fact: u64,
    /// Drafts that no version is left for: dead letters with the reason
    /// [`crate::VERSIONS_EXHAUSTED`].
    pub parked: u64,
    /// Drafts that are withheld, since too few persons are in their class.
    pub withheld: u64,
    /// Rows that were refused, listed in the dead letters or not.
    pub refused: u64,
    /// Rows among `refused` that were not refused before.
    pub refused_new: u64,
    /// Dead letters closed because their row was accepted.
    pub cleared: u64,
    /// Events of a sweep's page that the source's pulls had missed.
    pub missed: u64,
    /// Rows of a content sweep's page whose stamp lies before the one remembered.
    pub went_back: u64,
    /// Sealed batches added.
    pub batches: u64,
}

impl Committed {
    /// Number of events that were put into batches.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.new + self.corrected + self.withdrawn + self.withdrawn_unsent + self.resent
    }

    /// Sum of two pages' counts.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            sent: self.sent + other.sent,
            new: self.new + other.new,
            corrected: self.corrected + other.corrected,
            withdrawn: self.withdrawn + other.withdrawn,
            withdrawn_unsent: self.withdrawn_unsent + other.withdrawn_unsent,
            resent: self.resent + other.resent,
            unchanged: self.unchanged + other.unchanged,
            no_fact: self.no_fact + other.no_fact,
            parked: self.parked + other.parked,
            withheld: self.withheld + other.withheld,
            refused: self.refused + other.refused,
            refused_new: self.refused_new + other.refused_new,
            cleared: self.cleared + other.cleared,
            missed: self.missed + other.missed,
            went_back: self.went_back + other.went_back,
            batches: self.batches + other.batches,
        }
    }
}

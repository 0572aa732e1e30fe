//! What a draft changes of its record.

use draft::Draft;

use super::super::types::Committed;
use super::PlanBasis;
use crate::records::KnownRecord;

/// Returns whether something of the record stands at the registry.
pub(super) fn stands(known: Option<&KnownRecord>) -> bool {
    known.is_some_and(|known| known.state.was_sent() && !known.state.withdrawn)
}

/// Returns whether a retry or a repair has asked for a record that was sent: what it said is
/// forgotten, so that it is sent even as it is.
pub(super) fn is_forgotten(known: &KnownRecord) -> bool {
    known.state.was_sent() && known.state.content.is_none()
}

/// Change of a record by its draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Sent for the first time.
    New,
    /// Sent with other content.
    Corrected,
    /// Taken back.
    Withdrawn,
    /// Withdrawn though this state never sent it.
    WithdrawnUnsent,
    /// Sent again as it was, as far as can be told.
    Resent,
    /// Not sent.
    Unchanged,
}

impl Committed {
    pub(super) const fn of_mut(&mut self, change: Change) -> &mut u64 {
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
pub(super) fn is_no_fact(draft: &Draft, known: Option<&KnownRecord>) -> bool {
    let withdraws = draft.body.withdraws();
    withdraws && !known.is_some_and(|known| known.state.was_sent())
}

/// Change of the draft's record, by what is known of it.
pub(super) fn change_of(
    draft: &Draft,
    known: Option<&KnownRecord>,
    basis: PlanBasis<'_>,
) -> Change {
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
    let stands_alike = withdraws == known.state.withdrawn;
    if stands_alike && is_forgotten(known) {
        return Change::Resent;
    }
    match (stands_alike && same_content, since >= basis.generation) {
        (true, true) => Change::Unchanged,
        // The registry may hold something newer than this outbox remembers: send it again, above
        // that.
        (true, false) => Change::Resent,
        (false, _) if withdraws => Change::Withdrawn,
        (false, _) => Change::Corrected,
    }
}

//! Upkeep of the generation: files from before the contract's version 2 are renewed, raises that
//! receipts ask for are made when their day has come, and withdrawals follow every raise.
//!
//! A file from before rises above all that was ever given out, so that every source is read and all
//! it holds is sent again, with its owner's token.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::subjects::Subjects;
use crate::file::OutboxError;
use crate::records::{KnownRecord, last_record_no};
use crate::versions::{Renewal, read_renewal};

/// Does what is left to do for the generation; returns whether it rose for receipts. Costs two
/// reads usually.
pub(super) async fn tend(subjects: &Subjects, now: DateTime<Utc>) -> Result<bool, OutboxError> {
    let pool = subjects.database.readers();
    if read_renewal(pool).await? == Some(Renewal::Raise) {
        let highest = highest_generation(subjects).await?;
        subjects.versions.renew(highest, now).await?;
    }
    let raised = subjects.receipts.raise_if_due(now).await?;
    if read_renewal(pool).await? == Some(Renewal::Withdrawals) {
        subjects.withdrawals.renew(now).await?;
    }
    Ok(raised)
}

/// Highest generation of a record: later than the outbox's own where it was adopted from the
/// registry.
async fn highest_generation(subjects: &Subjects) -> Result<u32, OutboxError> {
    let last = last_record_no(subjects.database.readers()).await?;
    let mut highest = 0;
    let visit = |_: &_, known: &KnownRecord| {
        highest = highest.max(known.state.revision.generation);
        ControlFlow::Continue(())
    };
    subjects.records.scan(1..=last, visit).await?;
    Ok(highest)
}

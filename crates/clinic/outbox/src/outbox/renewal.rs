//! Renewal of a file from before the contract's version 2, at its opening.
//!
//! The generation rises above all that was ever given out, so that every source is read and all it
//! holds is sent again, with its owner's token. No source can be read for rows that are gone: their
//! withdrawals are given out again here.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::subjects::Subjects;
use crate::file::OutboxError;
use crate::records::last_record_no;
use crate::versions::{Renewal, end_renewal, read_renewal};

/// Does the steps of the renewal that are left; none usually.
pub(super) async fn renew(subjects: &Subjects, now: DateTime<Utc>) -> Result<(), OutboxError> {
    let Some(step) = read_renewal(subjects.database.readers()).await? else {
        return Ok(());
    };
    if step == Renewal::Raise {
        let highest = highest_generation(subjects).await?;
        subjects.versions.renew(highest, now).await?;
    }
    subjects.withdrawals.renew(now).await?;
    let mut transaction = subjects.database.begin().await?;
    end_renewal(transaction.connection()).await?;
    transaction.commit().await
}

/// Highest generation of a record: later than the outbox's own where it was adopted from the
/// registry.
async fn highest_generation(subjects: &Subjects) -> Result<u32, OutboxError> {
    let last = last_record_no(subjects.database.readers()).await?;
    let mut highest = 0;
    let visit = |_: &_, known: &crate::records::KnownRecord| {
        highest = highest.max(known.state.revision.generation);
        ControlFlow::Continue(())
    };
    subjects.records.scan(1..=last, visit).await?;
    Ok(highest)
}

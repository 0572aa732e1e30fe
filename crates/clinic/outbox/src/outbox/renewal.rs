//! Upkeep of the generation: files from before the contract's version 2 are renewed, raises that
//! receipts ask for are made when their day has come, and withdrawals follow every raise.
//!
//! A file from before rises above all that was ever given out, so that every source is read and all
//! it holds is sent again, with its owner's token.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use record_secrets::MAX_FIRST_FORM_GENERATION;

use super::subjects::Subjects;
use crate::file::OutboxError;
use crate::records::{KnownRecord, bring_down, last_record_no};
use crate::versions::{Renewal, read_renewal};

/// Most records whose revision is brought down in one transaction.
const MAX_TRANSACTION_RECORDS: usize = 5000;

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

/// Highest generation of a record that counts: later than the outbox's own where it was adopted
/// from the registry. Revisions beyond what counts, which such an adoption may have left, are
/// brought down: nothing could be sent above them, or no generation would be left.
async fn highest_generation(subjects: &Subjects) -> Result<u32, OutboxError> {
    let _guard = subjects.versions.gate().lock().await;
    let last = last_record_no(subjects.database.readers()).await?;
    let mut highest = 0;
    let mut brought_down = 0;
    let mut scanned = 0;
    while scanned < last {
        let mut beyond = Vec::new();
        let first = scanned + 1;
        scanned = last;
        let visit = |_: &_, known: &KnownRecord| {
            match known.state.revision.generation {
                counting @ ..=MAX_FIRST_FORM_GENERATION => highest = highest.max(counting),
                _ => beyond.push(known.record_no),
            }
            if beyond.len() == MAX_TRANSACTION_RECORDS {
                scanned = known.record_no;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        subjects.records.scan(first..=last, visit).await?;
        let mut transaction = subjects.database.begin().await?;
        bring_down(transaction.connection(), &beyond).await?;
        transaction.commit().await?;
        brought_down += beyond.len();
    }
    if brought_down > 0 {
        tracing::warn!(
            records = brought_down,
            "revisions of the contract's version 1 were beyond all that a gateway can reach: the \
             records are sent again below them"
        );
    }
    Ok(highest)
}

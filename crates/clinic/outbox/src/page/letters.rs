//! Dead letters and notes of refused corrections that a page opens and closes.

use std::collections::HashSet;

use chrono::TimeDelta;
use contract::RecordDigest;
use sqlx::sqlite::SqliteConnection;

use super::plan::PagePlan;
use super::types::{Committed, PageCommit};
use crate::corrections::{self, Noticed};
use crate::dead_letters::{
    Origin, RegistryLetter, VERSIONS_EXHAUSTED, close_accepted, close_of_registry, close_parked,
    failed_since, forget_unlisted, open_letters, open_refused,
};
use crate::file::OutboxError;
use crate::limits::UNREADABLE_AGAIN_MS;

/// Opens and closes dead letters, and counts those of the clinic; the same for notes of refused
/// corrections, whose records' letters follow them.
pub(super) async fn store_dead_letters(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    plan: &PagePlan,
    feed_id: i64,
    counts: &mut Committed,
) -> Result<(), OutboxError> {
    let sent = plan
        .updates
        .iter()
        .filter(|update| update.revision.count > 0)
        .map(|update| &update.record);
    let unsent = plan.unchanged.iter().chain(&plan.parked);
    let unsent = unsent.map(|pulled| &pulled.draft.record);
    let forgotten = corrections::forget(connection, sent.clone().chain(unsent)).await?;
    let noticed = |record: RecordDigest, possible| Noticed {
        record,
        feed_id,
        possible,
        by_registry: false,
        content: None,
    };
    let failed = refused_before(connection, page, &plan.unread_corrections, feed_id).await?;
    let certain = plan.refused_corrections.iter().chain(&failed);
    let certain = certain.map(|record| noticed(*record, false));
    let possible = plan.possible_corrections.iter();
    let possible = possible.map(|record| noticed(*record, true));
    let noticed: Vec<Noticed> = certain.chain(possible).collect();
    corrections::notice(connection, &noticed, page.now).await?;
    close_of_registry(connection, sent.chain(&forgotten)).await?;
    let unchanged = plan.unchanged.iter().map(|pulled| &pulled.draft.record);
    close_parked(connection, unchanged).await?;
    let parked = plan.parked.iter().map(|pulled| RegistryLetter {
        record: pulled.draft.record,
        feed_id: Some(feed_id),
        reason: VERSIONS_EXHAUSTED,
        stamp: pulled.stamp,
    });
    open_letters(connection, parked, page.now).await?;
    counts.refused_new = open_refused(connection, &page.refused, feed_id, page.now).await?;
    let refused: HashSet<&RecordDigest> = page.refused.iter().map(|row| &row.record).collect();
    let well = plan.records().filter(|record| !refused.contains(record));
    counts.cleared = forget_unlisted(connection, well, Origin::Clinic).await?;
    let accepted = &page.accepted_record_ids;
    counts.cleared += close_accepted(connection, accepted, &page.refused, feed_id).await?;
    Ok(())
}

/// Unread corrections of the page that an earlier run could not send either. To be asked
/// before the page's own letters are written.
async fn refused_before(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    unread: &[RecordDigest],
    feed_id: i64,
) -> Result<Vec<RecordDigest>, OutboxError> {
    if unread.is_empty() {
        return Ok(Vec::new());
    }
    let unread: HashSet<&RecordDigest> = unread.iter().collect();
    let rows = page.refused.iter();
    let rows = rows.filter(|row| unread.contains(&row.record));
    let before = page.now - TimeDelta::milliseconds(UNREADABLE_AGAIN_MS);
    failed_since(connection, rows, feed_id, before).await
}

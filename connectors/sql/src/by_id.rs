//! Rows by the values of their ids, those that cannot be read by their keys alone.

use crate::driver::{Failure, LentSession};
use crate::page::Pager;
use crate::salvage;
use crate::settings::FeedSettings;
use crate::source::log_unreadable;
use crate::table::Table;
use crate::value::Key;

/// Most rows found for one request by id; a few ids may stand for many rows that a collation does
/// not tell apart.
const MAX_FOUND_ROWS: u32 = 10_000;

/// The rows with these keys, those that cannot be read by their keys alone.
///
/// # Errors
/// More rows than a few ids may stand for: some would be left out.
pub(crate) async fn with_ids(
    feed: &FeedSettings,
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    keys: Vec<Key>,
) -> Result<Table, Failure> {
    let count = keys.len();
    let rows = all_with_ids(feed, pager, lent, keys).await?;
    if rows.len() >= MAX_FOUND_ROWS as usize {
        return Err(Failure::misconfigured(
            format!("{count} ids stand for {MAX_FOUND_ROWS} rows or more"),
            "select a record_id that is different for every row; a join may multiply rows",
        ));
    }
    Ok(rows)
}

async fn all_with_ids(
    feed: &FeedSettings,
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    keys: Vec<Key>,
) -> Result<Table, Failure> {
    let width = pager.layout.kinds.len();
    let kinds = &pager.layout.kinds;
    match lent
        .fetch(&pager.with_ids(&keys, width, MAX_FOUND_ROWS), kinds)
        .await
    {
        Err(failure) if failure.may_be_of_rows() => {
            let (reason, _) = failure.words(Some(&feed.statement));
            let found = salvage::with_ids(pager, lent, keys, MAX_FOUND_ROWS, failure).await?;
            log_unreadable(feed, found.refused, &reason);
            Ok(found.rows)
        }
        rows => rows,
    }
}

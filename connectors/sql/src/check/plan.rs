//! Plans: pages that read and sort more than they have to.

use connector_kit::CheckReport;

use super::index::{Keys, NO_INDEX};
use super::look::{Look, SAMPLE_ROWS};
use crate::driver::{Failure, MANY_ROWS, SlowPlan};
use crate::layout::Layout;
use crate::page::{Order, Pager, Start};
use crate::settings::FeedSettings;
use crate::value::Sql;

/// A way in which rows are paged.
pub(super) struct Paging {
    order: Order,
    /// A page in this order, as the subject of a sentence that goes on "sorts".
    page: &'static str,
}

/// Whether the database sorts many rows for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sorts {
    Few,
    /// Many, unless the index is made that is advised.
    Many,
    /// Many, and no index can be named.
    Unindexed,
}

/// Pages of runs.
pub(super) const BY_STAMP: Paging = Paging {
    order: Order::Stamp,
    page: "each page",
};

/// First loads and sweeps, and rows that are asked for by their ids.
pub(super) const BY_ID: Paging = Paging {
    order: Order::Id,
    page: "a first load, a sweep or a row that is asked for by its id",
};

/// Warns of pages for which the database sorts many rows.
pub(super) async fn check(
    look: &Look<'_>,
    feed: &FeedSettings,
    paging: &Paging,
    layout: &Layout,
    report: &mut CheckReport,
    keys: &Keys,
) -> Result<Sorts, Failure> {
    let pager = look.source.pager(feed, layout, paging.order);
    let sql = match paging.order {
        Order::Stamp => pager.page(&Start::Beginning, SAMPLE_ROWS, false),
        Order::Id => pager.keys_page(&Start::Beginning, SAMPLE_ROWS, false),
    };
    let mut lent = look.source.sessions.lend().await?;
    let plan = lent.slow_plan(&sql).await?;
    lent.give_back().await?;
    let Some(SlowPlan { rows, table }) = plan else {
        return Ok(Sorts::Few);
    };
    let rows = match rows {
        Some(rows) => rows,
        None => count_to_many(look, &pager).await?,
    };
    if rows >= MANY_ROWS {
        let table = table
            .as_deref()
            .and_then(|table| feed.statement.name_in(table));
        let of_table = table.map_or(String::new(), |table| format!(" of {table}"));
        let advice = keys.advice(look, paging.order).await?;
        let is_indexable = !advice.starts_with(NO_INDEX);
        report.warn(
            format!(
                "{}: {} sorts about {rows} rows{of_table}",
                feed.feed, paging.page
            ),
            advice,
        );
        return Ok(if is_indexable {
            Sorts::Many
        } else {
            Sorts::Unindexed
        });
    }
    Ok(Sorts::Few)
}

/// Counts the rows of the query, up to [`MANY_ROWS`], where the plan does not estimate them.
async fn count_to_many(look: &Look<'_>, pager: &Pager<'_>) -> Result<u64, Failure> {
    let bounded = format!(
        "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 {} LIMIT {MANY_ROWS}) AS n",
        pager.source()
    );
    let count = look.texts(&Sql::plain(bounded)).await?;
    Ok(count
        .first()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0))
}

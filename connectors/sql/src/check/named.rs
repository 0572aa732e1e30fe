//! Rows that a change query hides for want of a stamp, and ids that are of no row of the feed's own
//! query.

use connector_kit::CheckReport;

use super::look::{Look, not_looked_at};
use super::words::rows_have;
use crate::driver::Failure;
use crate::layout::{Layout, RECORD_ID};
use crate::named_ids;
use crate::page::{Order, Pager, Start};
use crate::settings::FeedSettings;
use crate::value::Sql;

/// Most ids of a change query that are looked up, the newest ones.
pub(super) const MAX_IDS: u32 = 100;

/// Change query of a feed, with the columns of both queries.
#[derive(Clone, Copy)]
pub(super) struct Named<'f> {
    pub feed: &'f FeedSettings,
    pub change: &'f FeedSettings,
    /// Columns of the change query.
    pub keys: &'f Layout,
    /// Columns of the feed's own query.
    pub layout: &'f Layout,
}

/// What to select as `record_id`.
pub(super) const SAME_ID: &str = "select as record_id what `query` selects as record_id, with the \
     same conversion and over the same join: the id of the record, not of the table that has changed";

/// Looks at the rows of a change query; returns whether ids of records are among those that it
/// names.
pub(super) async fn named_rows(
    look: &Look<'_>,
    named: Named<'_>,
    report: &mut CheckReport,
) -> bool {
    let place = named.change.place();
    if let Err(failure) = without_keys(look, named, report).await {
        let question = format!("how many rows of changes.{} lack a key", named.name());
        not_looked_at(report, named.feed.feed, &question, &failure);
    }
    match newest(look, named).await {
        Ok(Rows::None) => {}
        Ok(Rows::All) => {
            report.good(format!("{place}: the newest rows that it names are there"));
            return true;
        }
        Ok(Rows::Without { ids, without_row }) => {
            report.good(format!(
                "{place}: of its newest {ids} ids {without_row} are of no row of the query; right \
                 where the query leaves such rows out"
            ));
            return true;
        }
        Ok(Rows::Others) => report.error(
            format!(
                "{place}: none of its ids is that of a row of the query, so it tells of no change"
            ),
            SAME_ID,
        ),
        Err(failure) => {
            let question = format!("whether changes.{} names rows of the query", named.name());
            not_looked_at(report, named.feed.feed, &question, &failure);
        }
    }
    false
}

/// Rows of the feed's own query that were found by the newest ids of a change query.
enum Rows {
    /// Nothing to compare: one of the two queries has no row.
    None,
    /// Each id is of a row.
    All,
    /// Some ids are of no row.
    Without { ids: usize, without_row: usize },
    /// No id of the change query is of a row of the feed's own query.
    Others,
}

impl Named<'_> {
    /// Name of the change query.
    pub(super) fn name(&self) -> &str {
        self.change.change.as_deref().unwrap_or_default()
    }

    /// Texts of the other change queries of the feed over the same tables, whose stamps are of the
    /// same table as this one's.
    fn of_same_stamp(&self) -> Vec<&str> {
        let own = &self.change.statement.tables;
        let others = self.feed.changes.iter();
        let others = others.filter(|other| other.change != self.change.change);
        let same = others.filter(|other| {
            let tables = &other.statement.tables;
            tables.all == own.all && tables.of_stamp == own.of_stamp
        });
        same.map(|other| other.statement.text.as_str()).collect()
    }
}

/// Counts the rows that name a record without a usable stamp, and those that name none.
async fn without_keys(
    look: &Look<'_>,
    named: Named<'_>,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let place = named.change.place();
    let pager = look.source.pager(named.change, named.keys, Order::Stamp);
    let counted = look.texts(&pager.without_stamp(u32::MAX)).await?;
    let mut hidden = number(&counted);
    // A stamp that is empty until something happens is nothing to mend, where another query tells
    // of the same rows by a stamp that they have.
    let others = named.of_same_stamp();
    if hidden > 0 && !others.is_empty() {
        let counted = look.texts(&pager.without_stamp_anywhere(&others)).await?;
        hidden = number(&counted);
    }
    if hidden > 0 {
        report.warn(
            format!(
                "{place}: {} no usable changed_at; what changes in them is not noticed until the \
                 next sweep",
                rows_have(hidden)
            ),
            "give them a stamp, in the clinic system or with COALESCE(…, …) AS changed_at, which \
             needs an index on that expression; or make a change query of another stamp (that of \
             creation); or let sweeps find them, which compare whole rows (sweep.schedule)",
        );
    }
    let id = pager.column(RECORD_ID);
    let nameless = look.count(&pager, |sql| _ = sql.push(&format!("{id} IS NULL")));
    let nameless = nameless.await?;
    if nameless > 0 {
        report.good(format!(
            "{place}: {} no record_id and name no record, as those of a LEFT JOIN do",
            rows_have(nameless)
        ));
    }
    Ok(())
}

/// The number that a statement counted.
fn number(counted: &[String]) -> u64 {
    let count = counted.first().and_then(|count| count.parse().ok());
    count.unwrap_or(0)
}

/// Looks the newest ids of a change query up in the feed's own query.
async fn newest(look: &Look<'_>, named: Named<'_>) -> Result<Rows, Failure> {
    let Named {
        feed,
        change,
        keys,
        layout,
    } = named;
    let source = look.source;
    let mut lent = source.sessions.lend().await?;
    let pager = source.pager(change, keys, Order::Stamp);
    let sql = pager.keys_page(&Start::Beginning, MAX_IDS, true);
    let rows = lent.fetch(&sql, &keys.kinds).await?;
    if rows.is_empty() {
        lent.give_back().await?;
        return Ok(Rows::None);
    }
    let found = named_ids::find(source, feed, layout, &mut lent, &rows).await?;
    let without_row = found.without_row;
    if without_row < found.ids {
        lent.give_back().await?;
        return Ok(match without_row {
            0 => Rows::All,
            _ => Rows::Without {
                ids: found.ids,
                without_row,
            },
        });
    }
    // The newest may all be left out by the query; of a wrong column no id fits.
    let own = source.pager(feed, layout, Order::Id);
    let has_rows = !lent.texts(&any_row(&own)).await?.is_empty();
    let has_named = has_rows && !lent.texts(&any_named(&own, &pager)).await?.is_empty();
    lent.give_back().await?;
    Ok(match () {
        () if !has_rows => Rows::None,
        () if !has_named => Rows::Others,
        () => Rows::Without {
            ids: found.ids,
            without_row,
        },
    })
}

fn any_row(own: &Pager<'_>) -> Sql {
    Sql::plain(format!(
        "SELECT CAST('yes' AS CHAR(3)) {} LIMIT 1",
        own.source()
    ))
}

/// Finds a row of the feed's own query whose id a change query names.
fn any_named(own: &Pager<'_>, change: &Pager<'_>) -> Sql {
    let syntax = own.driver.syntax();
    let own_id = syntax.as_compared(&own.column(RECORD_ID));
    let named = syntax.as_compared(&change.column(RECORD_ID));
    let any_named = change.source();
    Sql::plain(format!(
        "SELECT CAST('yes' AS CHAR(3)) {} WHERE {own_id} IN (SELECT {named} {any_named}) LIMIT 1",
        own.source()
    ))
}

//! How changes are noticed: what fits the feed's tables, change queries and their indexes, and
//! joined tables whose changes nothing tells of.

use std::collections::BTreeSet;

use connector_kit::CheckReport;

use super::index::{Keys, index_name};
use super::look::Look;
use super::named::{Named, named_rows};
use super::plan::Sorts;
use super::told;
use crate::config::ChangeDetection;
use crate::driver::{Described, Failure};
use crate::layout::{Layout, resolve};
use crate::named_ids;
use crate::settings::FeedSettings;

/// Columns of the feed's own query.
#[derive(Clone, Copy)]
pub(super) struct Columns<'c> {
    pub layout: &'c Layout,
    /// All of them, as the database describes them.
    pub described: &'c [Described],
}

/// Says how the feed's changes are noticed, and what would fit better.
pub(super) async fn check(
    look: &Look<'_>,
    feed: &FeedSettings,
    columns: Columns<'_>,
    sorts: Sorts,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    match feed.detection {
        ChangeDetection::Stamp => one_stamp(feed, sorts, report),
        ChangeDetection::SeveralStamps => {
            for change in &feed.changes {
                one_change(look, feed, change, columns, report).await?;
            }
            several_stamps(feed, report);
        }
        ChangeDetection::Content => report.good(format!(
            "{}: changes are noticed by sweeps alone, which compare whole rows; they come as often \
             as sweeps are made",
            feed.feed
        )),
    }
    Ok(())
}

/// Looks at the joined tables of a feed with one stamp.
fn one_stamp(feed: &FeedSettings, sorts: Sorts, report: &mut CheckReport) {
    let name = feed.feed;
    let tables = &feed.statement.tables;
    let stamped = tables.of_stamp.as_ref();
    let made_of_several = stamped.filter(|stamped| stamped.len() > 1);
    let unserved = (sorts == Sorts::Unindexed && tables.all.len() > 1).then_some(&tables.all);
    if let Some(tables) = made_of_several.or(unserved) {
        report.warn(
            format!(
                "{name}: no index can serve changed_at over {}; several stamps fit better",
                listed(tables.iter())
            ),
            format!(
                "leave changed_at out, and write under `changes` of {name} one short query for each \
                 table whose changes matter: NAME = \"SELECT … AS record_id, … AS changed_at FROM \
                 …\"; a table without a stamp to trust is left to sweeps, with sweep_contents = true"
            ),
        );
    }
    let silent: Vec<&String> = match stamped {
        Some(stamped) => tables.all.difference(stamped).collect(),
        None => Vec::new(),
    };
    if silent.is_empty() {
        return;
    }
    let tables = listed(silent.into_iter());
    if feed.config.sweep_contents {
        report.good(format!(
            "{name}: what changes in {tables} alone is noticed by sweeps, which compare whole rows"
        ));
    } else {
        report.warn(
            format!(
                "{name}: what changes in {tables} alone is not noticed: changed_at is not made of it"
            ),
            "if its changes matter, write a query for each such table under `changes`, or set \
             sweep_contents = true, so that sweeps find them",
        );
    }
}

/// Looks at the tables that no change query tells of.
fn several_stamps(feed: &FeedSettings, report: &mut CheckReport) {
    let told: BTreeSet<String> = feed.changes.iter().flat_map(tables_told).collect();
    let plain = |table: &String| told.iter().all(|told| !told.eq_ignore_ascii_case(table));
    let silent: Vec<&String> = feed
        .statement
        .tables
        .all
        .iter()
        .filter(|one| plain(one))
        .collect();
    if silent.is_empty() {
        return;
    }
    report.warn(
        format!(
            "{}: no change query tells of {}; what changes there alone is not noticed until the \
             next sweep",
            feed.feed,
            listed(silent.into_iter())
        ),
        "write a query for each such table under `changes`, if it has a stamp and its changes are \
         urgent",
    );
}

/// Tables whose changes a change query tells of.
fn tables_told(change: &FeedSettings) -> BTreeSet<String> {
    let tables = &change.statement.tables;
    tables
        .of_stamp
        .clone()
        .unwrap_or_else(|| tables.all.clone())
}

/// Looks at one change query: its columns, and the index that serves it.
async fn one_change(
    look: &Look<'_>,
    feed: &FeedSettings,
    change: &FeedSettings,
    columns: Columns<'_>,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let layout = columns.layout;
    let place = change.place();
    let mut lent = look.source.sessions.lend().await?;
    let described = lent.describe(&change.statement.text).await;
    let described = match described {
        Ok(described) => described,
        Err(failure) => {
            let (what, help) = failure.words(Some(&change.statement));
            report.error(format!("{place}: {what}"), help);
            return Ok(());
        }
    };
    lent.give_back().await?;
    let found = resolve(change, &described);
    for problem in found.errors {
        report.error(format!("{place}: {}", problem.what), problem.help);
    }
    let Some(keys) = found.layout else {
        return Ok(());
    };
    match named_ids::ensure_fit(change, &keys, layout) {
        Ok(()) => {
            let named = Named {
                feed,
                change,
                keys: &keys,
                layout,
            };
            if named_rows(look, named, report).await {
                let described = [columns.described, &described];
                told::check(look, named, described, report).await;
            }
        }
        Err(failure) => {
            let (what, help) = failure.words(None);
            report.error(what, help);
        }
    }
    let keys = Keys::find(look, change, &keys, &described).await?;
    match keys.stamp_index(look).await? {
        Some((_, _, true)) => report.good(format!("{place}: an index serves changed_at")),
        Some((table, column, false)) => {
            let name = index_name(&format!("{table} {column}"));
            let help = format!("CREATE INDEX {name} ON {table} ({column})");
            warn_of_index(report, &place, &table, help);
        }
        None => report.warn(
            format!(
                "{place}: changed_at is no column of a table as it stands, so no index may serve it, \
                 and every run may read everything"
            ),
            "select a column as it stands; of two columns make two change queries",
        ),
    }
    Ok(())
}

/// Warns of an index that lacks; of one that several queries need once.
fn warn_of_index(report: &mut CheckReport, place: &str, table: &str, help: String) {
    let mut findings = report.findings.iter_mut();
    let same = findings.find(|finding| finding.help.as_deref() == Some(help.as_str()));
    match same {
        Some(finding) => finding.what += &format!("; the same for {place}"),
        None => report.warn(
            format!("{place}: no index begins with changed_at, so every run reads all of {table}"),
            help,
        ),
    }
}

fn listed<'t>(tables: impl Iterator<Item = &'t String>) -> String {
    tables.map(String::as_str).collect::<Vec<_>>().join(", ")
}

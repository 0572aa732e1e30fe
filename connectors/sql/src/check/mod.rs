//! `check`: looks at everything that can be wrong with a source, and says it in words without
//! quoting a value.

mod changes;
mod contents;
mod id_origin;
mod index;
mod look;
mod named;
mod plan;
pub(crate) mod sample;
mod stamps;
mod told;
mod utc_days;
mod words;

use chrono::{DateTime, Utc};
use connector_kit::CheckReport;
use tokio::sync::OnceCell;

use crate::driver::{Described, Failure};
use crate::layout::{Layout, resolve};
use crate::page::Order;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::value::Sql;
use changes::Columns;
use index::Keys;
use look::{Look, SAMPLE_ROWS, not_looked_at};
use plan::{BY_ID, BY_STAMP, Sorts};
use stamps::StampCheck;

/// Looks at the server, then at each feed.
pub(crate) async fn run(source: &SqlSource, now: DateTime<Utc>) -> CheckReport {
    let mut report = CheckReport::default();
    let look = Look {
        source,
        now,
        catalog: OnceCell::new(),
    };
    if let Err(failure) = server(&look, &mut report).await {
        fail(&mut report, "", &failure, None);
        return report;
    }
    for feed in &source.settings.feeds {
        if let Err(failure) = check_feed(&look, feed, &mut report).await {
            fail(
                &mut report,
                &format!("{}: ", feed.feed),
                &failure,
                Some(feed),
            );
        }
    }
    report
}

fn fail(report: &mut CheckReport, place: &str, failure: &Failure, feed: Option<&FeedSettings>) {
    let (what, help) = failure.words(feed.map(|feed| &feed.statement));
    let what = format!("{place}{what}");
    if failure.may_pass() {
        report.away(what, help);
    } else {
        report.error(what, help);
    }
}

/// Looks at the server, the connection to it and the account.
async fn server(look: &Look<'_>, report: &mut CheckReport) -> Result<(), Failure> {
    let version = look.texts(&Sql::plain(look.driver().version_sql())).await?;
    report.good(format!(
        "{} answers",
        look.driver()
            .product(version.first().map_or("", String::as_str))
    ));
    if let Some((what, help)) = look.driver().transport_warning() {
        report.warn(what, help);
    }
    look.driver().check_hints(report).await;
    let Some(privileges) = look.driver().write_privileges() else {
        report.good("the file is opened read-only");
        return Ok(());
    };
    // An account that may not even ask is not an account that may write.
    match look.texts(&Sql::plain(privileges.sql)).await {
        Ok(rows) if rows.iter().any(|row| (privileges.may_write)(row).is_some()) => {
            let places = rows.iter().filter_map(|row| (privileges.may_write)(row));
            let places: Vec<String> = places.take(3).collect();
            report.warn(
                format!(
                    "the account may change data: {}; the gateway never does",
                    places.join("; ")
                ),
                "use an account that has SELECT only, on what the queries read; what PUBLIC may, \
                 every account may: REVOKE … FROM PUBLIC",
            );
        }
        Ok(_) => report.good("the account can only read"),
        Err(_) => {
            report.warn(
                "the account's privileges cannot be seen",
                "make sure that it has SELECT only",
            );
        }
    }
    Ok(())
}

/// Looks at one feed: its columns, its rows and their plans.
async fn check_feed(
    look: &Look<'_>,
    feed: &FeedSettings,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let name = feed.feed;
    let mut lent = look.source.sessions.lend().await?;
    let described = lent.describe(&feed.statement.text).await?;
    lent.give_back().await?;
    let found = resolve(feed, &described);
    for problem in found.warnings {
        report.warn(format!("{name}: {}", problem.what), problem.help);
    }
    for problem in found.errors {
        report.error(format!("{name}: {}", problem.what), problem.help);
    }
    let Some(layout) = found.layout else {
        return Ok(());
    };
    report.good(format!("{name}: {} columns understood", layout.selected()));
    check_rows(look, feed, &layout, report).await?;
    // Nothing of this keeps anything from being read.
    let question = "whether an index serves changed_at and record_id";
    let sorts = match plans(look, feed, &layout, &described, report).await {
        Ok(sorts) => sorts,
        Err(failure) => {
            not_looked_at(report, name, question, &failure);
            Sorts::Few
        }
    };
    let columns = Columns {
        layout: &layout,
        described: &described,
    };
    if let Err(failure) = changes::check(look, feed, columns, sorts, report).await {
        not_looked_at(report, name, "how its changes are noticed", &failure);
    }
    Ok(())
}

/// Looks at the plans of pages.
async fn plans(
    look: &Look<'_>,
    feed: &FeedSettings,
    layout: &Layout,
    described: &[Described],
    report: &mut CheckReport,
) -> Result<Sorts, Failure> {
    let keys = Keys::find(look, feed, layout, described).await?;
    let mut sorts = Sorts::Few;
    if layout.has_stamp {
        sorts = plan::check(look, feed, &BY_STAMP, layout, report, &keys).await?;
    }
    plan::check(look, feed, &BY_ID, layout, report, &keys).await?;
    Ok(sorts)
}

/// Looks at the newest rows: their stamps, ids and contents.
async fn check_rows(
    look: &Look<'_>,
    feed: &FeedSettings,
    layout: &Layout,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    let name = feed.feed;
    let order = if layout.has_stamp {
        Order::Stamp
    } else {
        Order::Id
    };
    let pager = look.source.pager(feed, layout, order);
    let sample = match look.sample(&pager).await {
        Err(failure) if failure.may_be_of_rows() => {
            others_are_read(look, feed, failure, report).await?;
            None
        }
        rows => Some(rows?),
    };
    // Here something was read: what fails from now on keeps nothing from being read.
    let mut stamps = StampCheck {
        look,
        feed: name,
        pager: &pager,
        report,
    };
    let unplaced = stamps.null_keys().await;
    if let Err(failure) = &unplaced {
        let question = "how many rows have no changed_at or no record_id";
        not_looked_at(stamps.report, name, question, failure);
    }
    let Some(rows) = sample else {
        return Ok(());
    };
    if rows.is_empty() {
        if matches!(unplaced, Ok(0)) {
            stamps.report.warn(
                format!("{name}: the query returns no row now"),
                "check its conditions, if there should be some",
            );
        }
        return Ok(());
    }
    if let Err(failure) = stamps.session_zone().await {
        let question = "whether the query makes dates in another zone";
        not_looked_at(stamps.report, name, question, &failure);
    }
    if layout.has_stamp
        && let Err(failure) = stamps.stamps(&rows).await
    {
        let question = "whether changed_at is in the order of time";
        not_looked_at(stamps.report, name, question, &failure);
    }
    contents::check(look, feed, layout, &rows, report);
    if look.driver().kind() == "sqlite" {
        utc_days::check(feed, &look.source.settings, layout, &rows, report);
    }
    Ok(())
}

/// Warns of a row that the database cannot hand over, where a page can be read without it.
///
/// # Errors
/// The failure itself, where no page can be read.
async fn others_are_read(
    look: &Look<'_>,
    feed: &FeedSettings,
    failure: Failure,
    report: &mut CheckReport,
) -> Result<(), Failure> {
    if sample::first_rows(look.source, feed, SAMPLE_ROWS)
        .await
        .is_err()
    {
        return Err(failure);
    }
    let (what, help) = failure.words(Some(&feed.statement));
    report.warn(
        format!(
            "{}: the database cannot hand over every row: {what}; such rows are refused, and the \
             others are read",
            feed.feed
        ),
        help,
    );
    Ok(())
}

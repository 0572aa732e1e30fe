//! `check`: looks at everything that can be wrong with a source, and says it in words without
//! quoting a value.

mod contents;
mod look;
mod plan;
pub(crate) mod sample;
mod stamps;

use chrono::{DateTime, Utc};
use connector_kit::CheckReport;

use crate::driver::Failure;
use crate::layout::resolve;
use crate::page::Order;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::value::Sql;
use look::Look;
use plan::{BY_ID, BY_STAMP};
use stamps::StampCheck;

/// Looks at the server, then at each feed.
pub(crate) async fn run(source: &SqlSource, now: DateTime<Utc>) -> CheckReport {
    let mut report = CheckReport::default();
    let look = Look { source, now };
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
    report.error(format!("{place}{what}"), help);
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
        Ok(rows) if rows.iter().any(|row| (privileges.may_write)(row)) => report.warn(
            "the account may change data; the gateway never does",
            "use an account that has SELECT only, on what the queries read",
        ),
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
    let found = resolve(name, &described, !feed.config.status_words.is_empty());
    for problem in found.warnings {
        report.warn(format!("{name}: {}", problem.what), problem.help);
    }
    for problem in found.errors {
        report.error(format!("{name}: {}", problem.what), problem.help);
    }
    let Some(layout) = found.layout else {
        return Ok(());
    };
    report.good(format!("{name}: {} columns understood", layout.names.len()));
    let pager = look.source.pager(feed, &layout, Order::Stamp);
    let mut stamps = StampCheck {
        look,
        feed: name,
        pager: &pager,
        report,
    };
    stamps.null_keys().await?;
    let rows = look.sample(&pager).await?;
    if rows.is_empty() {
        stamps.report.warn(
            format!("{name}: the query returns no row now"),
            "check its conditions, if there should be some",
        );
        return Ok(());
    }
    stamps.session_zone().await?;
    stamps.stamps(&rows).await?;
    plan::check(look, feed, &BY_STAMP, &layout, report).await?;
    plan::check(look, feed, &BY_ID, &layout, report).await?;
    contents::check(look, feed, &layout, &rows, report);
    Ok(())
}

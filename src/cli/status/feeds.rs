//! Table of the feeds, and lines on what became of their rows.

use chrono::{DateTime, Utc};
use outbox::{DeadLetterCount, FeedStatus, ServiceWait, Status, UnfinishedLoad, WithheldCount};
use program::terminal::{counted, print_line, print_table, visible};

use super::context::Context;
use crate::cli::age::{ago, since};

/// Prints a table with a row for each feed, and below it what there is to say of single ones.
pub(super) fn print_feeds(status: &Status, context: &Context, now: DateTime<Utc>) {
    let rows: Vec<_> = status
        .feeds
        .iter()
        .map(|feed| {
            let is_configured = context.is_configured(feed);
            [
                feed.source.clone(),
                feed.feed.clone(),
                if is_configured {
                    state_text(feed, context.waits_of(status, feed).next().is_some())
                } else {
                    "not configured".to_owned()
                },
                if is_configured {
                    ago(now, feed.in_sync_at)
                } else {
                    "–".to_owned()
                },
                feed.new_total.to_string(),
                feed.corrected_total.to_string(),
                feed.withdrawn_total.to_string(),
                refused_count(status, &feed.source, &feed.feed).to_string(),
            ]
        })
        .collect();
    print_table(
        [
            "source",
            "feed",
            "state",
            "in sync",
            "sent",
            "corrected",
            "withdrawn",
            "refused",
        ],
        &rows,
    );
    if context.daemon_runs() {
        let waits = status.waits.iter().map(|wait| wait_text(wait, now));
        waits.for_each(print_line);
    }
    let configured = |feed: &&FeedStatus| context.is_configured(feed);
    let configured = status.feeds.iter().filter(configured);
    configured.for_each(|feed| print_feed(feed, now));
}

fn print_feed(feed: &FeedStatus, now: DateTime<Utc>) {
    let FeedStatus {
        source,
        feed: name,
        rows,
        ..
    } = feed;
    if let Some(why) = &feed.last_error_why {
        let of = if reads_again(feed) {
            "the failure before"
        } else {
            "cause"
        };
        print_line(format!("{of}: {source} {name}: {}", visible(why)));
    }
    if let Some(load) = feed.load {
        print_line(format!("{}: {source} {name}", load_text(load)));
    }
    if rows.read > 0 {
        print_line(format!(
            "rows: {source} {name}: {} read: {} sent, {} unchanged, {} no facts, {} refused, {} \
             parked, {} withheld",
            rows.read,
            rows.sent,
            rows.unchanged,
            rows.no_fact,
            rows.refused,
            rows.parked,
            rows.withheld
        ));
    }
    if let Some(text) = withheld_text(feed, now) {
        print_line(text);
    }
}

/// Line on records that are withheld, and on those that have left with a coarser date; `None` where
/// there are neither.
fn withheld_text(feed: &FeedStatus, now: DateTime<Utc>) -> Option<String> {
    let WithheldCount {
        records,
        due,
        coarsened,
        oldest_at,
    } = feed.withheld;
    let oldest = since(now, oldest_at.unwrap_or(now));
    let waiting = records - due;
    let notes = [
        (
            waiting,
            format!(
                "{} until more persons have a fact that says the same",
                counted(waiting, "record waits", "records wait")
            ),
        ),
        (
            due,
            format!(
                "{} at the end of the next run",
                counted(due, "record leaves", "records leave")
            ),
        ),
        (
            records,
            format!("the oldest for {}; clinic-gateway withheld", oldest),
        ),
        (
            coarsened,
            format!(
                "{} with a coarser date",
                counted(coarsened, "record has left", "records have left")
            ),
        ),
    ];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    let notes: Vec<String> = notes.map(|(_, note)| note).collect();
    let FeedStatus { source, feed, .. } = feed;
    (!notes.is_empty()).then(|| format!("withheld: {source} {feed}: {}", notes.join("; ")))
}

/// Line on a load that has not reached its end.
fn load_text(load: UnfinishedLoad) -> String {
    let which = if load.first {
        "first load"
    } else {
        "read again from the beginning"
    };
    let rows = counted(load.rows, "row", "rows");
    format!("{which}: {rows} read, not finished")
}

/// Line on a page that waits for a service.
fn wait_text(wait: &ServiceWait, now: DateTime<Utc>) -> String {
    let ServiceWait {
        source,
        feed,
        service,
        since: begun,
    } = wait;
    let long = begun.map(|at| format!(" for {}", since(now, at)));
    format!(
        "waits: {source} {feed}: waits for {}{}: no answer yet; feeds of this source whose turn \
         comes later wait behind it",
        visible(service),
        long.unwrap_or_default()
    )
}

fn state_text(feed: &FeedStatus, waits: bool) -> String {
    if waits {
        return match &feed.last_error {
            Some(code) => format!(
                "waits after {code} ({} in a row)",
                feed.consecutive_failures
            ),
            None => "waits".to_owned(),
        };
    }
    match (&feed.last_error, feed.load) {
        (Some(code), _) if reads_again(feed) => {
            format!(
                "reads again after {code} ({} in a row)",
                feed.consecutive_failures
            )
        }
        (Some(code), _) => format!("{code} ({} in a row)", feed.consecutive_failures),
        (None, Some(UnfinishedLoad { first: true, .. })) => "first load".to_owned(),
        (None, Some(_)) => "read again".to_owned(),
        (None, None) => "ok".to_owned(),
    }
}

/// True for a feed whose last run failed, and of which rows were read since.
fn reads_again(feed: &FeedStatus) -> bool {
    feed.last_error.is_some() && feed.pulled_at > feed.last_run_at
}

/// Sums the dead letters of a feed.
fn refused_count(status: &Status, source: &str, feed: &str) -> u64 {
    let is_of_feed = |count: &&DeadLetterCount| count.source == source && count.feed == feed;
    status
        .dead_letters
        .iter()
        .filter(is_of_feed)
        .map(|count| count.count)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_names_feed_and_service_and_says_since_when() {
        let wait = ServiceWait {
            source: "mis".into(),
            feed: "tests".into(),
            service: "the token issuer issuer.example".into(),
            since: DateTime::from_timestamp(1_625_140_800, 0),
        };
        let now = DateTime::from_timestamp(1_625_140_812, 0).expect("a moment");
        let text = wait_text(&wait, now);
        let expected = "waits: mis tests: waits for the token issuer issuer.example for 12 s";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn an_unfinished_load_says_how_far_it_came() {
        let load = |first, rows| load_text(UnfinishedLoad { first, rows });
        assert_eq!(
            load(true, 40_000),
            "first load: 40000 rows read, not finished"
        );
        assert_eq!(
            load(false, 1),
            "read again from the beginning: 1 row read, not finished"
        );
    }
}

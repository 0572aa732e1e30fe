//! Table of the feeds, and lines on what became of their rows.

use chrono::{DateTime, Utc};
use outbox::{DeadLetterCount, FeedStatus, Status, UnfinishedLoad};
use program::terminal::{counted, print_line, print_table, visible};

use super::context::Context;
use crate::cli::age::ago;

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
                    state_text(feed)
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
    let configured = |feed: &&FeedStatus| context.is_configured(feed);
    status.feeds.iter().filter(configured).for_each(print_feed);
}

fn print_feed(feed: &FeedStatus) {
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
             parked",
            rows.read, rows.sent, rows.unchanged, rows.no_fact, rows.refused, rows.parked
        ));
    }
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

fn state_text(feed: &FeedStatus) -> String {
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

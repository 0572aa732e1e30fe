//! Lines on the sweeps of each feed: how changes are noticed, the next sweep and its pace, the one
//! that runs, and what the last one came to.

use chrono::{DateTime, Utc};
use outbox::{ChangeNotice, FeedStatus, LastSweep, Status, SweepStatus};
use program::terminal::{counted, print_line};

use super::context::Context;
use super::sweep_plan::{SweepPlan, counted_rows};
use crate::cli::age::{ago, since};

/// Prints what there is to say on the sweeps of each feed.
pub(super) fn print_sweeps(status: &Status, context: &Context, now: DateTime<Utc>) {
    let configured = |feed: &&FeedStatus| context.is_configured(feed);
    for feed in status.feeds.iter().filter(configured) {
        if feed.sweep_owed {
            print_line(format!(
                "sweep: {} {}: owed to a repair or a retry; it follows the next run that reaches \
                 the source",
                feed.source, feed.feed
            ));
        }
        let plan = context
            .sweeps
            .iter()
            .find(|plan| plan.source == feed.source);
        feed_text(feed, plan, now).into_iter().for_each(print_line);
    }
}

/// Line on the sweeps of a feed; `None` where there is nothing to say: no sweep yet, of a source
/// that is not configured.
fn feed_text(feed: &FeedStatus, plan: Option<&SweepPlan>, now: DateTime<Utc>) -> Option<String> {
    let FeedStatus {
        source, feed: name, ..
    } = feed;
    let mut notes: Vec<String> = feed.notices.map(notices_text).into_iter().collect();
    if let Some(sweep) = &feed.sweep {
        notes.push(last_text(sweep, now));
        notes.extend(running_text(sweep, now));
        notes.extend(totals_text(sweep));
        notes.extend(held_text(sweep, source));
    } else {
        plan?;
        notes.push("no sweep yet".to_owned());
    }
    if let Some(plan) = plan {
        notes.push(plan.next_text());
        notes.extend(plan.pace_text());
    }
    Some(format!("sweep: {source} {name}: {}", notes.join("; ")))
}

fn notices_text(notices: ChangeNotice) -> String {
    let words = match notices {
        ChangeNotice::Stamp => "changes are noticed by a stamp",
        ChangeNotice::SeveralStamps => "changes are noticed by several stamps",
        ChangeNotice::Files => "changes are noticed by the lengths and times of files",
        ChangeNotice::Contents => {
            "changes are noticed by contents alone, so that the feed is in sync as of the begin of \
             its last whole read"
        }
    };
    words.to_owned()
}

/// What the last sweep came to.
fn last_text(sweep: &SweepStatus, now: DateTime<Utc>) -> String {
    let when = format!("the last {}", ago(now, sweep.finished_at));
    let (Some(last), Some(finished_at)) = (&sweep.last, sweep.finished_at) else {
        return when;
    };
    let LastSweep {
        contents,
        begun_at,
        seen,
        rows_read,
        changed,
        withdrawn,
    } = last;
    let read = if *contents {
        format!("{} read whole", counted_rows(*rows_read))
    } else {
        let keys = counted(*seen, "key", "keys");
        format!("{keys}, {rows_read} read whole")
    };
    let long = begun_at.map_or_else(String::new, |at| format!(" in {}", since(finished_at, at)));
    format!("{when}: {read}{long}, {changed} new or changed, {withdrawn} withdrawn")
}

/// How far the sweep that runs has come.
fn running_text(sweep: &SweepStatus, now: DateTime<Utc>) -> Option<String> {
    let pass = sweep.pass?;
    let what = if sweep.contents && pass == 1 {
        counted_rows(sweep.seen)
    } else {
        counted(sweep.seen, "key", "keys")
    };
    let of = sweep
        .last
        .as_ref()
        .map_or_else(String::new, |last| format!(" of {} at the last", last.seen));
    let long = sweep
        .begun_at
        .map_or_else(String::new, |at| format!(" for {}", since(now, at)));
    Some(format!("one runs{long}: pass {pass}, {what} seen{of}"))
}

fn totals_text(sweep: &SweepStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if sweep.withdrawn_total > 0 {
        notes.push(format!("{} withdrawn in all", sweep.withdrawn_total));
    }
    if sweep.missed_total > 0 {
        notes.push(format!(
            "{} found that no pull had seen",
            sweep.missed_total
        ));
    }
    notes
}

fn held_text(sweep: &SweepStatus, source: &str) -> Option<String> {
    let held = sweep.held?;
    let of = sweep.held_of.unwrap_or(held);
    Some(format!(
        "HELD: {held} of {of} records are gone and not withdrawn; if they are gone on purpose: \
         clinic-gateway confirm-withdrawals {source}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_625_140_800 + second, 0).expect("a moment")
    }

    fn plan(next_at: Option<DateTime<Utc>>) -> SweepPlan {
        SweepPlan {
            source: "mis".into(),
            next_at,
            scheduled: true,
            rows_per_second: 5000,
            pause_ms: 100,
            time_zone: chrono_tz::Europe::Moscow,
        }
    }

    fn content_sweep() -> SweepStatus {
        SweepStatus {
            finished_at: Some(at(720)),
            pass: Some(1),
            contents: true,
            begun_at: Some(at(86_400)),
            seen: 1_200,
            rows_read: 1_200,
            last: Some(LastSweep {
                contents: true,
                begun_at: Some(at(0)),
                seen: 500_000,
                rows_read: 500_000,
                changed: 31,
                withdrawn: 2,
            }),
            held: None,
            held_of: None,
            permitted: 0,
            withdrawn_total: 7,
            missed_total: 0,
        }
    }

    #[test]
    fn a_content_sweep_says_how_far_it_is_and_what_the_last_one_came_to() {
        let sweep = content_sweep();
        assert_eq!(
            last_text(&sweep, at(86_520)),
            "the last 23 h ago: 500000 rows read whole in 12 min, 31 new or changed, 2 withdrawn"
        );
        assert_eq!(
            running_text(&sweep, at(86_520)).as_deref(),
            Some("one runs for 2 min: pass 1, 1200 rows seen of 500000 at the last")
        );
        let second = SweepStatus {
            pass: Some(2),
            last: None,
            ..sweep
        };
        assert_eq!(
            running_text(&second, at(86_520)).as_deref(),
            Some("one runs for 2 min: pass 2, 1200 keys seen")
        );
        assert_eq!(last_text(&second, at(86_520)), "the last 23 h ago");
    }

    #[test]
    fn the_plan_says_when_and_how_fast() {
        assert_eq!(
            plan(Some(at(0))).next_text(),
            "the next 2021-07-01 15:00 Europe/Moscow"
        );
        assert!(plan(None).next_text().contains("once the daemon runs"));
        assert_eq!(
            plan(None).pace_text().as_deref(),
            Some("at most 5000 rows a second, 100 ms between two pages")
        );
        let free = SweepPlan {
            rows_per_second: 0,
            pause_ms: 0,
            scheduled: false,
            ..plan(None)
        };
        assert_eq!(free.pace_text(), None);
        assert_eq!(free.next_text(), "none by schedule");
    }
}

//! Printing of the status, section by section.

use chrono::{DateTime, Utc};
use outbox::{DeadLetter, DeadLetterCount, FeedStatus, Status};
use program::terminal::{counted, print_line, print_table};

use super::context::Context;
use super::waiting::{self, parked_text, raise_text};
use crate::cli::age::ago;
use crate::cli::dead_letter_text::record_text;
use crate::surprise;

/// Prints a table with a row for each feed.
pub(super) fn print_feeds(status: &Status, now: DateTime<Utc>) {
    let rows: Vec<_> = status
        .feeds
        .iter()
        .map(|feed| {
            let state = match &feed.last_error {
                Some(code) => format!("{code} ({} in a row)", feed.consecutive_failures),
                None => "ok".to_owned(),
            };
            [
                feed.source.clone(),
                feed.feed.clone(),
                state,
                ago(now, feed.last_ok_at),
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
}

/// Prints the backlog, the queue and the counts of dead letters.
pub(super) fn print_outbox_and_queue(status: &Status, now: DateTime<Utc>) {
    print_line("");
    let oldest = status.backlog.oldest_at.map_or_else(
        || "none waits".to_owned(),
        |oldest| format!("the oldest since {}", ago(now, Some(oldest))),
    );
    print_line(format!(
        "outbox: {} ({}; {oldest}); {} bytes kept; generation {}",
        counted(status.backlog.batches, "batch waits", "batches wait"),
        counted(status.backlog.events, "event", "events"),
        status.backlog.bytes,
        status.generation
    ));
    waiting::other_gateway_text(status.other_gateway_at, now)
        .into_iter()
        .for_each(print_line);
    waiting::raised_text(status, now)
        .into_iter()
        .for_each(print_line);
    let raise = status.raise_waits.map(|waits| raise_text(waits, now));
    raise.into_iter().for_each(print_line);
    let failing = status
        .publisher
        .last_error
        .as_ref()
        .map_or_else(String::new, |code| {
            format!(
                "; failing: {code} ({} in a row)",
                status.publisher.consecutive_failures
            )
        });
    print_line(format!(
        "queue: {} delivered, the last {}{failing}",
        counted(status.publisher.delivered_batches, "batch", "batches"),
        ago(now, status.publisher.last_delivered_at)
    ));
    for count in &status.dead_letters {
        let source = &count.source;
        let feed = &count.feed;
        print_line(format!(
            "refused: {source} {feed}: {} × {}",
            count.count, count.reason
        ));
    }
    parked_text(&status.dead_letters)
        .into_iter()
        .for_each(print_line);
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

pub(super) fn print_receipts(status: &Status, context: &Context, now: DateTime<Utc>) {
    let publisher = &status.publisher;
    let backlog = &status.backlog;
    if !context.receipts {
        return print_line("receipts: off; batches are settled by the queue's confirm");
    }
    print_line(format!(
        "receipts: {} accepted, {} refused, the last {}; {}",
        counted(publisher.accepted_events, "event", "events"),
        publisher.refused_events,
        ago(now, publisher.last_receipt_at),
        counted(
            backlog.awaiting_receipt_batches,
            "batch awaits its own",
            "batches await theirs"
        )
    ));
    if backlog.unreadable_batches > 0 {
        let reason = publisher.unreadable.as_deref().unwrap_or("unknown");
        print_line(format!(
            "registry: {} not readable there ({reason}); sent again in time. {}",
            counted(backlog.unreadable_batches, "batch was", "batches were"),
            unreadable_help(reason)
        ));
    }
}

/// Returns the next step for batches that the registry could not read.
fn unreadable_help(reason: &str) -> &'static str {
    match reason {
        "sealed-to-another-key" => {
            "See that public_key of [registry] is the one that `city-registry keys public` \
             prints, then run `clinic-gateway reconcile --repair`: it sends what is missing anew \
             and lets these batches go"
        }
        "store-refuses" => "The registry has to mend its store and retry its dead letters",
        "not-authentic" | "not-a-sealed-batch" => {
            "They were changed on the way: if they stay, look at the queue and run \
             `clinic-gateway reconcile --repair`"
        }
        _ => {
            "Is the registry older than the gateway? Once it is newer, run `clinic-gateway \
             reconcile --repair`"
        }
    }
}

pub(super) fn print_sweeps(status: &Status, now: DateTime<Utc>) {
    for FeedStatus {
        source,
        feed,
        sweep,
        ..
    } in &status.feeds
    {
        let Some(sweep) = sweep else { continue };
        let mut notes = vec![format!("the last {}", ago(now, sweep.finished_at))];
        if let Some(pass) = sweep.pass {
            notes.push(format!(
                "one runs: pass {pass}, {} seen",
                counted(sweep.seen, "key", "keys")
            ));
        }
        if sweep.withdrawn_total > 0 {
            notes.push(format!("{} withdrawn in all", sweep.withdrawn_total));
        }
        if sweep.missed_total > 0 {
            notes.push(format!(
                "{} found that no pull had seen",
                sweep.missed_total
            ));
        }
        if let Some(held) = sweep.held {
            let of = sweep.held_of.unwrap_or(held);
            notes.push(format!(
                "HELD: {held} of {of} records are gone and not withdrawn; if they are gone on \
                 purpose: clinic-gateway confirm-withdrawals {source}"
            ));
        }
        print_line(format!("sweep: {source} {feed}: {}", notes.join("; ")));
    }
}

pub(super) fn print_context(status: &Status, context: &Context, now: DateTime<Utc>) {
    if context.paused {
        print_line("paused: outbox full; pulling goes on when batches have left or been answered");
    }
    for circuit in context.circuits.iter().filter(|circuit| circuit.is_open()) {
        print_line(format!(
            "circuit: {} is open after {} failures in a row",
            circuit.endpoint, circuit.failures_in_a_row
        ));
    }
    for surprise in &status.surprises {
        print_line(format!(
            "surprise: {} {}: {} × {}, the last {}: {}",
            surprise.source,
            surprise.feed,
            surprise.count,
            surprise.code,
            ago(now, surprise.last_seen_at),
            surprise::text(&surprise.code)
        ));
    }
    for report in &context.reconciliations {
        let scope = report.source.as_deref().unwrap_or("all sources");
        let when = match report.finished_at {
            Some(_) => ago(now, report.finished_at),
            None => format!("running, {} of {} answered", report.answered, report.probes),
        };
        print_line(format!(
            "reconciled: {scope}: {when}: {} equal, {} missing, {} stale, {} extra, {} conflicting",
            report.equal, report.missing, report.stale, report.extra, report.conflicting
        ));
    }
    for name in &context.not_configured {
        print_line(format!(
            "source {name} is not configured any more, and its records still stand; to withdraw \
             them: clinic-gateway confirm-withdrawals {name}"
        ));
    }
    for name in &context.never_pulled {
        print_line(format!("source {name} has not been pulled yet"));
    }
}

/// Prints refused records as a table, after an empty line; nothing if there are none.
pub(super) fn print_refused(refused: &[DeadLetter], now: DateTime<Utc>) {
    if refused.is_empty() {
        return;
    }
    print_line("");
    let rows: Vec<_> = refused
        .iter()
        .map(|letter| {
            [
                letter.source.clone(),
                letter.feed.clone(),
                record_text(letter),
                letter.reason.clone(),
                ago(now, letter.first_seen_at),
            ]
        })
        .collect();
    print_table(["source", "feed", "record", "reason", "since"], &rows);
}

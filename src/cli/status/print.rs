//! Printing of the status, section by section.

use chrono::{DateTime, Utc};
use outbox::{DeadLetter, MAX_DEAD_LETTERS_PER_FEED, Report, Status, Surprise};
use program::terminal::{counted, print_line, print_table};

use super::context::Context;
use super::waiting::{self, parked_text, raise_text};
use crate::cli::age::ago;
use crate::cli::dead_letter_text::{older_version_word, record_text};
use crate::cli::keys_text::leaving_text;
use crate::cli::removed::{self, Told};
use crate::cli::slots_text::{forecast_text, rules_text};
use crate::surprise;

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
    print_refusals(status);
    parked_text(&status.dead_letters)
        .into_iter()
        .for_each(print_line);
}

/// Prints when the batches that wait leave, where that is in slots, and what dummies cost.
pub(super) fn print_slots(status: &Status, context: &Context) {
    if let Some(slots) = &context.slots {
        print_line(format!(
            "slots: {}; {}",
            rules_text(slots.rules),
            forecast_text(slots.rules, status.backlog.batches)
        ));
    }
    if let Some(dummies) = &context.dummies {
        print_line(dummies.text());
    }
}

/// Prints the refusals of each feed, by reason; all of them, listed or not.
fn print_refusals(status: &Status) {
    for count in &status.dead_letters {
        let source = &count.source;
        let feed = &count.feed;
        let unlisted = if count.unlisted > 0 {
            format!(
                ", {} of them not listed: the list holds {MAX_DEAD_LETTERS_PER_FEED} a feed",
                count.unlisted
            )
        } else {
            String::new()
        };
        print_line(format!(
            "refused: {source} {feed}: {} × {}{unlisted}",
            count.count, count.reason
        ));
    }
}

pub(super) fn print_receipts(status: &Status, context: &Context, now: DateTime<Utc>) {
    let publisher = &status.publisher;
    let backlog = &status.backlog;
    if context.receipts {
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
    } else {
        print_line(
            "receipts: off; batches are settled by the queue's confirm, and a restored state is \
             not noticed",
        );
    }
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
        "answer-does-not-add-up" | "other-answer" => {
            "The registry's answer does not fit what was sent: is it another version? Ask its \
             operator, then run `clinic-gateway reconcile --repair`"
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

pub(super) fn print_context(status: &Status, context: &Context, now: DateTime<Utc>) {
    if context.suites.moving_from.is_some() {
        print_line(leaving_text(context.suites));
    }
    if context.paused {
        print_line("paused: outbox full; pulling goes on when batches have left or been answered");
    }
    for circuit in context.circuits.iter().filter(|circuit| circuit.is_open()) {
        print_line(format!(
            "circuit: {} is open after {} failures in a row",
            circuit.endpoint, circuit.failures_in_a_row
        ));
    }
    let open = |surprise: &&Surprise| surprise.mended_at.is_none();
    for surprise in status.surprises.iter().filter(open) {
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
        print_line(reconciled_text(report, now));
    }
    for Told { what, help } in removed::tell(&context.removed_feeds) {
        print_line(format!("{what}; {help}"));
    }
    for name in &context.never_pulled {
        print_line(format!("source {name} has not been pulled yet"));
    }
}

/// Line on a comparison with the registry, and on what was done about it since.
fn reconciled_text(report: &Report, now: DateTime<Utc>) -> String {
    let scope = report.source.as_deref().unwrap_or("all sources");
    let when = match report.finished_at {
        Some(_) => ago(now, report.finished_at),
        None => format!("running, {} of {} answered", report.answered, report.probes),
    };
    if report.finished_at.is_some() && report.differing() > 0 && report.is_repaired() {
        return format!(
            "reconciled: {scope}: {when}: {} equal; {} differed and were prepared to be sent \
             again {}; the next comparison tells",
            report.equal,
            report.differing(),
            ago(now, report.repaired_at)
        );
    }
    format!(
        "reconciled: {scope}: {when}: {} equal, {} missing, {} stale, {} extra, {} conflicting",
        report.equal, report.missing, report.stale, report.extra, report.conflicting
    )
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
                older_version_word(letter),
            ]
        })
        .collect();
    print_table(
        [
            "source",
            "feed",
            "record",
            "reason",
            "since",
            "older version",
        ],
        &rows,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_leave_once_all_of_them_were_prepared_to_be_sent_again() {
        let at = |second: i64| DateTime::from_timestamp(1_625_140_800 + second, 0);
        let mut report = Report {
            id: 1,
            source: None,
            started_at: at(0),
            finished_at: at(1),
            probes: 8,
            answered: 8,
            equal: 5,
            missing: 0,
            stale: 0,
            extra: 3,
            conflicting: 0,
            repaired: 0,
            repaired_at: None,
        };
        let now = at(60).expect("a moment");
        let differs = reconciled_text(&report, now);
        assert!(differs.contains("3 extra"), "{differs}");
        report.repaired = 2;
        assert!(
            reconciled_text(&report, now).contains("3 extra"),
            "one is left"
        );
        report.repaired = 3;
        report.repaired_at = at(30);
        let repaired = reconciled_text(&report, now);
        assert!(
            !repaired.contains("extra")
                && repaired.contains("3 differed")
                && repaired.contains("30 s ago"),
            "{repaired}"
        );
    }
}

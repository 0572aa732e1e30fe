//! Printing of refused corrections: what stands at the registry, or is withdrawn there, of records
//! that cannot be sent any more.

use outbox::{FeedStatus, RefusedCorrections, Status};
use program::terminal::{counted, print_line};

/// Prints a line for each feed that has refused corrections.
pub(super) fn print_corrections(status: &Status) {
    let waiting = status.backlog.batches + status.backlog.awaiting_receipt_batches;
    let lines = status.feeds.iter().filter_map(|feed| text(feed, waiting));
    lines.for_each(print_line);
}

/// Returns the line of a feed; `None` where no correction is refused. `unconfirmed` is the number of
/// batches that the registry has not confirmed.
fn text(feed: &FeedStatus, unconfirmed: u64) -> Option<String> {
    let RefusedCorrections {
        waiting,
        held,
        held_of,
        kept,
        withdrawn,
        possible,
        parked,
        ..
    } = feed.refused_corrections;
    let source = &feed.source;
    let older = |count| counted(count, "older version is", "older versions are");
    let notes = [
        (
            withdrawn,
            withdrawn_text(&older(withdrawn), feed.withheld.records > 0, unconfirmed),
        ),
        (
            waiting,
            format!(
                "{} at the registry until the end of the next run",
                older(waiting)
            ),
        ),
        (
            kept,
            format!(
                "{} kept at the registry, as on_refused_correction says",
                older(kept)
            ),
        ),
        (
            held,
            held_text(&older(held), held_of.unwrap_or(held), source),
        ),
        (possible, possible_text(possible, source)),
        (
            parked,
            format!(
                "{} parked at the registry, since no version is left to withdraw them with: \
                 clinic-gateway dead-letters list --reason versions-exhausted",
                older(parked)
            ),
        ),
    ];
    let notes = notes.into_iter().filter(|(count, _)| *count > 0);
    let notes: Vec<String> = notes.map(|(_, note)| note).collect();
    let feed = &feed.feed;
    (!notes.is_empty())
        .then(|| format!("refused corrections: {source} {feed}: {}", notes.join("; ")))
}

/// A withdrawal counts once the registry has it, which this program knows of its batch only.
fn withdrawn_text(older: &str, some_are_withheld: bool, unconfirmed: u64) -> String {
    let or_leave = if some_are_withheld {
        ", or are withheld no longer"
    } else {
        ""
    };
    let text = format!("{older} withdrawn at the registry until the rows are mended{or_leave}");
    if unconfirmed == 0 {
        return text;
    }
    let batches = counted(unconfirmed, "batch that it has", "batches that it has");
    format!("{text}, but for withdrawals in the {batches} not confirmed yet")
}

fn held_text(older: &str, of: u64, source: &str) -> String {
    format!(
        "HELD: {older} held at the registry (of {of} records), since more rows cannot be sent any \
         more than may be withdrawn unasked; if the rows are right: clinic-gateway \
         confirm-withdrawals {source}"
    )
}

fn possible_text(possible: u64, source: &str) -> String {
    format!(
        "HELD: of {} a state that was lost may have sent an older version; clinic-gateway \
         reconcile {source} asks the registry, confirm-withdrawals {source} withdraws them in any \
         case",
        counted(possible, "refused row", "refused rows")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_withdrawal_that_the_registry_has_not_confirmed_is_told_as_such() {
        let told = withdrawn_text("1 older version is", false, 0);
        assert_eq!(
            told,
            "1 older version is withdrawn at the registry until the rows are mended"
        );
        let told = withdrawn_text("1 older version is", false, 2);
        assert!(
            told.ends_with("but for withdrawals in the 2 batches that it has not confirmed yet"),
            "{told}"
        );
    }
}

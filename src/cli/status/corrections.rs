//! Printing of refused corrections: what stands at the registry, or is withdrawn there, of records
//! that cannot be sent any more.

use outbox::{FeedStatus, RefusedCorrections, Status};
use program::terminal::{counted, print_line};

/// Prints a line for each feed that has refused corrections.
pub(super) fn print_corrections(status: &Status) {
    status.feeds.iter().filter_map(text).for_each(print_line);
}

/// Returns the line of a feed; `None` where no correction is refused.
fn text(feed: &FeedStatus) -> Option<String> {
    let RefusedCorrections {
        waiting,
        held,
        held_of,
        kept,
        withdrawn,
        possible,
    } = feed.refused_corrections;
    let source = &feed.source;
    let older = |count| counted(count, "older version is", "older versions are");
    let mut notes = Vec::new();
    if withdrawn > 0 {
        notes.push(format!(
            "{} withdrawn at the registry until the rows are mended",
            older(withdrawn)
        ));
    }
    if waiting > 0 {
        notes.push(format!(
            "{} at the registry until the end of the next run",
            older(waiting)
        ));
    }
    if kept > 0 {
        notes.push(format!(
            "{} kept at the registry, as on_refused_correction says",
            older(kept)
        ));
    }
    if held > 0 {
        notes.push(format!(
            "HELD: {} held at the registry (of {} records), since more rows cannot be sent any \
             more than may be withdrawn unasked; if the rows are right: clinic-gateway \
             confirm-withdrawals {source}",
            older(held),
            held_of.unwrap_or(held)
        ));
    }
    if possible > 0 {
        notes.push(format!(
            "HELD: of {} a state that was lost may have sent an older version; clinic-gateway \
             reconcile {source} asks the registry, confirm-withdrawals {source} withdraws them in \
             any case",
            counted(possible, "refused row", "refused rows")
        ));
    }
    let feed = &feed.feed;
    (!notes.is_empty())
        .then(|| format!("refused corrections: {source} {feed}: {}", notes.join("; ")))
}

//! Metrics of the relay; README.md lists them.

use std::time::Duration;

use broker::QueueState;

use crate::form::Refusal;

/// Registers every metric, so that an alert can tell "none yet" from "not counted".
pub fn register_metrics<'a>(accounts: impl IntoIterator<Item = &'a str>) {
    for account in accounts {
        forwarded(account).absolute(0);
        for refusal in Refusal::ALL {
            refused(account, refusal).absolute(0);
        }
        links_lost(account).absolute(0);
        show_held(account, 0);
    }
    slots("published").absolute(0);
    slots("empty").absolute(0);
    slots("failed").absolute(0);
    for outcome in ["forwarded", "dropped", "failed"] {
        receipts(outcome).absolute(0);
    }
}

fn forwarded(account: &str) -> metrics::Counter {
    metrics::counter!("mix_relay_forwarded_total", "account" => account.to_owned())
}

fn refused(account: &str, refusal: Refusal) -> metrics::Counter {
    metrics::counter!(
        "mix_relay_refused_total",
        "account" => account.to_owned(), "reason" => refusal.word()
    )
}

fn links_lost(account: &str) -> metrics::Counter {
    metrics::counter!("mix_relay_links_lost_total", "account" => account.to_owned())
}

fn slots(outcome: &'static str) -> metrics::Counter {
    metrics::counter!("mix_relay_slots_total", "outcome" => outcome)
}

fn receipts(outcome: &'static str) -> metrics::Counter {
    metrics::counter!("mix_relay_receipts_total", "outcome" => outcome)
}

/// Counts a batch of an account that the registry's broker has confirmed.
pub(crate) fn count_forwarded(account: &str) {
    forwarded(account).increment(1);
}

/// Counts a message that is not passed on.
pub(crate) fn count_refused(account: &str, refusal: Refusal) {
    refused(account, refusal).increment(1);
}

/// Counts a lost connection to an account's queue.
pub(crate) fn count_link_lost(account: &str) {
    links_lost(account).increment(1);
}

/// Counts a slot that has ended.
pub(crate) fn count_slot(confirmed: usize, failed: usize) {
    let outcome = match (confirmed, failed) {
        (0, 0) => "empty",
        (_, 0) => "published",
        _ => "failed",
    };
    slots(outcome).increment(1);
}

/// Counts a message of receipts.
pub(crate) fn count_receipts(outcome: &'static str) {
    receipts(outcome).increment(1);
}

/// Shows the number of batches held of an account.
pub(crate) fn show_held(account: &str, held: usize) {
    metrics::gauge!("mix_relay_held", "account" => account.to_owned()).set(number(held));
}

/// Shows the days since an account was heard.
pub(crate) fn show_silent(account: &str, days: u32) {
    metrics::gauge!("mix_relay_silent_days", "account" => account.to_owned()).set(days);
}

/// Shows the age of the oldest batch that is held.
pub(crate) fn show_oldest(age: Duration) {
    metrics::gauge!("mix_relay_oldest_seconds").set(age.as_secs_f64());
}

/// Shows whether the registry's broker takes batches.
pub(crate) fn show_inside(state: QueueState) {
    let is_up = matches!(state, QueueState::Connected | QueueState::Idle);
    metrics::gauge!("mix_relay_inside_up").set(f64::from(u8::from(is_up)));
}

/// Shows whether the days of the accounts are on the disk.
pub(crate) fn show_state_written(is_written: bool) {
    metrics::gauge!("mix_relay_state_written").set(f64::from(u8::from(is_written)));
}

/// Shows whether it can be laid down for the auditor who sends.
pub(crate) fn show_laid_down(is_written: bool) {
    metrics::gauge!("mix_relay_escrow_written").set(f64::from(u8::from(is_written)));
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Names of metrics between two of these marks.
    fn names(text: &str, mark: char) -> BTreeSet<&str> {
        let parts = text.split(mark).skip(1).step_by(2);
        let names = parts.map(|part| part.split('{').next().unwrap_or(part));
        names
            .filter(|name| name.starts_with("mix_relay_"))
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let source = include_str!("metrics.rs");
        let source = source.split("#[cfg(test)]").next().unwrap_or(source);
        let page = include_str!("../README.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `mix_relay_"));
        let documented: BTreeSet<&str> = rows.flat_map(|row| names(row, '`')).collect();
        assert!(documented.len() >= 9, "{documented:?}");
        assert_eq!(names(source, '"'), documented);
    }
}

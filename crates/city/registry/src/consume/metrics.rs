//! Counters and histograms of the consumers; README.md lists them.

use std::time::Duration;

use az::SaturatingAs;
use contract::{DifferenceKind, ProbeAnswer};
use linking::{GroupOutcome, OpenBatch};

#[cfg(feature = "cli")]
use crate::store::Expired;
use crate::store::StoreError;
#[cfg(feature = "cli")]
use crate::tokens::TokenFault;

/// Registers every metric of README.md at zero, so that an alert can tell "none yet" from "not
/// counted". Those of
/// disks are there where the registry has files of its own.
#[cfg(feature = "cli")]
pub(crate) fn register() {
    let counters: [(&'static str, &'static str, &[&'static str]); 7] = [
        (
            "registry_events_total",
            "outcome",
            &[
                "applied",
                "unchanged",
                "superseded",
                "version-reused",
                "refused",
            ],
        ),
        (
            "registry_batches_total",
            "outcome",
            &["applied", "empty", "dead-lettered", "thrown-away"],
        ),
        ("registry_receipts_total", "outcome", &["sent", "failed"]),
        (
            "registry_probes_total",
            "outcome",
            &["answered", "unanswered"],
        ),
        (
            "registry_probed_records_total",
            "outcome",
            &["equal", "missing", "stale", "newer", "conflicting"],
        ),
        ("registry_store_errors_total", "kind", &StoreError::KINDS),
        (
            "registry_expired_facts_total",
            "kind",
            &["vaccination", "test", "recovery"],
        ),
    ];
    for (metric, label, values) in counters {
        for value in values {
            metrics::counter!(metric, label => *value).absolute(0);
        }
    }
    for fault in TokenFault::ALL {
        metrics::counter!("registry_token_faults_total", "fault" => fault.as_str()).absolute(0);
    }
    for metric in ["registry_conflicts_total", "registry_store_races_total"] {
        metrics::counter!(metric).absolute(0);
    }
    // The circuits are made with the store, which may be away at the start.
    for endpoint in ["store", "receipts"] {
        metrics::gauge!("registry_circuit_state", "endpoint" => endpoint).set(0.0);
    }
    // A handle is enough: it is shown with no observation yet.
    drop(metrics::histogram!("registry_commit_seconds"));
}

/// Counts a committed transaction.
pub(super) fn count_commit(took: Duration) {
    metrics::histogram!("registry_commit_seconds").record(took.as_secs_f64());
}

/// Counts stored batches; those without an event, which store nothing, by themselves.
pub(super) fn count_batches(batches: &[&OpenBatch]) {
    let is_empty = |batch: &&&OpenBatch| batch.events.is_empty() && batch.refusals.is_empty();
    let empty = batches.iter().filter(is_empty).count();
    let count = |outcome: &'static str, batches: usize| {
        metrics::counter!("registry_batches_total", "outcome" => outcome).increment(batches as u64);
    };
    count("applied", batches.len() - empty);
    count("empty", empty);
}

/// Counts events and conflicts of stored batches.
pub(super) fn count_events(outcome: &GroupOutcome) {
    let counts = [
        ("applied", outcome.applied),
        ("unchanged", outcome.unchanged),
        ("superseded", outcome.superseded),
        ("version-reused", outcome.version_reused),
        ("refused", outcome.refused - outcome.version_reused),
    ];
    for (name, events) in counts {
        metrics::counter!("registry_events_total", "outcome" => name).increment(events as u64);
    }
    metrics::counter!("registry_conflicts_total").increment(outcome.conflicts as u64);
}

/// Counts facts that expired.
#[cfg(feature = "cli")]
pub(crate) fn count_expired(expired: &Expired) {
    for (kind, facts) in &expired.facts {
        metrics::counter!("registry_expired_facts_total", "kind" => kind.as_str())
            .increment((*facts).saturating_as());
    }
}

/// Counts a batch that went to the dead letters.
pub(super) fn count_dead_letter() {
    metrics::counter!("registry_batches_total", "outcome" => "dead-lettered").increment(1);
}

/// Counts unreadable batches that were thrown away.
pub(super) fn count_thrown_away(batches: u64) {
    metrics::counter!("registry_batches_total", "outcome" => "thrown-away").increment(batches);
}

/// Counts a failed transaction or look-up.
pub(crate) fn count_store_error(error: &StoreError) {
    metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
}

/// Counts probes, by whether their senders were sent an answer.
pub(super) fn count_probes(probes: usize, answered: bool) {
    let outcome = if answered { "answered" } else { "unanswered" };
    metrics::counter!("registry_probes_total", "outcome" => outcome).increment(probes as u64);
}

/// Counts the records that a probe asked for.
pub(super) fn count_probed_records(answer: &ProbeAnswer) {
    let count = |outcome: &'static str, records: usize| {
        metrics::counter!("registry_probed_records_total", "outcome" => outcome)
            .increment(records as u64);
    };
    count("equal", answer.equal.saturating_as());
    for kind in DifferenceKind::ALL {
        let of_kind = answer
            .differences
            .iter()
            .filter(|difference| difference.what == kind);
        count(kind.as_str(), of_kind.count());
    }
}

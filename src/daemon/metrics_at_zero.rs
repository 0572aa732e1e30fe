//! Metrics as they are at the start: every one that docs/operations.md names is there from the
//! first scrape, so that an alert can tell "none yet" from "not counted".

use contract::RefusalReason;
use outbox::OlderVersion;
use pseudonym::{RejectionReason, ValueTable};

use crate::circuits::{EndpointCircuit, QUEUE, QUEUE_NAME, SOURCE, feed_name, source_name};
use crate::gateway::Gateway;
use crate::receipts::REJECTIONS;
use crate::sources::Source;
use crate::surprise;

/// Outcomes of records, beside each other or not.
const RECORD_OUTCOMES: [&str; 16] = [
    "new",
    "corrected",
    "withdrawn",
    "withdrawn-unsent",
    "resent",
    "unchanged",
    "no-fact",
    "refused",
    "refused-again",
    "parked",
    "withheld",
    "swept",
    "older-withdrawn",
    "out-of-scope",
    "oms-check-digit",
    "dose-dropped",
];

/// Outcomes of runs that any source may have; others appear when they happen.
const RUN_OUTCOMES: [&str; 5] = [
    "ok",
    "stopped",
    "source-away",
    "source-misconfigured",
    "disk-full",
];

/// Results of a comparison with the registry.
pub(super) const RECONCILE_RESULTS: [&str; 5] =
    ["equal", "missing", "stale", "extra", "conflicting"];

/// Registers every metric.
pub(super) async fn register(gateway: &Gateway) {
    for source in &gateway.sources {
        register_source(gateway, source).await;
    }
    for outcome in ["delivered", "failed"] {
        metrics::counter!("gateway_batches_total", "outcome" => outcome).absolute(0);
    }
    for outcome in ["delivered", "failed", "no-token"] {
        metrics::counter!("gateway_dummies_total", "outcome" => outcome).absolute(0);
    }
    for outcome in ["settled", "unreadable"] {
        metrics::counter!("gateway_receipts_total", "outcome" => outcome).absolute(0);
    }
    for outcome in ["accepted", "refused"] {
        metrics::counter!("gateway_receipt_events_total", "outcome" => outcome).absolute(0);
    }
    for reason in REJECTIONS {
        metrics::counter!("gateway_receipts_rejected_total", "reason" => reason).absolute(0);
    }
    if !gateway.verifiers.is_empty() {
        metrics::gauge!("gateway_receipts_connected").set(0.0);
    }
    for result in RECONCILE_RESULTS {
        metrics::gauge!("gateway_reconcile_records", "source" => "", "result" => result).set(0.0);
    }
    metrics::gauge!("gateway_pulling_paused").set(0.0);
    if let Some(evaluation) = &gateway.evaluation {
        evaluation.client().register_metrics();
    }
    if let Some(tokens) = &gateway.tokens {
        tokens.register_metrics();
    }
    EndpointCircuit::new(QUEUE_NAME.to_owned(), QUEUE).show();
}

async fn register_source(gateway: &Gateway, source: &Source) {
    let name = || source.name.clone();
    metrics::counter!("gateway_hints_total", "source" => name()).absolute(0);
    let last_ok = last_success(gateway, source).await;
    metrics::gauge!("gateway_pull_last_success_timestamp_seconds", "source" => name()).set(last_ok);
    metrics::gauge!("gateway_codes_file_broken", "source" => name()).set(0.0);
    EndpointCircuit::new(source_name(&source.name), SOURCE).show();
    for feed in source.connector.feeds() {
        register_feed(source, feed.as_str());
    }
}

fn register_feed(source: &Source, feed: &'static str) {
    let name = || source.name.clone();
    let labels = [("source", name()), ("feed", feed.to_owned())];
    EndpointCircuit::new(feed_name(&source.name, feed), SOURCE).show();
    metrics::counter!("gateway_records_read_total", &labels).absolute(0);
    let counted = |metric: &'static str, label: &'static str, value: &'static str| {
        metrics::counter!(metric, "source" => name(), "feed" => feed, label => value).absolute(0);
    };
    for outcome in RECORD_OUTCOMES {
        counted("gateway_records_total", "outcome", outcome);
    }
    for outcome in RUN_OUTCOMES {
        counted("gateway_pull_runs_total", "outcome", outcome);
    }
    for outcome in ["ok", "held", "stopped", "failed"] {
        counted("gateway_sweep_runs_total", "outcome", outcome);
    }
    for state in OlderVersion::ALL {
        let state = ("state", state.as_str().to_owned());
        let labels = [("source", name()), ("feed", feed.to_owned()), state];
        metrics::gauge!("gateway_older_versions", &labels).set(0.0);
    }
    for code in surprise::CODES {
        counted("gateway_surprises_total", "code", code);
    }
    register_dead_letters(&source.name, feed);
    for table in ValueTable::ALL {
        let table = ("table", table.as_str().to_owned());
        let labels = [("source", name()), ("feed", feed.to_owned()), table];
        metrics::gauge!("gateway_unknown_values", &labels).set(0.0);
    }
    for metric in [
        "gateway_pull_consecutive_failures",
        "gateway_dead_letters_unlisted",
        "gateway_load_unfinished",
        "gateway_load_rows",
        "gateway_in_sync_timestamp_seconds",
        "gateway_sweep_held_records",
        "gateway_sweep_seen_rows",
        "gateway_sweep_last_rows",
        "gateway_sweep_last_changed",
        "gateway_sweep_last_seconds",
        "gateway_sweep_running",
        "gateway_sweep_age_seconds",
    ] {
        metrics::gauge!(metric, &labels).set(0.0);
    }
}

fn register_dead_letters(source: &str, feed: &str) {
    let refused_here = RejectionReason::ALL
        .iter()
        .map(|reason| reason.as_str().to_owned());
    let refused_there = RefusalReason::ALL.iter();
    let refused_there = refused_there.map(|reason| format!("registry:{}", reason.as_str()));
    for reason in refused_here.chain(refused_there) {
        let labels = [
            ("source", source.to_owned()),
            ("feed", feed.to_owned()),
            ("reason", reason),
        ];
        metrics::gauge!("gateway_dead_letters", &labels).set(0.0);
    }
}

/// Time at which every feed of the source was last read to its end, in seconds since 1970; 0 where
/// one never was.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; seconds since 1970 fit its 53 bits"
)]
async fn last_success(gateway: &Gateway, source: &Source) -> f64 {
    let Ok(status) = gateway.outbox.reader().status().await else {
        return 0.0;
    };
    let last_ok = |feed: &str| {
        let mut feeds = status.feeds.iter();
        let of_feed = feeds.find(|known| known.source == source.name && known.feed == feed)?;
        of_feed.last_ok_at
    };
    let feeds = source.connector.feeds();
    let last = feeds.iter().map(|feed| last_ok(feed.as_str())).min();
    last.flatten()
        .map_or(0.0, |moment| moment.timestamp() as f64)
}

//! `clinic-gateway sync`: makes one pass over the sources, with a progress line and a summary.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use clock::Clock;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use outbox::OutboxError;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line, print_note};
use tokio_util::sync::CancellationToken;

use super::arguments::require_source;
use super::failure::may_pass;
use super::reconcile::refused_text;
use super::slots_text::rules_text;
use crate::config::LoadedConfig;
use crate::gateway::{Gateway, StartError};
use crate::pull::Counters;
use crate::sync::{SyncOptions, SyncReport, sync as sync_once};

#[derive(Debug, Args)]
pub(super) struct SyncArguments {
    /// The sources to pull; all when none is named.
    sources: Vec<String>,
    /// Read everything again, not only what changed; unchanged records are not sent again. The
    /// daemon has to be stopped for it; beside a daemon use `sweep --contents`.
    #[arg(long)]
    full: bool,
    /// How long to wait at the end for the registry's receipts, in seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "CLINIC_GATEWAY_WAIT_RECEIPTS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    wait_receipts: u64,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl SyncArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        match self.full {
            true => "sync --full",
            false => "sync",
        }
    }
}

pub(super) async fn sync(
    arguments: &SyncArguments,
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    counts: &mut Counts,
) -> Result<(), Failure> {
    for name in &arguments.sources {
        require_source(loaded, name)?;
    }
    let gateway = Gateway::open(loaded, clock, "sync").await?;
    // A mistake in the slots is refused with the file.
    if let Ok(Some(slots)) = loaded.config.release.slots() {
        print_note(&format!(
            "{}: this pass waits for that until everything has left; it may be stopped, and what \
             waits then leaves later",
            rules_text(slots)
        ));
    }
    let counters = Arc::new(Counters::default());
    let progress = progress(Arc::clone(&counters));
    let options = SyncOptions {
        only: arguments.sources.clone(),
        full: arguments.full,
        wait_receipts: Duration::from_secs(arguments.wait_receipts),
    };
    let result = sync_once(&gateway, &options, &stop, &counters).await;
    progress.abort();
    gateway.close().await;
    for (name, count) in named_counts(&counters) {
        counts.note(name, count);
    }
    let report = result.map_err(StartError::from)?;
    if arguments.json {
        print_json(&summary_json(&counters, &report));
    } else {
        print_summary(&counters, &report);
    }
    outcome(&report)
}

/// Draws the progress line until aborted; draws nothing where standard error is no terminal.
fn progress(counters: Arc<Counters>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}, {rate}]") {
            let rate = |state: &ProgressState, line: &mut dyn Write| {
                // A line that cannot be drawn is no failure.
                let _undrawn = write!(line, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        loop {
            let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            bar.set_position(count(&counters.pulled));
            bar.set_message(format!(
                "{} read, {} to send, {} unchanged, {} refused",
                count(&counters.pulled),
                counters.sent(),
                count(&counters.unchanged),
                count(&counters.refused)
            ));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// Returns the failure of a pass that is not complete.
fn outcome(report: &SyncReport) -> Result<(), Failure> {
    if report.is_complete() {
        return look(report);
    }
    if report.other_gateway {
        return Err(StartError::from(OutboxError::OtherGateway).into());
    }
    let mut sentences = Vec::new();
    for (source, failure) in &report.failed {
        let feed = failure.feed;
        sentences.push(format!("source {source}, {feed}: {}", failure.error));
    }
    if report.stopped {
        sentences.push("stopped before the end; the next pass goes on from here".to_owned());
    }
    if report.waiting > 0 {
        let reason = report
            .queue_error
            .as_deref()
            .unwrap_or("they are not due yet");
        sentences.push(format!(
            "{} in the outbox: {reason}",
            counted(report.waiting, "batch waits", "batches wait")
        ));
    }
    let sources_may = report.failed.iter().all(|(_, failure)| may_pass(failure));
    Err(Failure::by(
        sources_may && !report.queue_misconfigured,
        sentences.join("\nerror: "),
    ))
}

/// Returns what a pass that is complete has left to look at: what the registry does not take.
fn look(report: &SyncReport) -> Result<(), Failure> {
    let refused = (report.refused > 0).then(|| refused_text(report.refused));
    let waits = report.raise_waits.map(|_| {
        "the registry holds versions that this state never gave out; `clinic-gateway status` says \
         what to do"
            .to_owned()
    });
    let left: Vec<String> = refused.into_iter().chain(waits).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::look(left.join("\nerror: ")))
}

/// Lists the counters of a pass under their names in JSON.
fn named_counts(counters: &Counters) -> [(&'static str, u64); 16] {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    [
        ("read", count(&counters.read)),
        ("new", count(&counters.new)),
        ("corrected", count(&counters.corrected)),
        ("withdrawn", count(&counters.withdrawn)),
        ("withdrawn_unsent", count(&counters.withdrawn_unsent)),
        ("resent", count(&counters.resent)),
        ("unchanged", count(&counters.unchanged)),
        ("no_fact", count(&counters.no_fact)),
        ("refused", count(&counters.refused)),
        ("refused_again", count(&counters.refused_again)),
        ("parked", count(&counters.parked)),
        ("withheld", count(&counters.withheld)),
        ("swept", count(&counters.swept)),
        ("out_of_scope", count(&counters.out_of_scope)),
        ("oms_check_digit_warnings", count(&counters.oms_warnings)),
        ("doses_dropped", count(&counters.doses_dropped)),
    ]
}

fn print_summary(counters: &Counters, report: &SyncReport) {
    if report.receipts.raised {
        print_line(
            "the registry knows a later state of this gateway: this one was lost, restored or \
             copied. The generation rose; everything is read and sent again, above all of that state",
        );
    }
    for (name, count) in named_counts(counters)
        .into_iter()
        .filter(|(name, count)| *count > 0 || *name == "read")
    {
        print_line(format!("{:<24} {count:>10}", name.replace('_', " ")));
    }
    print_line(format!(
        "{:<24} {:>10}",
        "batches delivered", report.delivered
    ));
    for (name, count) in [
        ("accepted by the registry", report.receipts.accepted),
        ("refused by the registry", report.receipts.refused),
        ("batches await a receipt", report.awaiting_receipt),
    ] {
        if count > 0 {
            print_line(format!("{name:<24} {count:>10}"));
        }
    }
}

fn summary_json(counters: &Counters, report: &SyncReport) -> serde_json::Value {
    let mut summary: serde_json::Map<String, serde_json::Value> = named_counts(counters)
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|(source, failure)| {
            serde_json::json!({
                "source": source,
                "feed": failure.feed.as_str(),
                "code": failure.code(),
                "error": failure.error.to_string(),
            })
        })
        .collect();
    let mut set = |name: &str, value: serde_json::Value| summary.insert(name.to_owned(), value);
    set("batches_delivered", report.delivered.into());
    set("batches_waiting", report.waiting.into());
    set("batches_awaiting_receipt", report.awaiting_receipt.into());
    set("accepted_by_registry", report.receipts.accepted.into());
    set("refused_by_registry", report.receipts.refused.into());
    set("refused_at_registry", report.refused.into());
    let needed = report.raise_waits.map(|waits| waits.needed);
    set("generation_needed", needed.into());
    set("raised_by_registry", report.receipts.raised.into());
    set("other_gateway", report.other_gateway.into());
    set("queue_error", report.queue_error.clone().into());
    set("failed", failed.into());
    set("complete", report.is_complete().into());
    summary.into()
}

//! Asks the registry, by sealed probes, whether it holds what was sent; sends what differs again
//! where that is wanted.

use std::collections::BTreeSet;
use std::time::Duration;

use outbox::{Origin, Report, SUPERSEDED, SweepKind, VERSION_REUSED};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, ReconcileReport, Repaired};
use super::error::RequestError;
use super::sweep::sweep;
use crate::gateway::Gateway;
use crate::pull::Counters;

/// Interval between two looks at the report.
const LOOK: Duration = Duration::from_millis(500);

/// Makes one comparison: probes are put into the outbox, their answers are waited for, and what
/// differs is repaired where `repair` is set. Somebody else publishes the probes and settles the
/// receipts meanwhile. After `patience` the report is what it is by then; answers that come later
/// still count in `status`.
///
/// # Errors
/// See [`RequestError`].
pub(super) async fn reconcile(
    gateway: &Gateway,
    source: Option<&str>,
    repair: bool,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    if gateway.verifiers.is_empty() {
        return Err(RequestError::ReceiptsOff);
    }
    let id = gateway
        .outbox
        .begin_reconciliation(source, gateway.clock.now())
        .await?;
    send_probes(gateway, id, stop).await?;
    let report = wait_for_answers(gateway, id, patience, stop).await?;
    log_report(&report);
    let mut repaired = None;
    // Even where nothing differs: batches that nobody can read may be let go then.
    if repair && report.finished_at.is_some() {
        repaired = Some(repair_differences(gateway, id, stop).await?);
    }
    let refused = left_out(gateway, source).await?;
    Ok(Answer::Reconciled {
        report: ReconcileReport::new(report, refused),
        repaired,
    })
}

/// Number of the source's records, or of all, that a comparison leaves out: those that have a dead
/// letter of the registry for another reason than a version that another state gave out.
async fn left_out(gateway: &Gateway, source: Option<&str>) -> Result<u64, RequestError> {
    let status = gateway.outbox.reader().status().await?;
    let counts = status.dead_letters.iter();
    let left_out = counts.filter(|count| {
        count.origin == Origin::Registry
            && ![SUPERSEDED, VERSION_REUSED].contains(&count.reason.as_str())
            && source.is_none_or(|source| count.source == source)
    });
    Ok(left_out.map(|count| count.count).sum())
}

/// Puts all probes into the outbox.
async fn send_probes(
    gateway: &Gateway,
    id: i64,
    stop: &CancellationToken,
) -> Result<(), RequestError> {
    let outbox = &gateway.outbox;
    while !stop.is_cancelled() {
        let added = gateway
            .add_batches(stop, || outbox.add_probes(id, gateway.clock.now()))
            .await?;
        let all_sent = added.ok_or(RequestError::Stopped)?;
        if all_sent {
            return Ok(());
        }
    }
    Err(RequestError::Stopped)
}

/// Returns the report once every probe is answered, or as it is when `patience` has ended.
async fn wait_for_answers(
    gateway: &Gateway,
    id: i64,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Report, RequestError> {
    let until = gateway.clock.elapsed() + patience;
    loop {
        let report = gateway
            .outbox
            .reader()
            .reconciliation(id)
            .await?
            .ok_or(RequestError::Stopped)?;
        if report.finished_at.is_some() || gateway.clock.elapsed() >= until {
            return Ok(report);
        }
        tokio::select! {
            () = stop.cancelled() => return Err(RequestError::Stopped),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Sends what differs again: withdrawals from the outbox, records by sweeps of their sources.
async fn repair_differences(
    gateway: &Gateway,
    id: i64,
    stop: &CancellationToken,
) -> Result<Repaired, RequestError> {
    let outbox = &gateway.outbox;
    let plan = gateway
        .add_batches(stop, || outbox.prepare_repair(id, gateway.clock.now()))
        .await?
        .ok_or(RequestError::Stopped)?;
    let mut repaired = Repaired {
        withdrawals: plan.resent_withdrawals,
        parked: plan.parked,
        ..Repaired::default()
    };
    let sources: BTreeSet<String> = plan
        .by_sweep
        .into_iter()
        .map(|(source, _)| source)
        .collect();
    for name in sources {
        match gateway.source(&name) {
            Some(source) => {
                // The pull before the sweep may find them already, in its look back.
                let counters = Counters::default();
                sweep(gateway, source, SweepKind::Keys, stop, &counters).await?;
                repaired.records += counters.sent();
            }
            None => repaired.not_configured.push(name),
        }
    }
    log_repaired(&repaired);
    Ok(repaired)
}

fn log_repaired(repaired: &Repaired) {
    let records = repaired.records;
    let withdrawals = repaired.withdrawals;
    let parked = repaired.parked;
    if parked > 0 {
        tracing::warn!(
            event = "repair-parked",
            parked,
            "the registry holds versions of some records that this clinic cannot exceed; see \
             `clinic-gateway dead-letters list`"
        );
    }
    if records + withdrawals > 0 {
        tracing::info!(
            event = "repaired",
            records,
            withdrawals,
            "what differed at the registry was sent again"
        );
    }
}

fn log_report(report: &Report) {
    let Report {
        equal,
        missing,
        stale,
        extra,
        conflicting,
        probes,
        answered,
        ..
    } = report;
    if missing + stale + extra + conflicting > 0 {
        tracing::warn!(
            event = "reconciled",
            equal,
            missing,
            stale,
            extra,
            conflicting,
            "the registry holds something else than was sent; `clinic-gateway reconcile --repair` \
             sends it again"
        );
    } else if report.finished_at.is_some() {
        tracing::info!(
            event = "reconciled",
            equal,
            "the registry holds what was sent"
        );
    } else {
        tracing::warn!(
            event = "reconcile-unanswered",
            probes,
            answered,
            "the registry has not answered every probe yet"
        );
    }
}

//! Refused corrections: rows that cannot be sent as they are now, of which an older version was.
//! The older version is withdrawn, held or kept at the end of each run.

use std::sync::atomic::Ordering;

use outbox::{CorrectionRule, OutboxError, SettledCorrections, SweepLimits};
use pseudonym::fact_kind;

use crate::config::OnRefusedCorrection;
use crate::pull::FeedRun;
use crate::sources::Source;

/// Rule of the source for older versions whose correction is refused.
fn rule(source: &Source) -> CorrectionRule {
    match source.on_refused_correction {
        OnRefusedCorrection::Keep => CorrectionRule::Keep,
        OnRefusedCorrection::Withdraw => CorrectionRule::Withdraw(SweepLimits {
            percent: source.sweep.max_withdrawn_percent,
            always: source.sweep.always_allowed,
        }),
    }
}

/// Withdraws, holds or keeps the older versions of the feed's records whose correction is refused.
/// The caller holds the source's run lock. `read_whole` is the generation before the run, if it has
/// read the feed to its end. `None` when the program was stopped while it waited for space.
///
/// # Errors
/// The gateway's own state; the next run does the rest.
pub(crate) async fn settle(
    run: &FeedRun<'_>,
    read_whole: Option<u32>,
) -> Result<Option<SettledCorrections>, OutboxError> {
    let gateway = run.gateway;
    let source = run.source;
    let settled = gateway
        .add_batches(run.stop, || {
            let now = gateway.clock.now();
            let kind = fact_kind(run.feed);
            gateway.outbox.settle_refused_corrections(
                &source.name,
                run.feed.as_str(),
                kind,
                rule(source),
                read_whole,
                now,
            )
        })
        .await?;
    if let Some(settled) = &settled {
        note(run, settled);
    }
    Ok(settled)
}

fn note(run: &FeedRun<'_>, settled: &SettledCorrections) {
    let SettledCorrections {
        withdrawn,
        held,
        newly_held,
        held_of,
    } = *settled;
    if withdrawn > 0 {
        run.counters
            .withdrawn
            .fetch_add(withdrawn, Ordering::Relaxed);
        run.count_records("older-withdrawn", withdrawn);
        tracing::warn!(
            event = "older-versions-withdrawn",
            withdrawn,
            "rows that were sent before cannot be sent as they are now; their older versions are \
             withdrawn until they can be: clinic-gateway dead-letters list, clinic-gateway withheld"
        );
    }
    if newly_held > 0 {
        tracing::warn!(
            event = "older-versions-held",
            held,
            held_of,
            "more rows that were sent before cannot be sent any more than may be withdrawn \
             unasked; their older versions stand at the registry. If the rows are right: \
             clinic-gateway confirm-withdrawals {}",
            run.source.name
        );
    }
}

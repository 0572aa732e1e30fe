//! Key sweep of a feed: ids and change stamps of every row are read, rows that differ from what is
//! remembered are read again by id, and records that no key names any more are withdrawn after a
//! second look, and after the source was asked for each by its id.

mod missing;
mod pass;
#[cfg(test)]
mod tests;

use outbox::{SweepEnd, SweepLimits};
use serde::{Deserialize, Serialize};

use crate::backpressure::SpaceWait;
use crate::corrections;
use crate::cursor;
use crate::pull::{FeedFailure, FeedRun, PullError, Transformer};
use crate::surprise;
use missing::Questions;
use pass::SweepPass;

/// Most passes over a feed's keys in one sweep: two, and some for a sweep that was resumed.
const MOST_PASSES: u32 = 8;

/// Result of one feed's sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSweep {
    /// Name of the feed.
    pub feed: String,
    /// Number of keys that the source has, as the last look over them counted.
    pub keys: u64,
    /// Number of looks over the keys that were begun: a second one confirms what the first missed.
    #[serde(default)]
    pub looks: u64,
    /// Number of times that a row was read again by id, in all looks.
    pub reread: u64,
    /// Number of reread rows whose content had changed without a pull's noticing.
    pub missed: u64,
    /// Number of records that no key named, and that the source has when it is asked for them by
    /// their ids.
    #[serde(default)]
    pub unlisted: u64,
    /// Number of rows that no key named, and that the source gave no answer for; they stay as they
    /// are.
    #[serde(default)]
    pub unanswered: u64,
    /// Number of records withdrawn because no key names them any more.
    pub withdrawn: u64,
    /// Number of records that would have been withdrawn, but need an operator's permission first.
    pub held: Option<u64>,
    /// True when all keys were read; false when the program was stopped before.
    pub finished: bool,
}

/// End of one pass over the keys.
enum PassEnd {
    /// The sweep is done.
    Done,
    /// Something was missing: a second pass has to confirm it.
    LookAgain,
    /// The program was asked to stop.
    Stopped,
}

/// Sweeps one feed to its end, from where it was left, and notes the outcome. The caller holds the
/// source's run lock, and has pulled the source to its end.
///
/// # Errors
/// [`FeedFailure`]; the sweep goes on from there next time.
pub async fn sweep_feed(run: &FeedRun<'_>) -> Result<FeedSweep, FeedFailure> {
    let result = sweep_to_end(run).await;
    let outcome = match &result {
        Ok(sweep) if sweep.held.is_some() => "held",
        Ok(sweep) if sweep.finished => "ok",
        Ok(_) => "stopped",
        Err(_) => "failed",
    };
    metrics::counter!(
        "gateway_sweep_runs_total",
        "source" => run.source.name.clone(),
        "feed" => run.feed.as_str(),
        "outcome" => outcome
    )
    .increment(1);
    let result = result.map_err(|error| FeedFailure {
        feed: run.feed,
        error,
    });
    match &result {
        Ok(sweep) => log_result(run, sweep),
        Err(failure) => {
            let code = failure.code();
            let error = failure.error.to_string();
            tracing::warn!(
                event = "sweep-failed",
                code,
                error,
                "a sweep stopped before its end; it goes on from there after the next pull"
            );
        }
    }
    result
}

async fn sweep_to_end(run: &FeedRun<'_>) -> Result<FeedSweep, PullError> {
    let mut sweep = FeedSweep {
        feed: run.feed.as_str().to_owned(),
        ..FeedSweep::default()
    };
    let transformer = Transformer::new(run).await?;
    for _ in 0..MOST_PASSES {
        let now = run.gateway.clock.now();
        let begun = run
            .gateway
            .outbox
            .begin_or_resume_sweep(&run.source.name, run.feed.as_str(), now)
            .await?;
        let after = cursor::read(&run.source.settings(run.feed), begun.cursor.as_deref());
        let mut pass = SweepPass::new(run, &transformer, after);
        sweep.keys = begun.seen;
        sweep.looks += 1;
        let mut more = !begun.all_read;
        while more {
            if run.stop.is_cancelled() || run.wait_for_space().await? == SpaceWait::Stopped {
                return Ok(sweep);
            }
            match pass.sweep_page(&mut sweep).await? {
                Some(more_follow) => more = more_follow,
                None => return Ok(sweep),
            }
        }
        match finish_pass(run, &transformer, &mut sweep).await? {
            PassEnd::LookAgain => {}
            PassEnd::Stopped => return Ok(sweep),
            PassEnd::Done => {
                // Rows that were read again by their ids may have been refused.
                sweep.finished = corrections::settle(run, None).await?.is_some();
                return Ok(sweep);
            }
        }
    }
    Ok(sweep)
}

/// Ends a pass over all keys: withdraws what is gone, where that is confirmed and permitted.
async fn finish_pass(
    run: &FeedRun<'_>,
    transformer: &Transformer,
    sweep: &mut FeedSweep,
) -> Result<PassEnd, PullError> {
    let source = run.source;
    let limits = SweepLimits {
        percent: source.sweep.max_withdrawn_percent,
        always: source.sweep.always_allowed,
    };
    let now = run.gateway.clock.now();
    let outbox = &run.gateway.outbox;
    let end = outbox.finish_sweep_pass(&source.name, run.feed.as_str(), limits, now);
    let end = end.await?;
    if matches!(end, SweepEnd::LookAgain { .. }) {
        return Ok(PassEnd::LookAgain);
    }
    if sweep.missed > 0 {
        run.note_surprise(surprise::CHANGED_UNNOTICED, sweep.missed)
            .await;
    }
    match end {
        SweepEnd::LookAgain { .. } | SweepEnd::Done { .. } => {}
        SweepEnd::Missing { .. } => {
            let questions = Questions::new(run, transformer, sweep);
            if questions.ask_for_all().await?.is_none() {
                return Ok(PassEnd::Stopped);
            }
        }
        SweepEnd::Held { missing, .. } => {
            sweep.held = Some(missing);
            run.note_surprise(surprise::WITHDRAWALS_HELD, 1).await;
        }
    }
    Ok(PassEnd::Done)
}

fn log_result(run: &FeedRun<'_>, sweep: &FeedSweep) {
    let FeedSweep {
        keys,
        reread,
        missed,
        unlisted,
        withdrawn,
        held,
        finished,
        ..
    } = sweep;
    if let Some(missing) = held {
        tracing::warn!(
            event = "sweep-held",
            keys,
            missing,
            "more records are gone at the source than may be withdrawn unasked; nothing was \
             withdrawn. If they are gone on purpose: clinic-gateway confirm-withdrawals {}",
            run.source.name
        );
    } else if *finished && (*withdrawn > 0 || *missed > 0 || *unlisted > 0) {
        tracing::info!(
            event = "swept",
            keys,
            reread,
            missed,
            unlisted,
            withdrawn,
            "all keys of a feed were read"
        );
    } else {
        tracing::debug!(event = "swept", keys, reread, finished);
    }
}

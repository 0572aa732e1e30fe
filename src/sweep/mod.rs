//! Sweep of a feed. A key sweep reads ids and change stamps of every row, and reads rows again by id
//! that differ from what is remembered; a content sweep reads every row whole. Records that no row
//! names any more are withdrawn after a second look, at ids, and after the source was asked for each
//! by its id.

#[cfg(test)]
mod content_tests;
mod contents;
mod feed_sweep;
mod ledger;
mod missing;
mod pace;
mod pass;
#[cfg(test)]
mod tests;
mod turn;

use outbox::{Sweep, SweepEnd, SweepKind, SweepLimits};

use crate::corrections;
use crate::pull::{FeedFailure, FeedRun, PullError, Transformer};
use crate::surprise;
pub use feed_sweep::FeedSweep;
pub(crate) use ledger::Ledger;
use missing::Questions;
pub(crate) use pace::Pace;
use pass::SweepPass;
use turn::Turn;

/// Most passes over a feed's keys in one sweep: two, and some for a sweep that was resumed.
const MOST_PASSES: u32 = 8;

/// End of one pass over the keys.
enum PassEnd {
    /// The sweep is done.
    Done,
    /// Something was missing: a second pass has to confirm it.
    LookAgain,
    /// The program was asked to stop, or the sweep gives way to a pull.
    Pauses,
}

/// Sweeps one feed from where it was left, to its end or until a pull of the source is due, and
/// notes the outcome. The caller holds the source's run lock, and has pulled the source to its end.
///
/// # Errors
/// [`FeedFailure`]; the sweep goes on from there next time.
pub(crate) async fn sweep_feed(
    run: &FeedRun<'_>,
    asked: SweepKind,
) -> Result<FeedSweep, FeedFailure> {
    let kind = asked.max(run.source.sweep_kind(run.feed));
    let result = sweep_in_turn(run, kind).await;
    let outcome = match &result {
        Ok(sweep) if sweep.gave_way => None,
        Ok(sweep) if sweep.held.is_some() => Some("held"),
        Ok(sweep) if sweep.finished => Some("ok"),
        Ok(_) => Some("stopped"),
        Err(_) => Some("failed"),
    };
    if let Some(outcome) = outcome {
        metrics::counter!(
            "gateway_sweep_runs_total",
            "source" => run.source.name.clone(),
            "feed" => run.feed.as_str(),
            "outcome" => outcome
        )
        .increment(1);
    }
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

/// Sweeps as far as this turn goes; the counts are kept for the next one.
async fn sweep_in_turn(run: &FeedRun<'_>, kind: SweepKind) -> Result<FeedSweep, PullError> {
    let begun = begin_or_resume(run, kind).await?;
    let ledger = &run.source.sweeps;
    let mut sweep = ledger.begin_turn(run.feed, &begun);
    let result = sweep_on(run, begun, &mut sweep).await;
    ledger.end_turn(run.feed, &sweep);
    result.map(|()| sweep)
}

async fn begin_or_resume(run: &FeedRun<'_>, kind: SweepKind) -> Result<Sweep, PullError> {
    let gateway = run.gateway;
    let now = gateway.clock.now();
    let outbox = &gateway.outbox;
    let begun = outbox.begin_or_resume_sweep(&run.source.name, run.feed.as_str(), kind, now);
    Ok(begun.await?)
}

async fn sweep_on(run: &FeedRun<'_>, begun: Sweep, sweep: &mut FeedSweep) -> Result<(), PullError> {
    let kind = begun.kind;
    sweep.contents = kind == SweepKind::Contents;
    let mut transformer = Transformer::new(run).await?;
    if sweep.contents {
        transformer.name_all();
    }
    let mut turn = Turn::new(run);
    let mut begun = begun;
    for _ in 0..MOST_PASSES {
        sweep.keys = begun.seen;
        sweep.looks = begun.pass.into();
        if !begun.all_read && !read_pass(run, &transformer, &begun, &mut turn, sweep).await? {
            return Ok(());
        }
        match finish_pass(run, &transformer, &mut turn, sweep).await? {
            PassEnd::LookAgain => begun = begin_or_resume(run, kind).await?,
            PassEnd::Pauses => return Ok(()),
            PassEnd::Done => {
                // Rows that were read may have been refused.
                if let Some(settled) = corrections::settle(run, None).await? {
                    sweep.older_withdrawn = settled.withdrawn;
                    sweep.older_held = settled.held;
                    sweep.finished = true;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads the rest of a pass; returns false if the sweep pauses before its end.
async fn read_pass(
    run: &FeedRun<'_>,
    transformer: &Transformer,
    begun: &Sweep,
    turn: &mut Turn<'_>,
    sweep: &mut FeedSweep,
) -> Result<bool, PullError> {
    let mut pass = SweepPass::new(run, transformer, begun);
    loop {
        if turn.wait(sweep).await?.is_none() {
            return Ok(false);
        }
        let page = if begun.reads_contents() {
            pass.contents_page(turn, sweep).await?
        } else {
            pass.keys_page(turn, sweep).await?
        };
        match page {
            Some(true) => {}
            Some(false) => return Ok(true),
            None => return Ok(false),
        }
    }
}

/// Ends a pass over all keys or rows: withdraws what is gone, where that is confirmed and permitted.
async fn finish_pass(
    run: &FeedRun<'_>,
    transformer: &Transformer,
    turn: &mut Turn<'_>,
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
    match end {
        SweepEnd::LookAgain { .. } | SweepEnd::Done { .. } => {}
        SweepEnd::Missing { .. } => {
            let questions = Questions::new(run, transformer, turn, sweep);
            if questions.ask_for_all().await?.is_none() {
                return Ok(PassEnd::Pauses);
            }
        }
        SweepEnd::Held { missing, .. } => {
            sweep.held = Some(missing);
            run.note_surprise(surprise::WITHDRAWALS_HELD, 1).await;
        }
    }
    // Once, at the end; of a feed whose sweeps read contents that is what they are for.
    if sweep.missed > 0 && source.sweep_kind(run.feed) == SweepKind::Keys {
        run.note_surprise(surprise::CHANGED_UNNOTICED, sweep.missed)
            .await;
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
            "all rows of a feed were looked at"
        );
    } else {
        tracing::debug!(event = "swept", keys, reread, finished);
    }
}

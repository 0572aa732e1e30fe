//! Records that both looks over the keys missed: the source is asked for each by its id, and only
//! what it does not have is withdrawn.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use connector_kit::ClinicRecord;
use outbox::MissingRecord;
use pseudonym::fact_kind;

use super::FeedSweep;
use crate::pull::{
    FeedRun, PageOrigin, PullError, Transformer, commit_page, fetch_by_id, seal_page,
};
use crate::surprise;

/// Most missing records that are asked for at once, and withdrawn in one step: between the answer
/// and the withdrawal lies no other request.
pub(super) const ASKED_AT_ONCE: usize = 100;

/// Number of records in a row that the source fails to look for, after which it counts as away.
const MOST_FAILED_IN_A_ROW: u32 = 3;

/// Answers of the source to questions for missing records.
#[derive(Default)]
struct Answers {
    /// Records that the source does not have, and those whose ids nobody remembers.
    gone: Vec<MissingRecord>,
    /// Records that it has although no key has named them.
    present: Vec<ClinicRecord>,
    /// First failure to answer; the record it was about stays as it is.
    failure: Option<PullError>,
    failed_in_a_row: u32,
}

impl Answers {
    /// True if the source does not answer any more.
    const fn is_source_away(&self) -> bool {
        self.failed_in_a_row >= MOST_FAILED_IN_A_ROW
    }

    /// Asks for a part of the missing records; where that fails, the record that it fails for is
    /// found by asking for half of them each time.
    async fn ask(&mut self, run: &FeedRun<'_>, missing: Vec<MissingRecord>) {
        let mut parts = vec![missing];
        while let Some(mut part) = parts.pop() {
            if self.is_source_away() {
                return;
            }
            let ids: Vec<String> = part
                .iter()
                .filter_map(|missing| missing.record_id.clone())
                .collect();
            match fetch_by_id(run, &ids).await {
                Ok(records) => self.take(part, records),
                Err(_) if part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(error) => {
                    self.failed_in_a_row += 1;
                    self.failure.get_or_insert(error);
                }
            }
        }
    }

    fn take(&mut self, asked: Vec<MissingRecord>, records: Vec<ClinicRecord>) {
        self.failed_in_a_row = 0;
        let ids: HashSet<&String> = records.iter().map(|record| &record.record_id).collect();
        let is_gone = |missing: &MissingRecord| {
            let record_id = missing.record_id.as_ref();
            record_id.is_none_or(|record_id| !ids.contains(record_id))
        };
        self.gone.extend(asked.into_iter().filter(is_gone));
        self.present.extend(records);
    }
}

/// Withdraws the missing records that the source does not have, reads those that it has, and ends
/// the sweep. `None` when the program was stopped.
///
/// # Errors
/// The first record that the source could not be asked for: it stays as it is, the others were
/// treated, and the sweep goes on from there. And the disk's failures.
pub(super) async fn withdraw_missing(
    run: &FeedRun<'_>,
    transformer: &Transformer,
    sweep: &mut FeedSweep,
) -> Result<Option<()>, PullError> {
    let outbox = &run.gateway.outbox;
    let source = run.source.name.as_str();
    let feed = run.feed.as_str();
    let mut failure = None;
    let mut after = None;
    loop {
        if run.stop.is_cancelled() {
            return Ok(None);
        }
        let missing = outbox
            .missing_records(source, feed, after.as_ref(), ASKED_AT_ONCE)
            .await?;
        let Some(last) = missing.last().cloned() else {
            break;
        };
        let mut answers = Answers::default();
        answers.ask(run, missing).await;
        let is_source_away = answers.is_source_away();
        failure = failure.or(answers.failure);
        if read_present(run, transformer, answers.present, sweep)
            .await?
            .is_none()
            || withdraw(run, &answers.gone, sweep).await?.is_none()
        {
            return Ok(None);
        }
        if is_source_away {
            break;
        }
        after = Some(last);
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    outbox
        .end_sweep(source, feed, run.gateway.clock.now())
        .await?;
    Ok(Some(()))
}

/// Takes rows that no key has named as a pull would take them; `None` when the program was stopped.
async fn read_present(
    run: &FeedRun<'_>,
    transformer: &Transformer,
    present: Vec<ClinicRecord>,
    sweep: &mut FeedSweep,
) -> Result<Option<()>, PullError> {
    if present.is_empty() {
        return Ok(Some(()));
    }
    let count = present.len() as u64;
    let transformed = transformer.transform(present).await?;
    let sealed = seal_page(run, transformed, PageOrigin::ById).await?;
    if commit_page(run, sealed).await?.is_none() {
        return Ok(None);
    }
    sweep.unlisted += count;
    run.note_surprise(surprise::KEYS_INCOMPLETE, count).await;
    Ok(Some(()))
}

/// Withdraws records that are gone; `None` when the program was stopped.
async fn withdraw(
    run: &FeedRun<'_>,
    gone: &[MissingRecord],
    sweep: &mut FeedSweep,
) -> Result<Option<()>, PullError> {
    let gateway = run.gateway;
    // What was withdrawn before the outbox was full stays withdrawn; the rest follows when there is
    // space.
    let withdrawn = gateway
        .add_batches(run.stop, || {
            let source = run.source.name.as_str();
            let kind = fact_kind(run.feed);
            let now = gateway.clock.now();
            let outbox = &gateway.outbox;
            outbox.withdraw_missing(source, run.feed.as_str(), kind, gone, now)
        })
        .await?;
    let Some(withdrawn) = withdrawn else {
        return Ok(None);
    };
    sweep.withdrawn += withdrawn;
    run.counters.swept.fetch_add(withdrawn, Ordering::Relaxed);
    run.count_records("swept", withdrawn);
    Ok(Some(()))
}

//! Rows that both looks over the keys missed: the source is asked for each by its id, and only what
//! it does not have is withdrawn.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use connector_kit::{ClinicRecord, KeysRequest};
use outbox::MissingRecord;
use pseudonym::fact_kind;

use super::FeedSweep;
use super::turn::Turn;
use crate::pull::{
    FeedRun, PageOrigin, PullError, Transformer, commit_page, fetch_by_id, seal_page,
};
use crate::surprise;

/// Most missing rows that are asked for at once.
const ASKED_AT_ONCE: usize = 100;

/// Number of questions in a row that the source fails to answer, after which it is looked whether
/// it is there at all.
const MOST_FAILED_IN_A_ROW: u32 = 3;

/// Answers of the source to questions for missing rows.
#[derive(Default)]
struct Answers {
    /// Rows that the source does not have, and those whose ids nobody remembers.
    gone: Vec<MissingRecord>,
    /// Rows that it has although no key has named them.
    present: Vec<ClinicRecord>,
    /// Rows that the source fails to answer for although it is there.
    unanswered: Vec<MissingRecord>,
    failed_in_a_row: u32,
}

impl Answers {
    /// Asks for missing rows; where that fails, the row that it fails for is found by asking for
    /// half of them each time.
    ///
    /// # Errors
    /// The failure of a source that does not answer at all.
    async fn ask(run: &FeedRun<'_>, missing: Vec<MissingRecord>) -> Result<Self, PullError> {
        let mut answers = Self::default();
        let mut parts = vec![missing];
        while let Some(mut part) = parts.pop() {
            let ids: Vec<String> = part
                .iter()
                .filter_map(|missing| missing.record_id.clone())
                .collect();
            match fetch_by_id(run, &ids).await {
                Ok(records) => answers.take(part, records),
                Err(_) if part.len() > 1 => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(error) => answers.note_failure(run, part, error).await?,
            }
        }
        Ok(answers)
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

    async fn note_failure(
        &mut self,
        run: &FeedRun<'_>,
        asked: Vec<MissingRecord>,
        error: PullError,
    ) -> Result<(), PullError> {
        self.failed_in_a_row += 1;
        if self.failed_in_a_row >= MOST_FAILED_IN_A_ROW {
            look_for_source(run).await.map_err(|_| error)?;
            self.failed_in_a_row = 0;
        }
        self.unanswered.extend(asked);
        Ok(())
    }
}

/// Asks the source for its first key.
async fn look_for_source(run: &FeedRun<'_>) -> Result<(), PullError> {
    let request = KeysRequest {
        feed: run.feed,
        after: None,
        limit: 1,
        now: run.gateway.clock.now(),
    };
    run.source.connector.keys(request).await?;
    Ok(())
}

/// Questions for the rows that a sweep misses.
pub(super) struct Questions<'a, 'turn> {
    run: &'a FeedRun<'a>,
    transformer: &'a Transformer,
    turn: &'a mut Turn<'turn>,
    sweep: &'a mut FeedSweep,
}

impl<'a, 'turn> Questions<'a, 'turn> {
    pub(super) const fn new(
        run: &'a FeedRun<'a>,
        transformer: &'a Transformer,
        turn: &'a mut Turn<'turn>,
        sweep: &'a mut FeedSweep,
    ) -> Self {
        Self {
            run,
            transformer,
            turn,
            sweep,
        }
    }

    /// Asks for every missing row, withdraws the records of those that are gone, and ends the
    /// sweep. `None` when the program was stopped, or the sweep gives way to a pull.
    ///
    /// # Errors
    /// The failure of a source that does not answer at all: the sweep goes on from there next time.
    /// And the disk's failures.
    pub(super) async fn ask_for_all(mut self) -> Result<Option<()>, PullError> {
        let run = self.run;
        let outbox = &run.gateway.outbox;
        let source = run.source.name.as_str();
        let feed = run.feed.as_str();
        let mut after = None;
        loop {
            let missing = outbox
                .missing_records(source, feed, after.as_ref(), ASKED_AT_ONCE)
                .await?;
            let Some(last) = missing.last().cloned() else {
                break;
            };
            let Some(gone) = self.ask_for(missing).await? else {
                return Ok(None);
            };
            if self.withdraw(&gone).await?.is_none() {
                return Ok(None);
            }
            after = Some(last);
        }
        // A letter is closed with its row, so the row has to be gone.
        let letters = outbox.missing_letters(source, feed).await?;
        for letters in letters.chunks(ASKED_AT_ONCE) {
            if self.ask_for(letters.to_vec()).await?.is_none() {
                return Ok(None);
            }
        }
        let now = run.gateway.clock.now();
        outbox.end_sweep(source, feed, now).await?;
        Ok(Some(()))
    }

    /// Asks for some rows, reads those that are there, and keeps those that get no answer as they
    /// are; returns those that are gone. `None` when the sweep pauses.
    async fn ask_for(
        &mut self,
        missing: Vec<MissingRecord>,
    ) -> Result<Option<Vec<MissingRecord>>, PullError> {
        let run = self.run;
        // Before the question, so that no answer grows old while the outbox is full.
        if self.turn.wait(self.sweep).await?.is_none() {
            return Ok(None);
        }
        let begun = run.gateway.clock.elapsed();
        let asked = missing.len() as u64;
        let answers = Answers::ask(run, missing).await?;
        self.turn.note(asked, begun);
        self.keep(&answers.unanswered).await?;
        Ok(self.read(answers.present).await?.map(|()| answers.gone))
    }

    async fn keep(&mut self, unanswered: &[MissingRecord]) -> Result<(), PullError> {
        if unanswered.is_empty() {
            return Ok(());
        }
        let run = self.run;
        let outbox = &run.gateway.outbox;
        outbox
            .keep_missing(&run.source.name, run.feed.as_str(), unanswered)
            .await?;
        let count = unanswered.len() as u64;
        self.sweep.unanswered += count;
        run.note_surprise(surprise::ROWS_UNANSWERED, count).await;
        Ok(())
    }

    /// Takes rows that no key has named as a pull would take them.
    async fn read(&mut self, present: Vec<ClinicRecord>) -> Result<Option<()>, PullError> {
        if present.is_empty() {
            return Ok(Some(()));
        }
        let run = self.run;
        let count = present.len() as u64;
        let transformed = self.transformer.transform(present).await?;
        let sealed = seal_page(run, transformed, PageOrigin::ById).await?;
        if commit_page(run, sealed).await?.is_none() {
            return Ok(None);
        }
        self.sweep.unlisted += count;
        run.note_surprise(surprise::KEYS_INCOMPLETE, count).await;
        Ok(Some(()))
    }

    /// Withdraws the records of rows that are gone.
    async fn withdraw(&mut self, gone: &[MissingRecord]) -> Result<Option<()>, PullError> {
        if gone.is_empty() {
            return Ok(Some(()));
        }
        let run = self.run;
        let gateway = run.gateway;
        // What was withdrawn before the outbox was full stays withdrawn; the rest follows when there
        // is space.
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
        self.sweep.withdrawn += withdrawn;
        run.counters.swept.fetch_add(withdrawn, Ordering::Relaxed);
        run.count_records("swept", withdrawn);
        Ok(Some(()))
    }
}

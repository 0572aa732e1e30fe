//! A page of whole rows: it takes the way of a pulled one, and what it names counts as seen.

use connector_kit::{ClinicRecord, ContentsPage, SourceError, SourceSurprise};
use fault::Point;
use outbox::SweepStep;

use super::FeedSweep;
use super::pass::SweepPass;
use super::turn::Turn;
use crate::backpressure::SpaceWait;
use crate::cursor;
use crate::pull::{CommitOnce, PageOrigin, PullError, commit_page_once, seal_page};

impl SweepPass<'_> {
    /// Sweeps one page of whole rows. Returns whether more rows follow; `None` when the program was
    /// stopped.
    pub(super) async fn contents_page(
        &mut self,
        turn: &mut Turn<'_>,
        sweep: &mut FeedSweep,
    ) -> Result<Option<bool>, PullError> {
        let run = self.run;
        let (rows, next, committed) = loop {
            let begun = run.gateway.clock.elapsed();
            let request = self.request(run.source.page_records);
            let asking = run.source.connector.contents(request);
            let Some(page) = run.stop.run_until_cancelled(asking).await else {
                return Ok(None);
            };
            let page = page?;
            fault::check::<SourceError>(Point::SweepContentsFetched)?;
            let rows = page.records.len() as u64;
            turn.note(rows, begun);
            let next = page.next.clone();
            match self.take(page).await? {
                CommitOnce::Committed(committed) => break (rows, next, committed),
                // Rows that are kept until there is space grow old: they are read again then.
                CommitOnce::Full => {
                    if run.wait_for_space().await? == SpaceWait::Stopped {
                        return Ok(None);
                    }
                }
            }
        };
        if committed.went_back > 0 {
            let code = SourceSurprise::StampsWentBack.as_str();
            run.note_surprise(code, committed.went_back).await;
        }
        sweep.keys += rows;
        sweep.missed += committed.missed;
        if let Some(next) = &next {
            self.endless.advance(next)?;
        }
        self.after = next;
        Ok(Some(self.after.is_some()))
    }

    /// Lets the rows of a page become what they would in a pull, and commits them.
    async fn take(&self, mut page: ContentsPage) -> Result<CommitOnce, PullError> {
        let run = self.run;
        let rows = page.records.len() as u64;
        if let Some(surprise) = page.surprise {
            run.note_surprise(surprise.as_str(), 1).await;
            keep_newest(&mut page.records);
        }
        let next = page.next.as_ref();
        let next = next.map(|next| cursor::write(&run.source.settings(run.feed), next));
        let transformed = self.transformer.transform(page.records).await?;
        let step = SweepStep::of_contents(rows, next);
        let sealed = seal_page(run, transformed, PageOrigin::Sweep(step)).await?;
        commit_page_once(run, sealed).await
    }
}

/// Keeps, of rows with the same id, the one with the newest stamp, and of equal ones the last.
fn keep_newest(records: &mut Vec<ClinicRecord>) {
    records.sort_by(|one, other| (&one.record_id, one.stamp).cmp(&(&other.record_id, other.stamp)));
    records.reverse();
    records.dedup_by(|later, kept| later.record_id == kept.record_id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn of_rows_with_one_id_the_newest_stays() {
        let mut records = vec![record(1, 5), record(2, 1), record(1, 7), record(1, 6)];
        keep_newest(&mut records);
        let kept: Vec<_> = records
            .iter()
            .map(|one| (&*one.record_id, one.stamp))
            .collect();
        assert_eq!(kept, [("2", Some(1)), ("1", Some(7))]);
    }
}

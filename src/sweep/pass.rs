//! A pass over the keys of a feed, or over its whole rows, page by page.

use std::collections::BTreeSet;

use connector_kit::{Cursor, KeysRequest, RecordKey, SourceError, SourceSurprise};
use contract::RecordDigest;
use fault::Point;
use outbox::{RecordName, Sweep, SweepKind, SweepStep};

use super::FeedSweep;
use super::turn::Turn;
use crate::cursor;
use crate::endless::Endless;
use crate::pull::{
    FeedRun, PageOrigin, PullError, Transformer, commit_page, fetch_by_id, seal_page,
};

/// Keys in one page: a few kilobytes of ids, and one look-up in the outbox.
const KEYS_PER_PAGE: u32 = 2000;

/// A pass over a feed.
pub(super) struct SweepPass<'a> {
    pub(super) run: &'a FeedRun<'a>,
    pub(super) transformer: &'a Transformer,
    kind: SweepKind,
    /// Position behind which the next page begins.
    pub(super) after: Option<Cursor>,
    pub(super) endless: Endless,
}

impl<'a> SweepPass<'a> {
    /// Goes on with a pass where it was left.
    pub(super) fn new(run: &'a FeedRun<'a>, transformer: &'a Transformer, begun: &Sweep) -> Self {
        Self {
            run,
            transformer,
            kind: begun.kind,
            after: cursor::read(&run.source.settings(run.feed), begun.cursor.as_deref()),
            endless: Endless::default(),
        }
    }

    /// Request for the next page, of at most `limit` keys or rows at the source's pace.
    pub(super) fn request(&self, limit: u32) -> KeysRequest {
        let run = self.run;
        KeysRequest {
            feed: run.feed,
            after: self.after.clone(),
            limit: run.source.pace.limit(limit),
            now: run.gateway.clock.now(),
        }
    }

    /// Sweeps one page of keys: reads the rows that differ and commits them with the page. Returns
    /// whether more keys follow; `None` when the program was stopped.
    pub(super) async fn keys_page(
        &mut self,
        turn: &mut Turn<'_>,
        sweep: &mut FeedSweep,
    ) -> Result<Option<bool>, PullError> {
        let run = self.run;
        let source = run.source;
        let begun = run.gateway.clock.elapsed();
        let asking = source.connector.keys(self.request(KEYS_PER_PAGE));
        let Some(page) = run.stop.run_until_cancelled(asking).await else {
            return Ok(None);
        };
        let mut page = page?;
        fault::check::<SourceError>(Point::SweepFetched)?;
        if let Some(next) = &page.next {
            self.endless.advance(next)?;
        }
        if let Some(surprise) = page.surprise {
            run.note_surprise(surprise.as_str(), 1).await;
            keep_newest(&mut page.keys);
        }
        let digests = digests(run, &page.keys);
        let found = run
            .gateway
            .outbox
            .sweep_look_up(&source.name, run.feed.as_str(), &digests)
            .await?;
        if found.went_back > 0 {
            let code = SourceSurprise::StampsWentBack.as_str();
            run.note_surprise(code, found.went_back).await;
        }
        // After a look at contents only presence matters.
        let unstamped = match self.kind {
            SweepKind::Keys => found.unstamped.as_slice(),
            SweepKind::Contents => &[],
        };
        let differing = [&found.reread, &found.unnamed_letters, unstamped];
        let reread = fetch_by_id(run, &ids_at(&page.keys, &differing)).await?;
        turn.note((page.keys.len() + reread.len()) as u64, begun);
        sweep.keys += page.keys.len() as u64;
        sweep.reread += reread.len() as u64;
        let transformed = self.transformer.transform(reread).await?;
        let unnamed = found.unnamed_letters.iter().filter_map(|index| {
            let record_id = page.keys.get(*index)?.record_id.clone();
            Some((digests.get(*index)?.0, record_id))
        });
        let record_names = found.unnamed_records.iter().filter_map(|index| {
            let record_id = page.keys.get(*index)?.record_id.clone();
            let record = digests.get(*index)?.0;
            Some(RecordName { record, record_id })
        });
        let next = page.next.as_ref();
        let step = SweepStep {
            letter_names: unnamed.collect(),
            record_names: record_names.collect(),
            seen: found.seen,
            cursor: next.map(|next| cursor::write(&source.settings(run.feed), next)),
            ..SweepStep::default()
        };
        let sealed = seal_page(run, transformed, PageOrigin::Sweep(step)).await?;
        let Some(committed) = commit_page(run, sealed).await? else {
            return Ok(None);
        };
        sweep.missed += committed.missed;
        self.after = page.next;
        Ok(Some(self.after.is_some()))
    }
}

/// Keeps, of keys with the same id, the one with the newest stamp: that row was read last.
fn keep_newest(keys: &mut Vec<RecordKey>) {
    keys.sort_by(|one, other| (&one.record_id, other.stamp).cmp(&(&other.record_id, one.stamp)));
    keys.dedup_by(|later, kept| later.record_id == kept.record_id);
}

/// Digests and change stamps of a page of keys.
fn digests(run: &FeedRun<'_>, keys: &[RecordKey]) -> Vec<(RecordDigest, Option<i64>)> {
    let pseudonymiser = run.source.pseudonymiser();
    let digest = |key: &RecordKey| {
        (
            pseudonymiser.record_digest(run.feed, &key.record_id),
            key.stamp,
        )
    };
    keys.iter().map(digest).collect()
}

/// Record ids of the keys at these indices, each once, in the order of the keys.
fn ids_at(keys: &[RecordKey], indices: &[&[usize]]) -> Vec<String> {
    let indices: BTreeSet<usize> = indices.iter().copied().flatten().copied().collect();
    indices
        .into_iter()
        .filter_map(|index| keys.get(index))
        .map(|key| key.record_id.clone())
        .collect()
}

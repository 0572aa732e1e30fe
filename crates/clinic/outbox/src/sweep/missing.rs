//! Records of a feed that a sweep has not seen.

use std::ops::ControlFlow;

use contract::RecordDigest;
use sqlx::sqlite::SqlitePool;

use super::bitmap::{self, Bits};
use super::running::{LetterPlace, LostCorrection, LostLetter, LostRows};
use crate::classes;
use crate::corrections;
use crate::dead_letters;
use crate::file::OutboxError;
use crate::records::{KnownRecord, LookedUp, Records};

/// Missing records of a feed, by block of the bitmap.
#[derive(Debug, Default)]
pub(super) struct MissingRecords {
    /// Records of the feed that are asserted, missing or not.
    pub(super) known: u64,
    /// Blocks with missing records, and their number.
    blocks: Vec<(i64, u64)>,
}

impl MissingRecords {
    /// Finds the feed's asserted records up to the horizon that were not seen.
    pub(super) async fn find(
        records: &Records,
        feed_id: i64,
        horizon: i64,
        seen: &Bits,
    ) -> Result<Self, OutboxError> {
        let mut found = Self::default();
        for block in 0..=bitmap::block_of(horizon) {
            let asserted = asserted_in(records, feed_id, horizon, block).await?;
            found.known += asserted.len() as u64;
            let missing = asserted
                .into_iter()
                .filter(|record_no| !seen.has(*record_no))
                .count();
            if missing > 0 {
                found.blocks.push((block, missing as u64));
            }
        }
        Ok(found)
    }

    /// Number of missing records.
    pub(super) fn count(&self) -> u64 {
        self.blocks.iter().map(|(_, missing)| missing).sum()
    }

    /// Blocks that have missing records.
    pub(super) fn blocks(&self) -> impl Iterator<Item = i64> {
        self.blocks.iter().map(|(block, _)| *block)
    }
}

/// Numbers of the feed's asserted records up to the horizon, in one block.
pub(super) async fn asserted_in(
    records: &Records,
    feed_id: i64,
    horizon: i64,
    block: i64,
) -> Result<Vec<i64>, OutboxError> {
    let (first, last) = bitmap::range_of(block);
    let mut asserted = Vec::new();
    records
        .scan(first..=last.min(horizon), |_, known| {
            if known.state.feed_id == Some(feed_id) && known.is_asserted() {
                asserted.push(known.record_no);
            }
            ControlFlow::Continue(())
        })
        .await?;
    Ok(asserted)
}

/// Records that a sweep is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) feed_id: i64,
    /// Last record number that may be withdrawn.
    pub(super) horizon: i64,
}

/// Finds the next asserted records after `after` that were not seen, at most so many, with their
/// numbers.
pub(super) async fn next_missing(
    pool: &SqlitePool,
    records: &Records,
    scope: Scope,
    after: i64,
    most: usize,
) -> Result<Vec<(i64, RecordDigest)>, OutboxError> {
    let mut missing = Vec::new();
    let first_block = bitmap::block_of(after + 1);
    for block in first_block..=bitmap::block_of(scope.horizon) {
        let seen = Bits::load(pool, scope.feed_id, Some(&[block])).await?;
        let (first, last) = bitmap::range_of(block);
        let range = first.max(after + 1)..=last.min(scope.horizon);
        let visit = |record: &RecordDigest, known: &KnownRecord| {
            let is_of_feed = known.state.feed_id == Some(scope.feed_id);
            if is_of_feed && known.is_asserted() && !seen.has(known.record_no) {
                missing.push((known.record_no, *record));
            }
            if missing.len() >= most {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        records.scan(range, visit).await?;
        if missing.len() >= most {
            break;
        }
    }
    Ok(missing)
}

/// Dead letters, listed or not, notes of refused corrections, and withheld records, of rows that no
/// key has named.
pub(super) async fn lost_rows(
    pool: &SqlitePool,
    records: &Records,
    feed_id: i64,
    horizon: i64,
    seen: &Bits,
) -> Result<LostRows, OutboxError> {
    let is_lost = |known: &KnownRecord| {
        known.state.feed_id == Some(feed_id)
            && known.record_no <= horizon
            && !seen.has(known.record_no)
    };

    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic'")
            .bind(feed_id)
            .fetch_all(pool)
            .await?;
    let listed = dead_letters::records_of(pool, &ids).await?;
    let listed = listed
        .into_iter()
        .map(|(id, record)| (LetterPlace::Listed(id), record));
    let unlisted = dead_letters::unlisted_of_clinic(pool, feed_id).await?;
    let unlisted = unlisted
        .into_iter()
        .map(|record| (LetterPlace::Unlisted(record), record));
    let letters: Vec<(LetterPlace, RecordDigest)> = listed.chain(unlisted).collect();
    let digests: Vec<RecordDigest> = letters.iter().map(|(_, record)| *record).collect();
    let LookedUp { known, .. } = records.look_up(&digests).await?;
    let mut never_sent = Vec::new();
    let letters = letters.into_iter().filter_map(|(place, record)| {
        let known = known.get(&record).filter(|known| is_lost(known))?;
        never_sent.extend((!known.state.was_sent()).then_some(record));
        let record_no = known.record_no;
        Some(LostLetter { place, record_no })
    });
    let letters: Vec<LostLetter> = letters.collect();
    let noted = corrections::all_of_feed(pool, feed_id).await?;
    let LookedUp { known, .. } = records.look_up(&noted).await?;
    let noted = noted.into_iter().filter_map(|record| {
        let known = known.get(&record).filter(|known| is_lost(known))?;
        let record_no = known.record_no;
        Some(LostCorrection { record, record_no })
    });
    let withheld = classes::lost_of_feed(pool, records, feed_id, is_lost).await?;
    let unsent = withheld.iter().filter(|lost| lost.never_sent);
    never_sent.extend(unsent.map(|lost| lost.record));
    Ok(LostRows {
        letters,
        corrections: noted.collect(),
        withheld,
        never_sent,
    })
}

//! Records that a sweep has seen: a bitmap over record numbers, kept in blocks, of which a page of
//! keys touches few.

use std::collections::{BTreeMap, HashMap};

use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;

use crate::file::{OutboxError, json};

const BLOCK_BYTES: usize = 4096;

/// Records in a block.
const BLOCK_RECORDS: i64 = 8 * BLOCK_BYTES as i64;

/// Blocks of one feed.
#[derive(Debug, Default)]
pub(crate) struct Bits(HashMap<i64, Vec<u8>>);

pub(crate) const fn block_of(record_no: i64) -> i64 {
    record_no / BLOCK_RECORDS
}

/// The first and the last record of a block.
pub(crate) const fn range_of(block: i64) -> (i64, i64) {
    (block * BLOCK_RECORDS, (block + 1) * BLOCK_RECORDS - 1)
}

fn place_of(record_no: i64) -> (usize, u8) {
    let bit = usize::try_from(record_no % BLOCK_RECORDS).unwrap_or(0);
    (bit / 8, 1 << (bit % 8))
}

impl Bits {
    /// Reads the feed's blocks, all of them or the ones named.
    pub(crate) async fn load(
        executor: impl SqliteExecutor<'_>,
        feed_id: i64,
        blocks: Option<&[i64]>,
    ) -> Result<Self, OutboxError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT block, bits FROM seen_block WHERE feed_id = ?1 \
             AND (?2 IS NULL OR block IN (SELECT value FROM json_each(?2)))",
        )
        .bind(feed_id)
        .bind(blocks.map(json))
        .fetch_all(executor)
        .await
        .map_err(OutboxError::from)?;
        if rows.iter().any(|(_, bits)| bits.len() != BLOCK_BYTES) {
            return Err(OutboxError::Damaged {
                what: "a sweep's bitmap",
            });
        }
        Ok(Self(rows.into_iter().collect()))
    }

    pub(crate) fn has(&self, record_no: i64) -> bool {
        let (byte, bit) = place_of(record_no);
        self.0
            .get(&block_of(record_no))
            .is_some_and(|bits| bits[byte] & bit != 0)
    }
}

/// Marks records as seen; writes only the blocks that change.
pub(crate) async fn mark(
    connection: &mut SqliteConnection,
    feed_id: i64,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    let mut by_block: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for record_no in record_nos {
        by_block
            .entry(block_of(*record_no))
            .or_default()
            .push(*record_no);
    }
    if by_block.is_empty() {
        return Ok(());
    }
    let blocks: Vec<i64> = by_block.keys().copied().collect();
    let mut known = Bits::load(&mut *connection, feed_id, Some(&blocks)).await?;
    for (block, record_nos) in by_block {
        let bits = known.0.entry(block).or_insert_with(|| vec![0; BLOCK_BYTES]);
        let mut changed = false;
        for (byte, bit) in record_nos.into_iter().map(place_of) {
            changed |= bits[byte] & bit == 0;
            bits[byte] |= bit;
        }
        if changed {
            sqlx::query(
                "INSERT INTO seen_block (feed_id, block, bits) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (feed_id, block) DO UPDATE SET bits = excluded.bits",
            )
            .bind(feed_id)
            .bind(block)
            .bind(bits.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(OutboxError::from)?;
        }
    }
    Ok(())
}

/// Forgets the records that a sweep of the feed has seen.
pub(crate) async fn forget(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), sqlx::Error> {
    let forget = sqlx::query("DELETE FROM seen_block WHERE feed_id = ?1");
    forget.bind(feed_id).execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_a_bit_of_its_own() {
        assert_eq!((block_of(32_767), block_of(32_768)), (0, 1));
        assert_eq!(range_of(1), (32_768, 65_535));
        let mut places: Vec<_> = (32_768..65_536).map(place_of).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(
            (places.len(), places.last()),
            (32_768, Some(&(BLOCK_BYTES - 1, 128)))
        );
    }
}

//! Candidates of a look-up: record numbers, and blocks of runs that may name more.

use std::collections::BTreeMap;

use sqlx::sqlite::SqlitePool;

use crate::IndexError;
use crate::record::Key;
use crate::runs::run::SortedRun;
use crate::runs::table;

/// Places where wanted records may be.
#[derive(Debug)]
pub(crate) struct Candidates {
    record_nos: Vec<i64>,
    /// Wanted keys by the row of the block that may hold them.
    blocks: BTreeMap<i64, (SortedRun, Vec<Key>)>,
    /// Number of the last record that is looked at.
    pub(crate) upto: i64,
}

impl Candidates {
    /// Makes an empty set of candidates, looked for among the records up to a number.
    pub(crate) fn new(upto: i64) -> Self {
        Self {
            record_nos: Vec::new(),
            blocks: BTreeMap::new(),
            upto,
        }
    }

    /// Adds records that the memtable names.
    pub(crate) fn add_numbers(&mut self, record_nos: impl Iterator<Item = i64>) {
        self.record_nos.extend(record_nos);
    }

    /// Adds the block of a run that may hold the key.
    pub(crate) fn add_block(&mut self, run: &SortedRun, key: Key) {
        let block = self.blocks.entry(run.block_of(key));
        block.or_insert((*run, Vec::new())).1.push(key);
    }

    /// Reads the blocks and returns the numbers of all candidates, sorted; `None` if a block is
    /// gone, because its run was compacted meanwhile.
    pub(crate) async fn read(self, pool: &SqlitePool) -> Result<Option<Vec<i64>>, IndexError> {
        let Self {
            mut record_nos,
            blocks,
            ..
        } = self;
        let ids: Vec<i64> = blocks.keys().copied().collect();
        let search = |id, block: &str| {
            let Some((run, keys)) = blocks.get(&id) else {
                return Ok(());
            };
            keys.iter()
                .try_for_each(|key| run.search(*key, block, &mut record_nos))
        };
        if table::read_blocks(pool, &ids, search).await? != ids.len() {
            return Ok(None);
        }
        record_nos.sort_unstable();
        record_nos.dedup();
        Ok(Some(record_nos))
    }
}

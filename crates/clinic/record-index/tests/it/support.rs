//! An index over a file in a temporary folder, and records to put into it.

use contract::{ContentDigest, RecordDigest};
use record_index::{IndexError, LookedUp, RecordIndex, RecordState};
use record_secrets::Revision;
use sqlx::Connection as _;
use tempfile::TempDir;

use crate::file::File;

/// Keys of a flush, few so that runs come soon.
pub(crate) const FLUSH_KEYS: i64 = 8;

/// State of every record that is appended here.
pub(crate) const STATE: RecordState = RecordState {
    feed_id: None,
    stamp: Some(5),
    content: Some(ContentDigest([1; 16])),
    revision: Revision {
        generation: 1,
        count: 1,
    },
    withdrawn: false,
};

/// A file and an index over it.
pub(crate) struct Records {
    pub(crate) folder: TempDir,
    pub(crate) file: File,
    pub(crate) index: RecordIndex,
}

/// End of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Committed, and the index is told.
    Noted,
    /// Committed; the index has to find out.
    Committed,
    /// Rolled back.
    RolledBack,
}

/// Returns a digest, spread like a real one.
pub(crate) fn digest(number: u64) -> RecordDigest {
    let key = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    colliding(key, number)
}

/// Returns a digest of the given key.
pub(crate) fn colliding(key: u64, rest: u64) -> RecordDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[24..].copy_from_slice(&rest.to_be_bytes());
    RecordDigest(bytes)
}

/// Returns the numbers of a look-up's records if the first `known` of `all` are stored.
pub(crate) fn first_known(known: i64, all: i64) -> Vec<Option<i64>> {
    (1..=all)
        .map(|number| (number <= known).then_some(number))
        .collect()
}

impl Records {
    pub(crate) async fn new(flush_keys: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(&folder.path().join("outbox.db"))
            .await
            .unwrap();
        Self {
            folder,
            file,
            index: RecordIndex::with_flush_keys(flush_keys),
        }
    }

    /// Forgets what is in memory, and opens the file again.
    pub(crate) async fn reopen(self, flush_keys: i64) -> Self {
        let Self { folder, file, .. } = self;
        file.close().await.unwrap();
        let file = File::open(&folder.path().join("outbox.db"), 4096)
            .await
            .unwrap();
        Self {
            folder,
            file,
            index: RecordIndex::with_flush_keys(flush_keys),
        }
    }

    pub(crate) async fn append(
        &mut self,
        records: &[RecordDigest],
        looked_up_to: i64,
        end: End,
    ) -> Result<(), IndexError> {
        let with_state = records.iter().map(|record| (record, STATE));
        let mut transaction = self.file.writer.begin().await?;
        let appended = self
            .index
            .append(&mut transaction, with_state, looked_up_to)
            .await?;
        if end == End::RolledBack {
            transaction.rollback().await?;
            return Ok(());
        }
        transaction.commit().await?;
        if end == End::Noted {
            self.index.note_committed(&appended).await;
        }
        Ok(())
    }

    pub(crate) async fn look_up(&self, records: &[RecordDigest]) -> LookedUp {
        self.index
            .look_up(&self.file.reader, records)
            .await
            .unwrap()
    }

    pub(crate) async fn numbers(&self, records: &[RecordDigest]) -> Vec<Option<i64>> {
        let found = self.look_up(records).await.known;
        let number = |record| found.get(record).map(|stored| stored.record_no);
        records.iter().map(number).collect()
    }

    /// Runs as (after, upto, entries), oldest first.
    pub(crate) async fn runs(&self) -> Vec<(i64, i64, i64)> {
        sqlx::query_as("SELECT after, upto, entries FROM key_run ORDER BY after")
            .fetch_all(&self.file.reader)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&self.file.reader)
            .await
            .unwrap()
    }

    pub(crate) async fn execute(&mut self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&mut self.file.writer)
            .await
            .unwrap();
    }
}

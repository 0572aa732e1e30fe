//! Records ever read: found by their digests, appended, changed, gone over in order.

mod block;
mod blocks;
mod filter;
mod index;
mod keys;
mod known;
mod store;

use std::sync::Arc;

use contract::{RecordDigest, Version};
use sqlx::sqlite::SqliteConnection;

pub(crate) use self::blocks::last as last_number;
use self::index::Index;
pub(crate) use self::index::{ByDigest, LookedUp, Numbered};
pub(crate) use self::keys::key_of;
pub use self::known::SourceStamp;
pub(crate) use self::known::{Known, RecordUpdate};
use crate::file::{Database, OutboxError};

/// The records, over the outbox file.
#[derive(Debug)]
pub(crate) struct Records {
    index: Index,
    database: Arc<Database>,
}

impl Records {
    /// Records of the file.
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self {
            index: Index::new(),
            database,
        }
    }

    /// Looks records up by their digests, as committed. Under the commit gate nobody else numbers
    /// records after it.
    pub(crate) async fn look_up(&self, wanted: &[RecordDigest]) -> Result<LookedUp, OutboxError> {
        self.index.look_up(self.database.readers(), wanted).await
    }

    /// Looks records up by their numbers.
    pub(crate) async fn look_up_numbers(
        &self,
        record_nos: &[i64],
    ) -> Result<Vec<(RecordDigest, Known)>, OutboxError> {
        blocks::look_up_numbers(self.database.readers(), record_nos).await
    }

    /// Goes over the records numbered above `after` and up to `upto`, until `visitor` returns true.
    pub(crate) async fn visit(
        &self,
        after: i64,
        upto: i64,
        visitor: impl FnMut(&RecordDigest, &Known) -> bool + Send,
    ) -> Result<(), OutboxError> {
        blocks::visit(self.database.readers(), after, upto, visitor).await
    }

    /// Writes the new states: numbers new records, and changes known ones. `upto` is the last
    /// number at the look-up that told them apart. The numbers returned are given out once the
    /// transaction is committed.
    ///
    /// # Errors
    /// [`OutboxError::Overtaken`] if another page has numbered one of the new records since, and
    /// the disk's failures.
    pub(crate) async fn store(
        &self,
        connection: &mut SqliteConnection,
        updates: &[RecordUpdate],
        feed_id: i64,
        upto: i64,
    ) -> Result<Numbered, OutboxError> {
        store::store(connection, updates, Some(feed_id), upto, &self.index).await
    }

    /// Flushes the oldest unflushed keys to a run, if there are enough. Within the transaction that
    /// numbered these records.
    pub(crate) async fn flush_if_due(
        &self,
        connection: &mut SqliteConnection,
        numbered: &Numbered,
    ) -> Result<(), OutboxError> {
        self.index.spill(connection, numbered).await.map(drop)
    }

    /// Takes the committed numbers into memory, so that the next look-up need not read them.
    pub(crate) async fn learn(&self, committed: &Numbered) {
        self.index.learn(committed).await;
    }

    /// Flushes all keys that are due: many after a migration, none usually.
    pub(crate) async fn flush_all(&self) -> Result<(), OutboxError> {
        loop {
            let mut transaction = self.database.begin().await?;
            let none = Numbered {
                after: blocks::last(transaction.connection()).await?,
                keys: Vec::new(),
            };
            let flushed = self.index.spill(transaction.connection(), &none).await?;
            transaction.commit().await?;
            if !flushed {
                return Ok(());
            }
        }
    }
}

/// Changes feed and stamp of records that are otherwise unchanged.
pub(crate) async fn store_moved(
    connection: &mut SqliteConnection,
    moved: &[(i64, SourceStamp)],
    feed_id: i64,
) -> Result<(), OutboxError> {
    store::store_moved(connection, moved, feed_id).await
}

/// Adopts newer versions of the registry, and forgets content and stamp of these records.
pub(crate) async fn adopt(
    connection: &mut SqliteConnection,
    held: impl IntoIterator<Item = (i64, Option<Version>)>,
) -> Result<(), OutboxError> {
    store::adopt(connection, held).await
}

/// Forgets the stamps of records, so that a sweep reads them again.
pub(crate) async fn forget_stamps(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    store::forget(connection, record_nos, |known| known.stamp = None).await
}

/// Forgets the contents of records, so that they are sent again when they are read.
pub(crate) async fn forget_contents(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    store::forget(connection, record_nos, |known| known.content = None).await
}

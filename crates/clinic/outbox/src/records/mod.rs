//! Every record ever read, over the record index in the outbox file.

mod names;
mod update;

use std::collections::HashMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use contract::RecordDigest;
use record_index::{IndexError, RecordIndex, RecordState};
use record_secrets::Revision;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

pub use names::RecordName;
pub(crate) use names::{add_names, forget_names, read_names, store_names, without_names};
pub(crate) use record_index::{
    Appended, Key, KnownRecord, LookedUp, RecordMap, key_of, last_record_no,
};
pub(crate) use update::RecordUpdate;
pub use update::SourceStamp;

use crate::file::{Database, OutboxError};

/// The records, over the outbox file.
#[derive(Debug)]
pub(crate) struct Records {
    index: RecordIndex,
    database: Arc<Database>,
}

impl Records {
    /// Records of the file.
    pub(crate) fn new(database: Arc<Database>) -> Self {
        let index = RecordIndex::default();
        Self { index, database }
    }

    /// Looks records up by their digests, as committed. Under the commit gate nobody else appends
    /// records after it.
    pub(crate) async fn look_up(&self, wanted: &[RecordDigest]) -> Result<LookedUp, OutboxError> {
        Ok(self.index.look_up(self.database.readers(), wanted).await?)
    }

    /// Looks records up by their numbers.
    pub(crate) async fn look_up_numbers(
        &self,
        record_nos: &[i64],
    ) -> Result<Vec<(RecordDigest, KnownRecord)>, OutboxError> {
        Ok(record_index::look_up_numbers(self.database.readers(), record_nos).await?)
    }

    /// Visits the records with these numbers in their order, until the visitor breaks.
    pub(crate) async fn scan(
        &self,
        record_nos: RangeInclusive<i64>,
        visit: impl FnMut(&RecordDigest, &KnownRecord) -> ControlFlow<()> + Send,
    ) -> Result<(), OutboxError> {
        Ok(record_index::scan(self.database.readers(), record_nos, visit).await?)
    }

    /// Appends new records, and writes the new states of known ones. `looked_up_to` is the last
    /// number at the look-up that told them apart.
    ///
    /// # Errors
    /// [`OutboxError::Overtaken`] if another page has appended one of the new records since, and
    /// the disk's failures.
    pub(crate) async fn store(
        &self,
        connection: &mut SqliteConnection,
        updates: &[RecordUpdate],
        feed_id: i64,
        looked_up_to: i64,
    ) -> Result<Appended, OutboxError> {
        let new = updates
            .iter()
            .filter(|update| update.record_no.is_none())
            .map(|update| (&update.record, update.state(feed_id)));
        let appended = self.index.append(connection, new, looked_up_to).await?;
        store_known(connection, updates, feed_id).await?;
        Ok(appended)
    }

    /// Takes committed records into memory, so that the next look-up need not read them.
    pub(crate) async fn note_committed(&self, appended: &Appended) {
        self.index.note_committed(appended).await;
    }

    /// Flushes all keys that are due: many after a migration, none usually.
    pub(crate) async fn flush_all(&self) -> Result<(), OutboxError> {
        loop {
            let mut transaction = self.database.begin().await?;
            let flushed = self.index.flush(transaction.connection()).await?;
            transaction.commit().await?;
            if !flushed {
                return Ok(());
            }
        }
    }
}

/// Counts the asserted records of each of these feeds, by its number, one by one.
pub(crate) async fn count_asserted(
    pool: &SqlitePool,
    feed_ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, u64>, OutboxError> {
    let mut counts: HashMap<i64, u64> = feed_ids.into_iter().map(|id| (id, 0)).collect();
    let last = last_record_no(pool).await?;
    let count = |_: &RecordDigest, known: &KnownRecord| {
        let of_feed = known.state.feed_id.and_then(|id| counts.get_mut(&id));
        if let Some(count) = of_feed.filter(|_| known.is_asserted()) {
            *count += 1;
        }
        ControlFlow::Continue(())
    };
    record_index::scan(pool, 1..=last, count).await?;
    Ok(counts)
}

/// Writes the new states of known records; passes new ones over.
pub(crate) async fn store_known(
    connection: &mut SqliteConnection,
    updates: &[RecordUpdate],
    feed_id: i64,
) -> Result<(), OutboxError> {
    let known = updates
        .iter()
        .filter_map(|update| Some((update.record_no?, update)));
    let apply = |record: &RecordDigest, state: &mut RecordState, update: &RecordUpdate| {
        if *record != update.record {
            return Err(IndexError::Damaged { what: "a record" });
        }
        *state = update.state(feed_id);
        Ok(())
    };
    Ok(record_index::change(connection, known, apply).await?)
}

/// Changes feed and stamp of records that are otherwise unchanged.
pub(crate) async fn store_moved(
    connection: &mut SqliteConnection,
    moved: &[(i64, SourceStamp)],
    feed_id: i64,
) -> Result<(), OutboxError> {
    let apply = |_: &RecordDigest, state: &mut RecordState, stamp| {
        state.feed_id = Some(feed_id);
        state.stamp = stamp;
        Ok(())
    };
    Ok(record_index::change(connection, moved.iter().copied(), apply).await?)
}

/// Adopts newer revisions that the registry holds, and forgets content and stamp of these records.
pub(crate) async fn adopt(
    connection: &mut SqliteConnection,
    held: impl IntoIterator<Item = (i64, Option<Revision>)>,
) -> Result<(), OutboxError> {
    let apply = |_: &RecordDigest, state: &mut RecordState, held: Option<Revision>| {
        state.content = None;
        state.stamp = None;
        // Of a record that only a lost state has sent, nothing but the held revision is known.
        let sent = state.was_sent().then_some(state.revision);
        state.revision = held.max(sent).unwrap_or(state.revision);
        Ok(())
    };
    Ok(record_index::change(connection, held, apply).await?)
}

/// Forgets the stamps of records, so that a sweep reads them again.
pub(crate) async fn forget_stamps(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    forget(connection, record_nos, |state| state.stamp = None).await
}

/// Forgets the contents of records, so that they are sent again when they are read.
pub(crate) async fn forget_contents(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    forget(connection, record_nos, |state| state.content = None).await
}

/// Brings the revisions of records down to the first generation, so that they are sent again in the
/// present one.
pub(crate) async fn bring_down(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    let bring_down = |state: &mut RecordState| state.revision.generation = 1;
    forget(connection, record_nos, bring_down).await
}

async fn forget(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
    forget: fn(&mut RecordState),
) -> Result<(), OutboxError> {
    let record_nos = record_nos.iter().map(|record_no| (*record_no, ()));
    let apply = |_: &RecordDigest, state: &mut RecordState, ()| {
        forget(state);
        Ok(())
    };
    Ok(record_index::change(connection, record_nos, apply).await?)
}

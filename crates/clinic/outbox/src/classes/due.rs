//! Withheld records whose class is open by now, and those whose row is gone.

use std::sync::Arc;

use az::SaturatingAs as _;
use contract::RecordDigest;
use record_secrets::RecordSecrets;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::store::forget;
use crate::file::{Database, OutboxError, digest_from, each_digest, side_by_side};
use crate::records::{KnownRecord, LookedUp, Records};
use crate::versions::Versions;

/// A withheld record whose class is open by now: it is to be read again.
#[derive(Clone, PartialEq, Eq)]
pub struct DueRecord {
    /// Digest of the record.
    pub record: RecordDigest,
    /// The clinic's own id of the record.
    pub record_id: String,
}

impl std::fmt::Debug for DueRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DueRecord")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// Records whose class is not open, or was not when they were read.
#[derive(Debug)]
pub(crate) struct ClassRecords {
    pub(super) database: Arc<Database>,
    pub(super) versions: Arc<Versions>,
    secrets: Arc<RecordSecrets>,
}

impl ClassRecords {
    pub(crate) const fn new(
        database: Arc<Database>,
        versions: Arc<Versions>,
        secrets: Arc<RecordSecrets>,
    ) -> Self {
        Self {
            database,
            versions,
            secrets,
        }
    }

    /// Records of the feed that are due, in the order of their digests, at most so many.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] for an id that does not open, and the disk's failures.
    pub(crate) async fn due(
        &self,
        source: &str,
        feed: &str,
        most: usize,
    ) -> Result<Vec<DueRecord>, OutboxError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT c.record, c.sealed_id FROM feed AS f JOIN class_record AS c \
             ON c.feed_id = f.id AND c.state = 'due' \
             WHERE f.source = ?1 AND f.feed = ?2 ORDER BY c.record LIMIT ?3",
        )
        .bind(source)
        .bind(feed)
        .bind(most.saturating_as::<i64>())
        .fetch_all(self.database.readers())
        .await?;
        let due = rows.into_iter().map(|(record, sealed)| {
            let record = digest_from(record)?;
            let record_id = open_id(&self.secrets, &record, &sealed)?;
            Ok(DueRecord { record, record_id })
        });
        due.collect()
    }

    /// Finds, among the records, those that are withheld, or due.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn withheld_among(
        &self,
        records: &[RecordDigest],
    ) -> Result<Vec<RecordDigest>, OutboxError> {
        let withheld: Vec<Vec<u8>> = sqlx::query_scalar(each_digest!(
            "SELECT c.record FROM place CROSS JOIN class_record AS c \
             ON c.record = substr(?1, place.at, 32) WHERE c.state IN ('withheld', 'due')"
        ))
        .bind(side_by_side(records))
        .fetch_all(self.database.readers())
        .await?;
        withheld.into_iter().map(digest_from).collect()
    }

    /// Forgets records that were due and whose rows are gone.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn forget_due(&self, records: &[RecordDigest]) -> Result<(), OutboxError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        forget(transaction.connection(), records.iter()).await?;
        transaction.commit().await
    }
}

/// Opens the clinic's own id of a withheld record.
///
/// # Errors
/// [`OutboxError::Damaged`] where it was not sealed under this key for this record.
pub(super) fn open_id(
    secrets: &RecordSecrets,
    record: &RecordDigest,
    sealed: &[u8],
) -> Result<String, OutboxError> {
    let opened = secrets.open_name(record, sealed);
    opened.ok_or(OutboxError::Damaged {
        what: "the id of a withheld record",
    })
}

/// A record whose class is not open and whose row is gone.
pub(crate) struct LostWithheld {
    pub(crate) record: RecordDigest,
    pub(crate) record_no: i64,
    /// True if this state never sent anything of it.
    pub(crate) never_sent: bool,
}

/// Withheld and due records of the feed that are lost, as the caller says of each.
pub(crate) async fn lost_of_feed(
    pool: &SqlitePool,
    records: &Records,
    feed_id: i64,
    is_lost: impl Fn(&KnownRecord) -> bool,
) -> Result<Vec<LostWithheld>, OutboxError> {
    let withheld: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT record FROM class_record WHERE feed_id = ?1 AND state IN ('withheld', 'due')",
    )
    .bind(feed_id)
    .fetch_all(pool)
    .await?;
    let withheld = withheld.into_iter().map(digest_from);
    let withheld: Vec<RecordDigest> = withheld.collect::<Result<_, _>>()?;
    let LookedUp { known, .. } = records.look_up(&withheld).await?;
    let lost = withheld.into_iter().filter_map(|record| {
        let known = known.get(&record).filter(|known| is_lost(known))?;
        let record_no = known.record_no;
        Some(LostWithheld {
            record,
            record_no,
            never_sent: !known.state.was_sent(),
        })
    });
    Ok(lost.collect())
}

/// Forgets records whose rows are gone.
pub(crate) async fn close_lost(
    connection: &mut SqliteConnection,
    lost: &[LostWithheld],
) -> Result<(), OutboxError> {
    forget(connection, lost.iter().map(|lost| &lost.record)).await
}

/// Forgets all records of a feed.
pub(crate) async fn forget_feed(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM class_record WHERE feed_id = ?1")
        .bind(feed_id)
        .execute(connection)
        .await?;
    Ok(())
}

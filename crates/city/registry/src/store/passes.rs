//! Statements about passes that were issued, for both kinds of database.

use std::collections::BTreeMap;

use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::person_statements::NameValue;
use super::rows::digest;

/// Passes of one name and one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PassKey {
    /// Name that the passes were asked for by.
    pub name: NameValue,
    /// First second of the window, in Unix seconds.
    pub begins_at: i64,
    /// First second after the window, in Unix seconds.
    pub ends_at: i64,
}

impl PassKey {
    /// Key before all others.
    pub(crate) const FIRST: Self = Self {
        name: [0; 32],
        begins_at: i64::MIN,
        ends_at: i64::MIN,
    };
}

/// Number of passes of one name and one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PassCount {
    pub key: PassKey,
    /// Number of passes issued; they are numbered from 0.
    pub issued: u32,
    /// Number of those that have ended, which are the first ones.
    pub ended: u32,
}

impl<'r, R: Row> FromRow<'r, R> for PassCount
where
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Reads the columns in the order of `ENDED_PASSES`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        let name: Vec<u8> = row.try_get(0)?;
        let number = |index: usize| row.try_get::<i32, _>(index).map(i32::unsigned_abs);
        Ok(Self {
            key: PassKey {
                name: digest(&name)?,
                begins_at: row.try_get(1)?,
                ends_at: row.try_get(2)?,
            },
            issued: number(3)?,
            ended: number(4)?,
        })
    }
}

/// Numbers of passes before `more` were counted, in the order of their keys.
pub(super) fn numbers_before(
    keys: &[PassKey],
    counted: Vec<PassCount>,
    more: u32,
) -> Result<Vec<u32>, Error> {
    let numbers: BTreeMap<PassKey, u32> = counted
        .into_iter()
        .map(|count| (count.key, count.issued.saturating_sub(more)))
        .collect();
    let of_key = |key| numbers.get(key).copied().ok_or(Error::RowNotFound);
    keys.iter().map(of_key).collect()
}

/// Column of keys.
pub(super) fn key_column<T>(keys: &[PassKey], column: impl Fn(&PassKey) -> T) -> Vec<T> {
    keys.iter().map(column).collect()
}

/// Functions over a pool of connections of this type. `$digests` and `$numbers` make a set into
/// what the statements bind.
macro_rules! passes {
    ($pool:ty, $digests:ident, $numbers:ident) => {
        /// Returns whether changes of evidence are marked.
        pub(super) async fn is_watched(pool: &$pool) -> Result<bool, Error> {
            sqlx::query_scalar(IS_WATCHED).fetch_one(pool).await
        }

        /// Marks, at most `limit`, the oldest ids first.
        pub(super) async fn marks(pool: &$pool, limit: i64) -> Result<Vec<Mark>, Error> {
            sqlx::query_as(MARKS).bind(limit).fetch_all(pool).await
        }

        /// Removes marks by their ids.
        pub(super) async fn remove_marks(pool: &$pool, ids: &[i64]) -> Result<(), Error> {
            let remove = sqlx::query(REMOVE_MARKS).bind($numbers(ids));
            remove.execute(pool).await.map(drop)
        }

        /// Removes marks that were made before a time.
        pub(super) async fn prune_marks(pool: &$pool, before: DateTime<Utc>) -> Result<(), Error> {
            let prune = sqlx::query(PRUNE_MARKS).bind(before.timestamp());
            prune.execute(pool).await.map(drop)
        }

        /// Names of marked persons with passes whose window ends after `now`.
        pub(super) async fn marked_names(
            pool: &$pool,
            names: &[NameValue],
            subjects: &[SubjectId],
            now: DateTime<Utc>,
        ) -> Result<Vec<NameValue>, Error> {
            let query = sqlx::query_scalar(MARKED_NAMES)
                .bind($digests(names))
                .bind($numbers(subjects))
                .bind(now.timestamp());
            let names: Vec<Vec<u8>> = query.fetch_all(pool).await?;
            names.iter().map(|name| digest(name)).collect()
        }

        /// Names with passes whose window ends after `now`, after a name, at most `limit`.
        pub(super) async fn open_names(
            pool: &$pool,
            after: Option<NameValue>,
            limit: i64,
            now: DateTime<Utc>,
        ) -> Result<Vec<NameValue>, Error> {
            let query = sqlx::query_scalar(OPEN_NAMES)
                .bind(after.map(Vec::from).unwrap_or_default())
                .bind(now.timestamp())
                .bind(limit);
            let names: Vec<Vec<u8>> = query.fetch_all(pool).await?;
            names.iter().map(|name| digest(name)).collect()
        }

        /// Counts of passes of these names that have not all ended.
        pub(super) async fn open_passes(
            pool: &$pool,
            names: &[NameValue],
            now: DateTime<Utc>,
        ) -> Result<Vec<PassCount>, Error> {
            sqlx::query_as(OPEN_PASSES)
                .bind($digests(names))
                .bind(now.timestamp())
                .fetch_all(pool)
                .await
        }

        /// Counts of passes of which some have ended, after a key, at most `limit`.
        pub(super) async fn ended_passes(
            pool: &$pool,
            after: &PassKey,
            limit: i64,
            now: DateTime<Utc>,
        ) -> Result<Vec<PassCount>, Error> {
            sqlx::query_as(ENDED_PASSES)
                .bind(now.timestamp())
                .bind(&after.name[..])
                .bind(after.begins_at)
                .bind(after.ends_at)
                .bind(limit)
                .fetch_all(pool)
                .await
        }

        /// Ends so many of the first passes of each key. Those that have ended stay so.
        pub(super) async fn end_passes(pool: &$pool, ended: &[PassCount]) -> Result<(), Error> {
            let keys: Vec<PassKey> = ended.iter().map(|count| count.key).collect();
            let numbers: Vec<i64> = ended.iter().map(|count| count.ended.into()).collect();
            sqlx::query(END_PASSES)
                .bind($digests(&key_column(&keys, |key| key.name)))
                .bind($numbers(&key_column(&keys, |key| key.begins_at)))
                .bind($numbers(&key_column(&keys, |key| key.ends_at)))
                .bind($numbers(&numbers))
                .execute(pool)
                .await
                .map(drop)
        }

        /// Removes the counts of windows that ended before a time.
        pub(super) async fn prune_passes(pool: &$pool, before: DateTime<Utc>) -> Result<(), Error> {
            let prune = sqlx::query(PRUNE_PASSES).bind(before.timestamp());
            prune.execute(pool).await.map(drop)
        }

        /// Next sequence of a publication, not below `least`.
        pub(super) async fn next_publication(pool: &$pool, least: i64) -> Result<i64, Error> {
            let next = sqlx::query_scalar(NEXT_PUBLICATION).bind(least);
            next.fetch_one(pool).await
        }
    };
}
pub(super) use passes;

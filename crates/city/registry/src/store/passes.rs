//! Statements about passes that were issued, for both kinds of database.

use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::person_statements::NameValue;

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
    /// Reads the columns in the order of `OPEN_PASSES`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        let name: Vec<u8> = row.try_get(0)?;
        let name = NameValue::try_from(name).map_err(|_| Error::Decode("a name".into()))?;
        let number = |index: usize| row.try_get::<i32, _>(index).map(i32::unsigned_abs);
        Ok(Self {
            key: PassKey {
                name,
                begins_at: row.try_get(1)?,
                ends_at: row.try_get(2)?,
            },
            issued: number(3)?,
            ended: number(4)?,
        })
    }
}

/// Functions over a pool of connections of this type.
macro_rules! passes {
    ($pool:ty) => {
        /// Counts more passes of these windows in one transaction; returns how many each had
        /// before.
        pub(super) async fn count_passes(
            pool: &$pool,
            keys: &[PassKey],
            more: u32,
        ) -> Result<Vec<u32>, Error> {
            let more = i32::try_from(more).unwrap_or(i32::MAX);
            let mut before = Vec::with_capacity(keys.len());
            let mut transaction = pool.begin().await?;
            for key in keys {
                let issued: i32 = sqlx::query_scalar(COUNT_PASSES)
                    .bind(&key.name[..])
                    .bind(key.begins_at)
                    .bind(key.ends_at)
                    .bind(more)
                    .fetch_one(&mut *transaction)
                    .await?;
                before.push(issued.saturating_sub(more).unsigned_abs());
            }
            transaction.commit().await?;
            Ok(before)
        }

        /// Counts of passes whose window ends after `now`, after a key, at most `limit`.
        pub(super) async fn open_passes(
            pool: &$pool,
            after: &PassKey,
            limit: i64,
            now: DateTime<Utc>,
        ) -> Result<Vec<PassCount>, Error> {
            sqlx::query_as(OPEN_PASSES)
                .bind(now.timestamp())
                .bind(&after.name[..])
                .bind(after.begins_at)
                .bind(after.ends_at)
                .bind(limit)
                .fetch_all(pool)
                .await
        }

        /// Ends so many of the first passes of each key, in one transaction.
        pub(super) async fn end_passes(pool: &$pool, ended: &[PassCount]) -> Result<(), Error> {
            let mut transaction = pool.begin().await?;
            for count in ended {
                sqlx::query(END_PASSES)
                    .bind(&count.key.name[..])
                    .bind(count.key.begins_at)
                    .bind(count.key.ends_at)
                    .bind(i32::try_from(count.ended).unwrap_or(i32::MAX))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await
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

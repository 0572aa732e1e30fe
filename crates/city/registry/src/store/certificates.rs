//! Statements about certificates that were issued, and about passes under random ids, for both
//! kinds of database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::passes::PassKey;
use super::person_statements::NameValue;
use super::{Store, StoreError, in_time};

/// Certificates of one name and one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CertificateKey {
    /// Name that the certificates were asked for by.
    pub name: NameValue,
    /// Keyed digest of what they state.
    pub content: [u8; 32],
}

impl CertificateKey {
    /// Key before all others.
    pub(crate) const FIRST: Self = Self {
        name: [0; 32],
        content: [0; 32],
    };
}

/// Number of certificates of one name and one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CertificateCount {
    pub key: CertificateKey,
    /// First second at which none of them holds any more, in Unix seconds.
    pub ends_at: i64,
    /// Number of certificates issued; they are numbered from 0.
    pub issued: u32,
    /// Number of those that have ended, which are the first ones.
    pub ended: u32,
}

impl<'r, R: Row> FromRow<'r, R> for CertificateCount
where
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Reads the columns in the order of `ENDED_CERTIFICATES`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        let digest = |index: usize| {
            let bytes: Vec<u8> = row.try_get(index)?;
            <[u8; 32]>::try_from(bytes).map_err(|_| Error::Decode("a digest".into()))
        };
        let number = |index: usize| row.try_get::<i32, _>(index).map(i32::unsigned_abs);
        Ok(Self {
            key: CertificateKey {
                name: digest(0)?,
                content: digest(1)?,
            },
            ends_at: row.try_get(2)?,
            issued: number(3)?,
            ended: number(4)?,
        })
    }
}

/// Counts one more certificate of a name and a content that ends at `$3`, if there are fewer than
/// `$4`; returns how many there are then.
pub(super) const COUNT_CERTIFICATE: &str =
    "INSERT INTO certificate_count (name, content, ends_at, issued)
    VALUES ($1, $2, $3, 1)
    ON CONFLICT (name, content) DO UPDATE SET issued = certificate_count.issued + 1, ends_at = CASE
        WHEN certificate_count.ends_at > excluded.ends_at THEN certificate_count.ends_at
        ELSE excluded.ends_at END
    WHERE certificate_count.issued < $4
    RETURNING issued";

/// Marks a name, whose certificates have to be judged.
pub(super) const MARK_NAME: &str = "INSERT INTO pass_mark (made_at, name) VALUES ($1, $2)";

/// Counts of certificates of names that have not all ended and that end after `$2`.
macro_rules! open_certificates {
    ($is_one_of:literal) => {
        concat!(
            "SELECT name, content, ends_at, issued, ended FROM certificate_count WHERE name ",
            $is_one_of,
            " AND ends_at > $2 AND ended < issued ORDER BY name, content"
        )
    };
}
pub(super) use open_certificates;

/// Counts of certificates of which some have ended and that end after `$1`, at most `$4`, in the
/// order of their keys, from after the key `$2`, `$3` on.
pub(super) const ENDED_CERTIFICATES: &str =
    "SELECT name, content, ends_at, issued, ended FROM certificate_count
    WHERE ended > 0 AND ends_at > $1 AND (name, content) > ($2, $3)
    ORDER BY name, content LIMIT $4";

/// Ends the first `$3` certificates of a name and a content. Those that have ended stay so.
pub(super) const END_CERTIFICATES: &str = "UPDATE certificate_count SET ended = $3
    WHERE name = $1 AND content = $2 AND ended < $3";

/// Removes the counts of certificates that ended before `$1`.
pub(super) const PRUNE_CERTIFICATES: &str = "DELETE FROM certificate_count WHERE ends_at <= $1";

/// Counts `$4` more passes under random ids; as `COUNT_PASSES`.
pub(super) const COUNT_RANDOM_PASSES: &str =
    "INSERT INTO random_pass_count (name, begins_at, ends_at, issued)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (name, begins_at, ends_at) DO UPDATE SET issued = CASE
        WHEN random_pass_count.issued > 1000000 THEN random_pass_count.issued
        ELSE random_pass_count.issued + excluded.issued END
    RETURNING issued";

/// Removes the counts of passes under random ids whose window ended before `$1`.
pub(super) const PRUNE_RANDOM_PASSES: &str = "DELETE FROM random_pass_count WHERE ends_at <= $1";

/// Counts of certificates, and of passes under random ids.
#[async_trait]
pub(super) trait IssueCounts {
    /// Counts one more certificate that ends at a time, if there are fewer than `most`, and marks
    /// its name, in one transaction; returns how many there were before, `None` where there are as
    /// many.
    async fn count_certificate(
        &self,
        key: &CertificateKey,
        ends_at: i64,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Option<u32>, Error>;

    /// Counts of certificates of these names that have not all ended and that end after `now`,
    /// sorted by key.
    async fn open_certificates(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateCount>, Error>;

    /// Counts of certificates of which some have ended and that end after `now`, sorted by key,
    /// after a key, at most `limit`.
    async fn ended_certificates(
        &self,
        after: &CertificateKey,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateCount>, Error>;

    /// Ends so many of the first certificates of each key, in one transaction.
    async fn end_certificates(&self, ended: &[CertificateCount]) -> Result<(), Error>;

    /// Counts more passes under random ids of these windows in one transaction; returns how many
    /// each had before.
    async fn count_random_passes(&self, keys: &[PassKey], more: u32) -> Result<Vec<u32>, Error>;

    /// Removes the counts of certificates, and of passes under random ids, that ended before a
    /// time.
    async fn prune_issue_counts(&self, before: DateTime<Utc>) -> Result<(), Error>;
}

/// Implements [`IssueCounts`] for a store with these pools. `$digests` makes a set of names into
/// what the condition `$is_one_of` of a statement binds.
macro_rules! issue_counts {
    ($store:ty, $writer:ident, $reader:ident, $digests:path, $is_one_of:literal) => {
        #[async_trait]
        impl $crate::store::certificates::IssueCounts for $store {
            async fn count_certificate(
                &self,
                key: &$crate::store::CertificateKey,
                ends_at: i64,
                most: u32,
                now: DateTime<Utc>,
            ) -> Result<Option<u32>, Error> {
                let mut transaction = self.$writer.begin().await?;
                sqlx::query($crate::store::certificates::MARK_NAME)
                    .bind(now.timestamp())
                    .bind(&key.name[..])
                    .execute(&mut *transaction)
                    .await?;
                let issued: Option<i32> =
                    sqlx::query_scalar($crate::store::certificates::COUNT_CERTIFICATE)
                        .bind(&key.name[..])
                        .bind(&key.content[..])
                        .bind(ends_at)
                        .bind(i32::try_from(most).unwrap_or(i32::MAX))
                        .fetch_optional(&mut *transaction)
                        .await?;
                transaction.commit().await?;
                Ok(issued.map(|issued| issued.saturating_sub(1).unsigned_abs()))
            }

            async fn open_certificates(
                &self,
                names: &[$crate::store::NameValue],
                now: DateTime<Utc>,
            ) -> Result<Vec<$crate::store::CertificateCount>, Error> {
                let open = $crate::store::certificates::open_certificates!($is_one_of);
                sqlx::query_as(open)
                    .bind($digests(names))
                    .bind(now.timestamp())
                    .fetch_all(&self.$reader)
                    .await
            }

            async fn ended_certificates(
                &self,
                after: &$crate::store::CertificateKey,
                limit: i64,
                now: DateTime<Utc>,
            ) -> Result<Vec<$crate::store::CertificateCount>, Error> {
                sqlx::query_as($crate::store::certificates::ENDED_CERTIFICATES)
                    .bind(now.timestamp())
                    .bind(&after.name[..])
                    .bind(&after.content[..])
                    .bind(limit)
                    .fetch_all(&self.$reader)
                    .await
            }

            async fn end_certificates(
                &self,
                ended: &[$crate::store::CertificateCount],
            ) -> Result<(), Error> {
                let mut transaction = self.$writer.begin().await?;
                for count in ended {
                    sqlx::query($crate::store::certificates::END_CERTIFICATES)
                        .bind(&count.key.name[..])
                        .bind(&count.key.content[..])
                        .bind(i32::try_from(count.ended).unwrap_or(i32::MAX))
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await
            }

            async fn count_random_passes(
                &self,
                keys: &[PassKey],
                more: u32,
            ) -> Result<Vec<u32>, Error> {
                let more = i32::try_from(more).unwrap_or(i32::MAX);
                let mut before = Vec::with_capacity(keys.len());
                let mut transaction = self.$writer.begin().await?;
                for key in keys {
                    let issued: i32 =
                        sqlx::query_scalar($crate::store::certificates::COUNT_RANDOM_PASSES)
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

            async fn prune_issue_counts(&self, before: DateTime<Utc>) -> Result<(), Error> {
                for prune in [
                    $crate::store::certificates::PRUNE_CERTIFICATES,
                    $crate::store::certificates::PRUNE_RANDOM_PASSES,
                ] {
                    let prune = sqlx::query(prune).bind(before.timestamp());
                    prune.execute(&self.$writer).await?;
                }
                Ok(())
            }
        }
    };
}
pub(super) use issue_counts;

impl Store {
    /// Counts one more certificate that ends at a time, if there are fewer than `most`, and marks
    /// its name; returns how many there were before, `None` where there are as many.
    pub(crate) async fn count_certificate(
        &self,
        key: &CertificateKey,
        ends_at: DateTime<Utc>,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Option<u32>, StoreError> {
        let ends_at = ends_at.timestamp();
        in_time(self.backend.count_certificate(key, ends_at, most, now)).await
    }

    /// Counts of certificates of these names that have not all ended and that end after `now`,
    /// sorted by key.
    pub(crate) async fn open_certificates(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateCount>, StoreError> {
        in_time(self.backend.open_certificates(names, now)).await
    }

    /// Counts of certificates of which some have ended and that end after `now`, sorted by key,
    /// after a key, at most `limit`.
    pub(crate) async fn ended_certificates(
        &self,
        after: &CertificateKey,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateCount>, StoreError> {
        in_time(self.backend.ended_certificates(after, limit.into(), now)).await
    }

    /// Ends so many of the first certificates of each key.
    pub(crate) async fn end_certificates(
        &self,
        ended: &[CertificateCount],
    ) -> Result<(), StoreError> {
        in_time(self.backend.end_certificates(ended)).await
    }

    /// Counts more passes under random ids of these windows; returns how many each had before, in
    /// their order. Either all are counted or none.
    pub(crate) async fn count_random_passes(
        &self,
        keys: &[PassKey],
        more: u32,
    ) -> Result<Vec<u32>, StoreError> {
        in_time(self.backend.count_random_passes(keys, more)).await
    }

    /// Removes the counts of certificates, and of passes under random ids, that ended before a
    /// time.
    pub(crate) async fn prune_issue_counts(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        in_time(self.backend.prune_issue_counts(before)).await
    }
}

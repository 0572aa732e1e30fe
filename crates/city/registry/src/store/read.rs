//! What is read for people and tests: facts, subjects, counts.

use std::collections::HashMap;

use super::{Store, StoreError};
use crate::choose::Stored;
use crate::link::SubjectId;
use crate::second_layer::CityPseudonym;

/// A fact's row.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawFact {
    pub record: [u8; 32],
    pub version: i64,
    pub kind: String,
    pub vaccine: Option<String>,
    pub dose_number: Option<i16>,
    pub series_doses: Option<i16>,
    pub test: Option<String>,
    pub result: Option<String>,
    pub began_on: Option<String>,
    pub occurred_on: Option<String>,
    pub subject: Option<SubjectId>,
}

/// The columns of [`RawFact`], in its order.
pub(crate) type FactTuple = (
    Vec<u8>,
    i64,
    String,
    Option<String>,
    Option<i16>,
    Option<i16>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

/// The columns of a pseudonym and its subject.
pub(crate) type PseudonymTuple = (Vec<u8>, String, String, i32, i64);

/// The columns of [`Stored`] behind its record.
pub(crate) type StoredTuple = (Vec<u8>, i64, String, String, Option<Vec<u8>>);

/// Counts, each by the words it is stored under.
#[derive(Debug, Default)]
pub(crate) struct RawStats {
    pub subjects: i64,
    /// (scheme, how many).
    pub pseudonyms: Vec<(String, i64)>,
    /// (kind, status, how many).
    pub facts: Vec<(String, String, i64)>,
    pub conflicts: i64,
    /// (reason, how many).
    pub refusals: Vec<(String, i64)>,
}

/// Puts the second-layer key's check value down.
pub(crate) const CLAIM: &str =
    "INSERT INTO second_layer (id, check_value) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";

/// Changes nothing, and yet is a write.
pub(crate) const TOUCH: &str = "UPDATE second_layer SET check_value = check_value WHERE id = 1";

/// The statements behind [`RawStats`], the same in both dialects.
pub(crate) mod stats_sql {
    pub(crate) const SUBJECTS: &str = "SELECT count(*) FROM subject";
    pub(crate) const PSEUDONYMS: &str =
        "SELECT scheme, count(*) FROM pseudonym GROUP BY scheme ORDER BY scheme";
    pub(crate) const FACTS: &str =
        "SELECT kind, status, count(*) FROM fact GROUP BY kind, status ORDER BY kind, status";
    pub(crate) const CONFLICTS: &str = "SELECT count(*) FROM conflict";
    pub(crate) const REFUSALS: &str =
        "SELECT reason, count(*) FROM refusal GROUP BY reason ORDER BY reason";
}

pub(crate) fn raw_fact(row: FactTuple) -> Result<RawFact, sqlx::Error> {
    let (
        record,
        version,
        kind,
        vaccine,
        dose_number,
        series_doses,
        test,
        result,
        began_on,
        occurred_on,
        subject,
    ) = row;
    let record = record
        .try_into()
        .map_err(|_| super::code::strange("record"))?;
    Ok(RawFact {
        record,
        version,
        kind,
        vaccine,
        dose_number,
        series_doses,
        test,
        result,
        began_on,
        occurred_on,
        subject,
    })
}

pub(crate) fn raw_pseudonym(
    (value, scheme, suite, epoch, subject): PseudonymTuple,
) -> Result<(SubjectId, CityPseudonym), sqlx::Error> {
    let pseudonym = super::code::pseudonym(&value, &scheme, &suite, epoch);
    Ok((
        subject,
        pseudonym.ok_or_else(|| super::code::strange("pseudonym"))?,
    ))
}

pub(crate) fn raw_stored(
    (record, version, kind, status, content): StoredTuple,
) -> Result<([u8; 32], Stored), sqlx::Error> {
    let kind = super::code::kind(&kind).ok_or_else(|| super::code::strange("kind"))?;
    let content = content.map(<[u8; 16]>::try_from).transpose();
    let content = content.map_err(|_| super::code::strange("content"))?;
    Ok((
        value_of(&record)?,
        Stored {
            version,
            kind,
            withdrawn: status == "withdrawn",
            content,
        },
    ))
}

pub(crate) fn value_of(bytes: &[u8]) -> Result<[u8; 32], sqlx::Error> {
    bytes.try_into().map_err(|_| super::code::strange("digest"))
}

impl Store {
    /// Refuses a second-layer key other than the one the store was filled with.
    pub(crate) async fn claim(&self, check: &[u8; 32]) -> Result<(), StoreError> {
        let standing = self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.claim(check).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.claim(check).await,
            }
        });
        if standing.await? == check {
            return Ok(());
        }
        Err(StoreError::Misconfigured {
            what: "it was filled under another second-layer key".into(),
            help: "put that key back into keys.second_layer, or use an empty database",
        })
    }

    /// Facts, sorted by record: those of `subjects`, or all.
    pub(crate) async fn facts(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<RawFact>, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.facts(subjects).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.facts(subjects).await,
            }
        })
        .await
    }

    /// Pseudonyms with their subjects: those of `subjects`, or all.
    pub(crate) async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.pseudonyms(subjects).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.pseudonyms(subjects).await,
            }
        })
        .await
    }

    /// The subjects of those pseudonyms that are stored.
    pub(crate) async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.subjects_of(values).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.subjects_of(values).await,
            }
        })
        .await
    }

    /// What holds of those records that are stored, as of the last commit.
    pub(crate) async fn stored(
        &self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Stored>, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.stored(records).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.stored(records).await,
            }
        })
        .await
    }

    /// Counts.
    pub(crate) async fn stats(&self) -> Result<RawStats, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.stats().await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.stats().await,
            }
        })
        .await
    }

    /// Removes all but the newest refusals; how many went.
    pub(crate) async fn prune(&self, keep: i64) -> Result<u64, StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.prune(keep).await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.prune(keep).await,
            }
        })
        .await
    }
}

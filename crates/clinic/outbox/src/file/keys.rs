//! Fingerprints of the keys that an outbox works under: written down at their first use, compared
//! at every other.

use std::path::Path;

use contract::{Epoch, Suite};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::connect::open_alone;
use super::error::OutboxError;

/// Fingerprints of a gateway's keys, none of which tells anything of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprints {
    /// Fingerprint of the key that record digests are made with.
    pub record: String,
    /// Suite that pseudonyms are made with.
    pub suite: Suite,
    /// Open epochs, each with its pseudonym key's fingerprint.
    pub pseudonym: Vec<(Epoch, String)>,
}

/// Fingerprints that an outbox has written down.
struct Pinned {
    record: Option<String>,
    /// Pseudonym keys of the suite that is asked about.
    pseudonym: Vec<(Epoch, String)>,
    /// Number of pseudonym keys of other suites.
    other_suites: u32,
}

/// Compares the keys with those written down, and writes down what is new: all of them at the first
/// opening, an epoch that is opened later beside the others.
///
/// # Errors
/// [`OutboxError::OtherRecordKey`], [`OutboxError::OtherPseudonymKey`],
/// [`OutboxError::NoKnownPseudonymKey`], [`OutboxError::OtherSuite`] and the disk's failures.
pub(crate) async fn pin_keys(
    connection: &mut SqliteConnection,
    keys: &KeyFingerprints,
) -> Result<(), OutboxError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    compare_keys(&mut transaction, keys).await?;
    insert(&mut transaction, keys).await?;
    Ok(transaction.commit().await?)
}

/// Compares the keys with those written down, and writes nothing.
///
/// # Errors
/// Errors of [`pin_keys`].
pub(crate) async fn compare_keys(
    connection: &mut SqliteConnection,
    keys: &KeyFingerprints,
) -> Result<(), OutboxError> {
    read(connection, keys.suite).await?.compare(keys)
}

/// Writes the pseudonym keys down in the place of those that the outbox at `path` has worked under,
/// whatever these were. `owner` is shown to whoever finds the outbox locked.
///
/// # Errors
/// [`OutboxError::Missing`], [`OutboxError::Locked`], [`OutboxError::OtherRecordKey`], and the
/// errors of opening.
pub async fn accept_pseudonym_keys(
    path: &Path,
    owner: &str,
    keys: &KeyFingerprints,
) -> Result<(), OutboxError> {
    let mut alone = open_alone(path, owner).await?;
    let mut transaction = alone.connection.begin_with("BEGIN IMMEDIATE").await?;
    let pinned = read(&mut transaction, keys.suite).await?;
    pinned.compare_record(keys)?;
    sqlx::query("DELETE FROM pseudonym_key")
        .execute(&mut *transaction)
        .await?;
    insert(&mut transaction, keys).await?;
    transaction.commit().await?;
    Ok(alone.connection.close().await?)
}

/// Writes the fingerprints of refreshed pseudonym keys down in the place of those `before`, under
/// which the outbox at `path` has worked; whoever calls has made sure that both make the same
/// pseudonyms. Other epochs are remembered as they are. `owner` is shown to whoever finds the
/// outbox locked.
///
/// # Errors
/// Errors of [`accept_pseudonym_keys`]; [`OutboxError::OtherPseudonymKey`] and the like where the
/// outbox has not worked under the keys `before`.
pub async fn refresh_pseudonym_keys(
    path: &Path,
    owner: &str,
    before: &KeyFingerprints,
    keys: &KeyFingerprints,
) -> Result<(), OutboxError> {
    let mut alone = open_alone(path, owner).await?;
    let mut transaction = alone.connection.begin_with("BEGIN IMMEDIATE").await?;
    compare_keys(&mut transaction, before).await?;
    for (epoch, _) in &keys.pseudonym {
        sqlx::query("DELETE FROM pseudonym_key WHERE suite = ?1 AND epoch = ?2")
            .bind(keys.suite.as_str())
            .bind(epoch)
            .execute(&mut *transaction)
            .await?;
    }
    insert(&mut transaction, keys).await?;
    transaction.commit().await?;
    Ok(alone.connection.close().await?)
}

async fn read(connection: &mut SqliteConnection, suite: Suite) -> Result<Pinned, OutboxError> {
    let record = sqlx::query_scalar("SELECT keys_check FROM meta")
        .fetch_optional(&mut *connection)
        .await?
        .flatten();
    let rows = sqlx::query("SELECT suite, epoch, fingerprint FROM pseudonym_key ORDER BY epoch")
        .fetch_all(connection)
        .await?;
    let mut pinned = Pinned {
        record,
        pseudonym: Vec::new(),
        other_suites: 0,
    };
    for row in rows {
        if row.try_get::<&str, _>(0)? == suite.as_str() {
            pinned.pseudonym.push((row.try_get(1)?, row.try_get(2)?));
        } else {
            pinned.other_suites += 1;
        }
    }
    Ok(pinned)
}

async fn insert(
    connection: &mut SqliteConnection,
    keys: &KeyFingerprints,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE meta SET keys_check = ?1 WHERE keys_check IS NULL")
        .bind(&keys.record)
        .execute(&mut *connection)
        .await?;
    for (epoch, fingerprint) in &keys.pseudonym {
        sqlx::query("INSERT INTO pseudonym_key VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
            .bind(keys.suite.as_str())
            .bind(epoch)
            .bind(fingerprint)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Pinned {
    fn compare(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        self.compare_record(keys)?;
        let mut known = false;
        for (epoch, given) in &keys.pseudonym {
            let Some((_, pinned)) = self.pseudonym.iter().find(|(other, _)| other == epoch) else {
                continue;
            };
            if pinned != given {
                return Err(OutboxError::OtherPseudonymKey {
                    epoch: *epoch,
                    pinned: pinned.clone(),
                    given: given.clone(),
                });
            }
            known = true;
        }
        let is_first_use = self.pseudonym.is_empty() && self.other_suites == 0;
        if known || is_first_use {
            return Ok(());
        }
        if self.pseudonym.is_empty() {
            return Err(OutboxError::OtherSuite {
                suite: keys.suite.as_str(),
            });
        }
        Err(OutboxError::NoKnownPseudonymKey {
            pinned: list(&self.pseudonym),
            given: list(&keys.pseudonym),
            suite: keys.suite.as_str(),
        })
    }

    fn compare_record(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        match &self.record {
            Some(pinned) if *pinned != keys.record => Err(OutboxError::OtherRecordKey {
                pinned: pinned.clone(),
                given: keys.record.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// Fingerprints as a configuration writes them: `1:abcd1234, 2:…`.
fn list(keys: &[(Epoch, String)]) -> String {
    let each = keys
        .iter()
        .map(|(epoch, fingerprint)| format!("{epoch}:{fingerprint}"));
    let text = each.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".into() } else { text }
}

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
    /// Fingerprints of the pseudonym keys; of two suites while a city moves from one to the other.
    pub pseudonym: Vec<KeyFingerprint>,
}

/// Fingerprint of one pseudonym key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFingerprint {
    /// Suite that the key makes pseudonyms of.
    pub suite: Suite,
    /// Epoch of the key.
    pub epoch: Epoch,
    /// Fingerprint of the key.
    pub fingerprint: String,
}

impl KeyFingerprints {
    /// Names of the suites that pseudonyms are made of: `voprf and hmac`.
    #[must_use]
    pub fn suites(&self) -> String {
        let mut suites: Vec<&str> = Vec::new();
        for key in &self.pseudonym {
            if !suites.contains(&key.suite.as_str()) {
                suites.push(key.suite.as_str());
            }
        }
        suites.join(" and ")
    }
}

/// Fingerprints that an outbox has written down.
struct Pinned {
    record: Option<String>,
    /// Suite by name, epoch and fingerprint of each pseudonym key.
    pseudonym: Vec<PinnedKey>,
}

/// Pseudonym key that an outbox has written down.
struct PinnedKey {
    suite: String,
    epoch: Epoch,
    fingerprint: String,
}

impl PinnedKey {
    fn is_of(&self, suite: Suite) -> bool {
        self.suite == suite.as_str()
    }
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
    read(connection).await?.compare(keys)
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
    let pinned = read(&mut transaction).await?;
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
    for key in &keys.pseudonym {
        sqlx::query("DELETE FROM pseudonym_key WHERE suite = ?1 AND epoch = ?2")
            .bind(key.suite.as_str())
            .bind(key.epoch)
            .execute(&mut *transaction)
            .await?;
    }
    insert(&mut transaction, keys).await?;
    transaction.commit().await?;
    Ok(alone.connection.close().await?)
}

async fn read(connection: &mut SqliteConnection) -> Result<Pinned, OutboxError> {
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
    };
    for row in rows {
        pinned.pseudonym.push(PinnedKey {
            suite: row.try_get(0)?,
            epoch: row.try_get(1)?,
            fingerprint: row.try_get(2)?,
        });
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
    for key in &keys.pseudonym {
        sqlx::query("INSERT INTO pseudonym_key VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
            .bind(key.suite.as_str())
            .bind(key.epoch)
            .bind(&key.fingerprint)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Pinned {
    fn compare(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        self.compare_record(keys)?;
        let mut known = false;
        for given in &keys.pseudonym {
            let mut pinned = self.pseudonym.iter();
            let is_same = |key: &&PinnedKey| key.is_of(given.suite) && key.epoch == given.epoch;
            let Some(pinned) = pinned.find(is_same) else {
                continue;
            };
            if pinned.fingerprint != given.fingerprint {
                return Err(OutboxError::OtherPseudonymKey {
                    epoch: given.epoch,
                    pinned: pinned.fingerprint.clone(),
                    given: given.fingerprint.clone(),
                });
            }
            known = true;
        }
        if known || self.pseudonym.is_empty() {
            return Ok(());
        }
        let given = &keys.pseudonym;
        let is_of_a_given_suite = |key: &&PinnedKey| given.iter().any(|one| key.is_of(one.suite));
        let pinned: Vec<&PinnedKey> = self.pseudonym.iter().filter(is_of_a_given_suite).collect();
        if pinned.is_empty() {
            return Err(OutboxError::OtherSuite {
                suite: keys.suites(),
            });
        }
        let pinned = pinned.iter().map(|key| (key.epoch, &key.fingerprint));
        let given = given.iter().map(|key| (key.epoch, &key.fingerprint));
        Err(OutboxError::NoKnownPseudonymKey {
            pinned: list(pinned),
            given: list(given),
            suite: keys.suites(),
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
fn list<'a>(keys: impl Iterator<Item = (Epoch, &'a String)>) -> String {
    let each = keys.map(|(epoch, fingerprint)| format!("{epoch}:{fingerprint}"));
    let text = each.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".into() } else { text }
}

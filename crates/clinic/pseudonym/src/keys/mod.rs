//! Keys: the pseudonym keys a city shares, and the record key a clinic keeps to itself.

mod text;

use contract::{Epoch, Suite};
use record_secrets::RecordSecrets;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::mac::Keyed;

pub use text::KeyFault;

/// Most pseudonym keys that may be open at once: the present one and the next.
pub const MAX_OPEN_EPOCHS: usize = 2;

/// Length of every key, in bytes.
const KEY_BYTES: usize = 32;

/// Why keys cannot be used. Never shows key material; a fingerprint is a check value, not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A line of the text cannot be used.
    #[error("line {line} of the keys: {fault}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// IdentifierFault of the line.
        fault: KeyFault,
    },
    /// No pseudonym key.
    #[error(
        "the keys hold no pseudonym key; add a line `pseudonym EPOCH KEY`, shared by all clinics \
         of the city"
    )]
    NoPseudonymKey,
    /// No record key.
    #[error("the keys hold no record key; add a line `record KEY`, this clinic's own")]
    NoRecordKey,
    /// The same epoch with another key.
    #[error(
        "epoch {epoch} is here with key {ours} and there with key {theirs} (fingerprints); ask \
         the city which is right"
    )]
    Differs {
        /// The epoch.
        epoch: Epoch,
        /// Fingerprint of the key already held.
        ours: String,
        /// Fingerprint of the key offered.
        theirs: String,
    },
    /// More epochs than may be open at once.
    #[error("more than {MAX_OPEN_EPOCHS} pseudonym epochs would be open; close the oldest first")]
    TooManyEpochs,
    /// No such epoch, or the only one.
    #[error("epoch {epoch} cannot be closed: it is not open, or it is the only one")]
    CannotClose {
        /// The epoch.
        epoch: Epoch,
    },
    /// The number after this one does not exist.
    #[error("the epoch numbers are used up")]
    LastEpoch,
}

/// Key on the heap, wiped when dropped.
type Key = SecretBox<[u8; KEY_BYTES]>;

fn random_key() -> Key {
    SecretBox::init_with_mut(|bytes: &mut [u8; KEY_BYTES]| {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    })
}

fn copy(key: &Key) -> Key {
    SecretBox::init_with_mut(|bytes: &mut [u8; KEY_BYTES]| {
        bytes.copy_from_slice(key.expose_secret())
    })
}

/// First 8 hex digits of HMAC-SHA-256(key, "fingerprint"): equal at two clinics that hold the same
/// key.
fn fingerprint(key: &Key) -> String {
    let digest = Keyed::new(Suite::Hmac, key.expose_secret()).digest(b"fingerprint");
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The pseudonym keys of a city, by epoch, 1 to [`MAX_OPEN_EPOCHS`]: the same at every clinic and
/// at the portal.
pub struct SharedKeys(Vec<(Epoch, Key)>);

/// A clinic's keys: the shared pseudonym keys and its own record key.
pub struct KeyRing {
    shared: SharedKeys,
    record: Key,
}

impl SharedKeys {
    /// Reads the text form: `pseudonym` lines only.
    ///
    /// # Errors
    /// [`KeyError`], with the line; a `record` line is refused, since that key is never shared.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        text::parse_shared(text.expose_secret())
    }

    /// The text form, for other clinics and the portal.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        text::write(self, None)
    }

    /// Each open epoch with its key's fingerprint, oldest first.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<(Epoch, String)> {
        self.0
            .iter()
            .map(|(epoch, key)| (*epoch, fingerprint(key)))
            .collect()
    }

    /// Each open epoch with its key, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Epoch, &[u8; KEY_BYTES])> {
        self.0
            .iter()
            .map(|(epoch, key)| (*epoch, key.expose_secret()))
    }

    fn copy(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|(epoch, key)| (*epoch, copy(key)))
                .collect(),
        )
    }

    /// Adds a key, keeping the order.
    fn insert(&mut self, epoch: Epoch, key: Key) -> Result<(), KeyError> {
        match self.0.binary_search_by_key(&epoch, |(epoch, _)| *epoch) {
            Ok(at) if self.0[at].1.expose_secret() == key.expose_secret() => Ok(()),
            Ok(at) => Err(KeyError::Differs {
                epoch,
                ours: fingerprint(&self.0[at].1),
                theirs: fingerprint(&key),
            }),
            Err(_) if self.0.len() == MAX_OPEN_EPOCHS => Err(KeyError::TooManyEpochs),
            Err(at) => {
                self.0.insert(at, (epoch, key));
                Ok(())
            }
        }
    }
}

impl KeyRing {
    /// Fresh keys for the first clinic of a city: pseudonym epoch 1 and a record key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_shared(SharedKeys(vec![(1, random_key())]))
    }

    /// Keys for a clinic that joins: the city's pseudonym keys and a fresh record key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn from_shared(shared: SharedKeys) -> Self {
        Self {
            shared,
            record: random_key(),
        }
    }

    /// Makes keys for a clinic whose pseudonyms key services evaluate: a record key, and no
    /// pseudonym key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn record_only() -> Self {
        Self::from_shared(SharedKeys(Vec::new()))
    }

    /// Reads the text form of keys with a pseudonym key.
    ///
    /// # Errors
    /// [`KeyError`], with the line.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        Self::parse_for(text, Suite::Hmac)
    }

    /// Reads the text form, for pseudonyms of this suite.
    ///
    /// # Errors
    /// [`KeyError`], with the line; [`KeyError::NoPseudonymKey`] only if the suite needs one.
    pub fn parse_for(text: &SecretString, suite: Suite) -> Result<Self, KeyError> {
        text::parse_ring(text.expose_secret(), suite)
    }

    /// The text form, for a file that only its owner may read.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        text::write(&self.shared, Some(&self.record))
    }

    /// The keys to hand to other clinics and the portal.
    #[must_use]
    pub fn shared(&self) -> SharedKeys {
        self.shared.copy()
    }

    /// Adds the city's keys of epochs that this ring does not hold yet.
    ///
    /// # Errors
    /// [`KeyError::Differs`] on another key for an epoch already held, [`KeyError::TooManyEpochs`].
    pub fn merge(&self, other: &SharedKeys) -> Result<Self, KeyError> {
        let mut shared = self.shared.copy();
        for (epoch, key) in &other.0 {
            shared.insert(*epoch, copy(key))?;
        }
        Ok(Self {
            shared,
            record: copy(&self.record),
        })
    }

    /// Opens the next epoch with a fresh key: the start of a rotation.
    ///
    /// # Errors
    /// [`KeyError::TooManyEpochs`] while an earlier rotation still runs, [`KeyError::LastEpoch`].
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    pub fn with_new_pseudonym_epoch(&self) -> Result<Self, KeyError> {
        let last = self.shared.0.last().map_or(0, |(epoch, _)| *epoch);
        let next = last.checked_add(1).ok_or(KeyError::LastEpoch)?;
        let mut shared = self.shared.copy();
        shared.insert(next, random_key())?;
        Ok(Self {
            shared,
            record: copy(&self.record),
        })
    }

    /// Closes an epoch: the end of a rotation.
    ///
    /// # Errors
    /// [`KeyError::CannotClose`] when it is not open or the only one.
    pub fn without_pseudonym_epoch(&self, epoch: Epoch) -> Result<Self, KeyError> {
        let mut shared = self.shared.copy();
        shared.0.retain(|(open, _)| *open != epoch);
        if shared.0.is_empty() || shared.0.len() == self.shared.0.len() {
            return Err(KeyError::CannotClose { epoch });
        }
        Ok(Self {
            shared,
            record: copy(&self.record),
        })
    }

    /// Takes the only pseudonym key out, once key services evaluate pseudonyms: the end of a move
    /// to them.
    ///
    /// # Errors
    /// [`KeyError::CannotClose`] when the epoch is not open, or not the only one.
    pub fn without_last_pseudonym_epoch(&self, epoch: Epoch) -> Result<Self, KeyError> {
        match self.shared.0.as_slice() {
            [(open, _)] if *open == epoch => Ok(Self {
                shared: SharedKeys(Vec::new()),
                record: copy(&self.record),
            }),
            _ => Err(KeyError::CannotClose { epoch }),
        }
    }

    /// Each open epoch with its key's fingerprint, oldest first: two clinics compare these by
    /// telephone.
    #[must_use]
    pub fn pseudonym_fingerprints(&self) -> Vec<(Epoch, String)> {
        self.shared.fingerprints()
    }

    /// The record key's fingerprint; differs from clinic to clinic.
    #[must_use]
    pub fn record_fingerprint(&self) -> String {
        fingerprint(&self.record)
    }

    /// Each open epoch with its key, oldest first.
    pub(crate) fn pseudonym_keys(&self) -> impl Iterator<Item = (Epoch, &[u8; KEY_BYTES])> {
        self.shared.keys()
    }

    /// Values that are derived of records under the record key.
    #[must_use]
    pub fn record_secrets(&self) -> RecordSecrets {
        RecordSecrets::new(self.record.expose_secret())
    }

    pub(crate) fn record_key(&self) -> &[u8; KEY_BYTES] {
        self.record.expose_secret()
    }
}

impl std::fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedKeys({:?})", self.fingerprints())
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "KeyRing({:?}, record {})",
            self.pseudonym_fingerprints(),
            self.record_fingerprint()
        )
    }
}

#[cfg(test)]
mod tests;

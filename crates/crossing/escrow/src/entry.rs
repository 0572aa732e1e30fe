//! The two kinds of entry, and their form inside a block.

use std::fmt;

use contract::Version;
use sha2::{Digest as _, Sha256};

use crate::error::NameError;
use crate::format::MAX_ACCOUNT_BYTES;

/// What a batch's digest begins with, so that no other digest of the same bytes equals it.
const BATCH_DOMAIN: &[u8] = b"clinic-gateway escrow batch v1\0";

const SENT_BY: u8 = 1;
const STATED: u8 = 2;
/// Bytes of a record's digest and its version.
const RECORD_BYTES: usize = 32 + 8;
/// Bytes of an entry of the kind [`Entry::Stated`] without its records.
const STATED_BYTES: usize = 1 + BatchName::BYTES + 2;

/// Name of a batch on both sides: SHA-256 of a domain and the sealed bytes. A batch that is sent
/// twice has one name, and nobody can make another batch of the same name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchName([u8; Self::BYTES]);

impl BatchName {
    /// Length of a name, in bytes.
    pub const BYTES: usize = 32;

    /// Name of the batch with these sealed bytes, whole as they travel through the queue.
    #[must_use]
    pub fn of(sealed: &[u8]) -> Self {
        let digest = Sha256::new_with_prefix(BATCH_DOMAIN).chain_update(sealed);
        Self(digest.finalize().into())
    }

    /// Bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchName({}…)", hex::encode(&self.0[..4]))
    }
}

/// Name of an account at the relay: 1 to [`MAX_ACCOUNT_BYTES`] bytes, no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account(String);

impl Account {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`]: it is empty, too long, or has control characters.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let fits = (1..=MAX_ACCOUNT_BYTES).contains(&name.len());
        if !fits || name.contains(char::is_control) {
            return Err(NameError);
        }
        Ok(Self(name.to_owned()))
    }

    /// Name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints nothing of the name: whose batch it was is for the auditor alone.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(…)")
    }
}

/// Version of a record, as a registry stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatedRecord {
    /// Digest that the registry's database names the record by.
    pub record: [u8; 32],
    /// Version that the batch states.
    pub version: Version,
}

/// Entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The relay took a batch from an account.
    SentBy {
        /// Account that sent the batch.
        account: Account,
        /// The batch.
        batch: BatchName,
    },
    /// A registry stored what a batch states, or is about to.
    Stated {
        /// The batch.
        batch: BatchName,
        /// Records that it states. An entry of many is read back in several parts.
        records: Vec<StatedRecord>,
    },
}

/// Entry, or a part of one, that fits into what is left of a block.
pub(crate) enum Part<'a> {
    SentBy {
        account: &'a Account,
        batch: BatchName,
    },
    Stated {
        batch: BatchName,
        records: &'a [StatedRecord],
    },
}

impl Entry {
    pub(crate) fn whole(&self) -> Part<'_> {
        match self {
            Self::SentBy { account, batch } => Part::SentBy {
                account,
                batch: *batch,
            },
            Self::Stated { batch, records } => Part::Stated {
                batch: *batch,
                records,
            },
        }
    }
}

impl<'a> Part<'a> {
    /// Takes off the front what fits into `free` bytes; `None` where nothing does. With it what is
    /// left of the part.
    pub(crate) fn split(self, free: usize) -> (Option<Self>, Option<Self>) {
        match self {
            Self::SentBy { .. } if free < 1 + BatchName::BYTES + 1 + MAX_ACCOUNT_BYTES => {
                (None, Some(self))
            }
            Self::SentBy { .. } => (Some(self), None),
            Self::Stated { batch, records } => {
                let Some(space) = free.checked_sub(STATED_BYTES) else {
                    return (None, Some(self));
                };
                let fitting = (space / RECORD_BYTES).min(records.len());
                if fitting == 0 && !records.is_empty() {
                    return (None, Some(self));
                }
                let (records, rest) = records.split_at(fitting);
                let rest: &'a [StatedRecord] = rest;
                let left = (!rest.is_empty()).then_some(Self::Stated {
                    batch,
                    records: rest,
                });
                (Some(Self::Stated { batch, records }), left)
            }
        }
    }

    /// Writes the part at the end of `bytes`. An account takes the same space whatever its length.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SentBy { account, batch } => {
                bytes.push(SENT_BY);
                bytes.extend_from_slice(&batch.0);
                let name = account.as_str().as_bytes();
                bytes.push(u8::try_from(name.len()).expect("an account has at most 64 bytes"));
                bytes.extend_from_slice(name);
                bytes.resize(bytes.len() + MAX_ACCOUNT_BYTES - name.len(), 0);
            }
            Self::Stated { batch, records } => {
                bytes.push(STATED);
                bytes.extend_from_slice(&batch.0);
                let count = u16::try_from(records.len()).expect("a block holds fewer records");
                bytes.extend_from_slice(&count.to_be_bytes());
                for stated in *records {
                    bytes.extend_from_slice(&stated.record);
                    bytes.extend_from_slice(&stated.version.to_u64().to_be_bytes());
                }
            }
        }
    }
}

/// Reads the next entry and moves `bytes` behind it; `None` where there is no entry.
pub(crate) fn read(bytes: &mut &[u8]) -> Option<Entry> {
    let kind = take::<1>(bytes)?;
    let batch = BatchName(take(bytes)?);
    match kind {
        [SENT_BY] => {
            let [length] = take::<1>(bytes)?;
            let padded = take::<MAX_ACCOUNT_BYTES>(bytes)?;
            let name = padded.get(..usize::from(length))?;
            let account = Account::new(std::str::from_utf8(name).ok()?).ok()?;
            Some(Entry::SentBy { account, batch })
        }
        [STATED] => {
            let count = u16::from_be_bytes(take(bytes)?);
            let records = (0..count).map(|_| {
                let record = take(bytes)?;
                let version = Version::new(u64::from_be_bytes(take(bytes)?))?;
                Some(StatedRecord { record, version })
            });
            let records = records.collect::<Option<_>>()?;
            Some(Entry::Stated { batch, records })
        }
        _ => None,
    }
}

/// Takes the first bytes.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

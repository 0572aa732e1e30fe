//! Numbers of keys as they were first used, so that a key file that was replaced is noticed.

use std::collections::BTreeMap;
#[cfg(feature = "cli")]
use std::path::Path;

use state_folder::StateFolder;

#[cfg(feature = "cli")]
use crate::counts::STATE_WORDS;
use crate::error::OpenError;
use crate::keys::{KeyError, Keys};

/// File of the numbers, in the folder of the counts.
const FILE: &str = "key-numbers.json";

/// Fingerprints of the public keys that numbers have named, those of keys that are gone included;
/// of keys of tokens with their use.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Numbers(BTreeMap<u16, String>);

impl Numbers {
    /// Reads the numbers beside the service that writes them; none before its first start.
    #[cfg(feature = "cli")]
    pub(crate) fn read(folder: &Path) -> Result<Self, state_folder::StateError> {
        let kept = state_folder::read(folder, FILE, STATE_WORDS)?;
        Ok(Self(kept.unwrap_or_default()))
    }

    /// Fingerprint of the key that this number has named.
    pub(crate) fn get(&self, number: u16) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    /// Highest number that a key has had.
    #[cfg(feature = "cli")]
    pub(crate) fn highest(&self) -> Option<u16> {
        self.0.keys().next_back().copied()
    }

    /// Refuses a key that has the number of another one.
    pub(crate) fn compare(&self, keys: &Keys) -> Result<(), KeyError> {
        for key in keys.public() {
            let now = key.recorded();
            match self.get(key.number) {
                Some(before) if before != now => {
                    return Err(KeyError::Replaced {
                        number: key.number,
                        now,
                        before: before.to_owned(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Compares the keys in use with the numbers, and keeps the numbers of new ones.
    pub(crate) fn keep(state: &StateFolder, keys: &Keys) -> Result<(), OpenError> {
        let before = Self(state.read(FILE)?.unwrap_or_default());
        before.compare(keys)?;
        let mut after = before.clone();
        let used = keys.public().map(|key| (key.number, key.recorded()));
        after.0.extend(used);
        if after != before {
            let written = state.write(FILE, &after.0);
            written.map_err(|error| state.io_error(FILE, &error))?;
        }
        Ok(())
    }
}

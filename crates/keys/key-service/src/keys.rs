//! Keys of the service, by their numbers: of pseudonyms, or of tokens.

use std::collections::BTreeMap;
use std::path::Path;

use oprf::{DAY_TOKEN_ELEMENTS, Request, ServiceKey, TextError, TokenKey, TokenUse};
use secrecy::SecretString;
use settings::{SecretError, SecretSource};

use crate::config::{Config, TokenKeyConfig};

/// Keys of the service, by their numbers.
#[derive(Debug)]
pub struct Keys(BTreeMap<u16, Key>);

/// Key with what it is for.
#[derive(Debug)]
pub(crate) enum Key {
    /// Evaluates pseudonyms.
    Pseudonyms(ServiceKey),
    /// Issues tokens of one use.
    Tokens {
        /// The key.
        key: TokenKey,
        /// Use of its tokens.
        token_use: TokenUse,
    },
}

/// Facts of a key that may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicFacts {
    /// Number that requests name it by.
    pub number: u16,
    /// `pseudonyms`, `batch` or `day`.
    pub key_use: &'static str,
    /// Text form of the public key.
    pub public_key: String,
    /// Fingerprint of the public key.
    pub fingerprint: String,
}

/// Error on reading the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Secret that cannot be read.
    #[error("key {number} of [[{table}]]: {error}")]
    Secret {
        /// Table of the configuration.
        table: &'static str,
        /// Number of the key.
        number: u16,
        /// Reason.
        error: SecretError,
    },
    /// Secret that is no key of this kind.
    #[error("key {number} of [[{table}]]: {error}; {maker} makes a key")]
    Text {
        /// Table of the configuration.
        table: &'static str,
        /// Number of the key.
        number: u16,
        /// Reason.
        error: TextError,
        /// Command that makes such a key.
        maker: &'static str,
    },
    /// Number that has named another key before.
    #[error(
        "key {number}: its file holds the key {now}, and this number has named the key {before}, \
         which clients pin: they refuse every answer under another one. Put the file of the key \
         {before} back from its backup; or enter the new key as one more, under a number that no \
         key has had. Where nobody has pinned the old one yet, stop the service and remove \
         key-numbers.json from the folder of service.state"
    )]
    Replaced {
        /// The number.
        number: u16,
        /// Fingerprint of the key that the file holds.
        now: String,
        /// Fingerprint of the key that the number has named.
        before: String,
    },
    /// Two numbers of one key.
    #[error("keys {0} and {1} are the same; leave one of them out")]
    Same(u16, u16),
}

/// Table of keys that evaluate pseudonyms.
const PSEUDONYM_TABLE: &str = "keys";
/// Table of keys that issue tokens.
const TOKEN_TABLE: &str = "token_keys";

impl PublicFacts {
    /// Key as it is recorded: its fingerprint, and of a key of tokens their use.
    pub(crate) fn recorded(&self) -> String {
        match self.key_use {
            "pseudonyms" => self.fingerprint.clone(),
            token_use => format!("{} ({token_use} tokens)", self.fingerprint),
        }
    }
}

impl Key {
    /// Returns whether a request of so many elements fits what the key is for: one for the token of
    /// a day, and any other size for everything else.
    pub(crate) fn takes(&self, elements: usize) -> bool {
        self.is_of_day() == (elements == DAY_TOKEN_ELEMENTS)
    }

    /// Returns whether the key issues tokens of days, one a client and day.
    pub(crate) const fn is_of_day(&self) -> bool {
        matches!(
            self,
            Self::Tokens {
                token_use: TokenUse::Day,
                ..
            }
        )
    }

    /// Evaluates a request whose size fits.
    pub(crate) fn evaluate(&self, request: &Request) -> Vec<u8> {
        match self {
            Self::Pseudonyms(key) => key.evaluate(request),
            Self::Tokens { key, .. } => key.evaluate(request),
        }
    }

    fn facts(&self, number: u16) -> PublicFacts {
        match self {
            Self::Pseudonyms(key) => PublicFacts {
                number,
                key_use: "pseudonyms",
                public_key: key.public_key().to_string(),
                fingerprint: key.public_key().fingerprint(),
            },
            Self::Tokens { key, token_use } => PublicFacts {
                number,
                key_use: token_use.name(),
                public_key: key.public_key().to_string(),
                fingerprint: key.public_key().fingerprint(),
            },
        }
    }
}

impl Keys {
    /// Reads the keys. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`KeyError`], which says what to change.
    pub fn read(config: &Config, base: &Path) -> Result<Self, KeyError> {
        let mut keys = Self(BTreeMap::new());
        for entry in &config.keys {
            let number = entry.number;
            let text = read_secret(&entry.key, base, PSEUDONYM_TABLE, number)?;
            let key = ServiceKey::from_text(&text).map_err(|error| KeyError::Text {
                table: PSEUDONYM_TABLE,
                number,
                error,
                maker: "key-service keys new",
            })?;
            keys.add(number, Key::Pseudonyms(key))?;
        }
        for TokenKeyConfig {
            number,
            key,
            token_use,
        } in &config.token_keys
        {
            let number = *number;
            let text = read_secret(key, base, TOKEN_TABLE, number)?;
            let key = TokenKey::from_text(&text).map_err(|error| KeyError::Text {
                table: TOKEN_TABLE,
                number,
                error,
                maker: "key-service keys new --tokens",
            })?;
            let token_use = (*token_use).into();
            keys.add(number, Key::Tokens { key, token_use })?;
        }
        Ok(keys)
    }

    fn add(&mut self, number: u16, key: Key) -> Result<(), KeyError> {
        let public_key = key.facts(number).public_key;
        let same = self.public().find(|other| other.public_key == public_key);
        if let Some(other) = same {
            return Err(KeyError::Same(other.number, number));
        }
        self.0.insert(number, key);
        Ok(())
    }

    /// Key of this number.
    pub(crate) fn get(&self, number: u16) -> Option<&Key> {
        self.0.get(&number)
    }

    /// Returns whether the keys issue tokens.
    pub(crate) fn are_of_tokens(&self) -> bool {
        let mut keys = self.0.values();
        keys.any(|key| matches!(key, Key::Tokens { .. }))
    }

    /// Facts of each key that may be told, in the order of the numbers.
    pub fn public(&self) -> impl ExactSizeIterator<Item = PublicFacts> {
        self.0.iter().map(|(number, key)| key.facts(*number))
    }
}

fn read_secret(
    source: &SecretSource,
    base: &Path,
    table: &'static str,
    number: u16,
) -> Result<SecretString, KeyError> {
    let text = source.read(base);
    text.map_err(|error| KeyError::Secret {
        table,
        number,
        error,
    })
}

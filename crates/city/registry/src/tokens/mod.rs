//! One-use tokens: keys of the issuer that batches' tokens are verified by.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use contract::SealedTokens;
use linking::{BatchTokens, TokenName};
#[cfg(any(test, feature = "cli"))]
use oprf::{Request, TokenBlinding};
use oprf::{Token, TokenKey, TokenUse};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use settings::{SecretError, SecretSource};

/// Time between two lines of the log about tokens that are no good.
const TELL_EVERY: TimeDelta = TimeDelta::minutes(1);

/// `[tokens]`: keys by which the tokens of batches are verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// True where a batch without a token is refused.
    #[serde(default = "yes")]
    pub required: bool,
    /// Keys of the token issuer. Tokens of a key that is not here any more are refused.
    pub keys: Vec<TokenKeyConfig>,
}

const fn yes() -> bool {
    true
}

/// Entry of `tokens.keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyConfig {
    /// Number of the key at the issuer, from 1.
    pub number: u16,
    /// Private key (`cgtk1:…`), as the issuer has it.
    pub key: SecretSource,
    /// Use of the key's tokens: `batch` or `day`.
    #[serde(rename = "use")]
    pub token_use: TokenKeyUse,
}

/// Use of tokens, as the file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKeyUse {
    /// Tokens of one batch each.
    Batch,
    /// A sign of life, one a day.
    Day,
}

impl From<TokenKeyUse> for TokenUse {
    fn from(token_use: TokenKeyUse) -> Self {
        match token_use {
            TokenKeyUse::Batch => Self::Batch,
            TokenKeyUse::Day => Self::Day,
        }
    }
}

/// Reason for which the keys of `[tokens]` cannot be used; always the configuration's fault.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeysError {
    /// File, variable or credential of a key that cannot be read.
    #[error("tokens.keys, number {number}: {source}")]
    Secret {
        /// Number of the key.
        number: u16,
        /// Reason.
        source: SecretError,
    },
    /// Text that was read and is no key.
    #[error("tokens.keys, number {number}, holds no token key: {what}")]
    NoKey {
        /// Number of the key.
        number: u16,
        /// Clause that says what is wrong with it.
        what: String,
    },
    /// Key, or number of a use, that is there twice.
    #[error(
        "tokens.keys, number {number}: {what}; write each key once, with the number and the use \
         that the issuer has for it"
    )]
    Twice {
        /// Number of the key.
        number: u16,
        /// Clause that says what is there twice.
        what: &'static str,
    },
    /// No key of batches.
    #[error(
        "tokens.keys has no key with use = \"batch\"; write the issuer's, or take [tokens] out"
    )]
    NoBatchKey,
}

/// Key of the issuer.
#[derive(Debug)]
struct IssuerKey {
    number: u16,
    id: [u8; 32],
    token_use: TokenUse,
    key: TokenKey,
}

/// Keys that tokens are verified by.
#[derive(Debug)]
pub struct TokenKeys {
    keys: Vec<IssuerKey>,
    is_required: bool,
    /// Time at which the log was last told of a fault.
    told_at: Mutex<Option<DateTime<Utc>>>,
}

/// Fault of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// No token, where one is required.
    Missing,
    /// Token that was not issued under the key that it names.
    Forged,
    /// Token of a key of the other use: `use` in `tokens.keys` is not as the issuer has it, or
    /// somebody has put a token of the one use in the place of the other.
    OtherUse,
    /// Token of a key that is not configured.
    Revoked,
    /// Token that was spent for another batch.
    Replayed,
}

impl TokenFault {
    /// Words of the faults, as the metric has them.
    #[cfg(feature = "cli")]
    pub(crate) const ALL: [Self; 5] = [
        Self::Missing,
        Self::Forged,
        Self::OtherUse,
        Self::Revoked,
        Self::Replayed,
    ];

    /// Word of the fault, as the metric and the log have it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Forged => "forged",
            Self::OtherUse => "other-use",
            Self::Revoked => "revoked",
            Self::Replayed => "replayed",
        }
    }

    /// Counts what had this fault.
    pub(crate) fn count(self, number: u64) {
        metrics::counter!("registry_token_faults_total", "fault" => self.as_str())
            .increment(number);
    }

    /// Tells of the fault in the log.
    pub(crate) fn tell(self, carrier: &'static str) {
        let help = match self {
            Self::OtherUse => {
                "; if honest clinics' tokens are refused so, compare `use` of each of tokens.keys \
                 with `key-service keys show` at the issuer"
            }
            _ => "",
        };
        tracing::warn!(
            event = "token-refused",
            fault = self.as_str(),
            carrier,
            "nothing that came with this token is applied; registry_token_faults_total \
             counts{help}"
        );
    }
}

impl TokenKeys {
    /// Reads the keys; relative paths start from `base`.
    ///
    /// # Errors
    /// [`TokenKeysError`], naming the key.
    pub fn read(config: &TokensConfig, base: &Path) -> Result<Self, TokenKeysError> {
        let mut keys = Vec::<IssuerKey>::with_capacity(config.keys.len());
        for entry in &config.keys {
            let number = entry.number;
            let text = entry
                .key
                .read(base)
                .map_err(|source| TokenKeysError::Secret { number, source })?;
            let key = TokenKey::from_text(&text).map_err(|error| TokenKeysError::NoKey {
                number,
                what: error.to_string(),
            })?;
            let token_use = TokenUse::from(entry.token_use);
            let id = key.public_key().id();
            if keys.iter().any(|other| other.id == id) {
                let what = "the key is there twice";
                return Err(TokenKeysError::Twice { number, what });
            }
            // At the issuer a number names one key, of one use.
            if keys.iter().any(|other| other.number == number) {
                let what = "the number is there twice";
                return Err(TokenKeysError::Twice { number, what });
            }
            keys.push(IssuerKey {
                number,
                id,
                token_use,
                key,
            });
        }
        if !keys.iter().any(|key| key.token_use == TokenUse::Batch) {
            return Err(TokenKeysError::NoBatchKey);
        }
        Ok(Self {
            keys,
            is_required: config.required,
            told_at: Mutex::default(),
        })
    }

    /// True where a batch without a token is refused.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Returns whether tokens of days are verified, by which the clinics that are alive are
    /// counted.
    #[cfg(feature = "cli")]
    pub(crate) fn have_day_key(&self) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| key.token_use == TokenUse::Day)
    }

    /// Number, use and fingerprint of each key, in words: as `key-service keys show` has them.
    #[cfg(feature = "cli")]
    pub(crate) fn described(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| {
            let fingerprint = key.key.public_key().fingerprint();
            format!(
                "key {} ({}): {fingerprint}",
                key.number,
                key.token_use.name()
            )
        })
    }

    /// Ids of all keys, sorted.
    pub(crate) fn ids(&self) -> Vec<[u8; 32]> {
        let mut ids: Vec<[u8; 32]> = self.keys.iter().map(|key| key.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Token for a probe of the registry's own, which has the issuer's keys.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn own_token(&self) -> Option<SealedTokens> {
        let of_batches = |key: &&IssuerKey| key.token_use == TokenUse::Batch;
        let IssuerKey { key, number, .. } = self.keys.iter().find(of_batches)?;
        let asked = TokenBlinding::for_batches(&key.public_key(), 1).ok()?;
        let request = Request::parse(&asked.request(*number)).ok()?;
        let tokens = asked.finalize(&key.evaluate(&request), *number).ok()?;
        Some(SealedTokens {
            batch: tokens.first()?.to_bytes(),
            day: None,
        })
    }

    /// Verifies the tokens of a batch; `sealed` is the digest of the batch. A token of a day that is
    /// not genuine is counted and left out: it takes nothing from the batch.
    pub(crate) fn verify(
        &self,
        tokens: Option<&SealedTokens>,
        sealed: [u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Option<BatchTokens>, TokenFault> {
        let Some(tokens) = tokens else {
            return match self.is_required {
                true => Err(TokenFault::Missing),
                false => Ok(None),
            };
        };
        let day = tokens.day.as_ref().map(|day| self.name(day, TokenUse::Day));
        let batch = self.name(&tokens.batch, TokenUse::Batch)?;
        let day = day.and_then(|day| day.inspect_err(|fault| self.note(*fault, "day", now)).ok());
        Ok(Some(BatchTokens { sealed, batch, day }))
    }

    /// Counts a fault, and tells of it in the log: once in a while, since a hostile account may
    /// bring it about as often as it likes.
    pub(crate) fn note(&self, fault: TokenFault, carrier: &'static str, now: DateTime<Utc>) {
        fault.count(1);
        let mut told_at = self.told_at.lock();
        let is_due = told_at.is_none_or(|told_at| (now - told_at).abs() >= TELL_EVERY);
        if is_due {
            *told_at = Some(now);
            fault.tell(carrier);
        }
    }

    /// Name of a genuine token for this use.
    fn name(
        &self,
        bytes: &[u8; Token::BYTES],
        token_use: TokenUse,
    ) -> Result<TokenName, TokenFault> {
        let token = Token::from_bytes(bytes).map_err(|_| TokenFault::Forged)?;
        let id = token.key_id();
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or(TokenFault::Revoked)?;
        let is_for = |token_use| key.key.verify(&token, token_use);
        match (key.token_use == token_use, is_for(token_use)) {
            (true, true) => {}
            // Genuine for its place, under a key that is configured for the other one.
            (false, true) => return Err(TokenFault::OtherUse),
            (false, false) if is_for(key.token_use) => return Err(TokenFault::OtherUse),
            (_, false) => return Err(TokenFault::Forged),
        }
        Ok(TokenName {
            key: id,
            nonce: token.nonce(),
        })
    }
}

#[cfg(test)]
mod tests;

//! `[passes]` of `city-registry.toml`.

use std::num::NonZeroU16;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use pass::Product;
use pass::window::MAX_DAYS_AHEAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use settings::SecretSource;

/// Most strips that may be configured for one day; the limit bounds what one request costs.
pub const MAX_STRIPS_PER_DAY: u16 = 20;

/// Most strips for one name and one window that may be configured; it bounds the list of ended
/// passes.
pub const MOST_PER_WINDOW: u16 = 1000;

/// `[passes]`: which passes are issued, by which rules, and signed by which keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassesConfig {
    /// File of the city's rules.
    pub rules: PathBuf,
    /// Text that names the issuer in every pass: the same for everybody.
    #[serde(default = "default_issuer")]
    pub issuer: String,
    /// Key that signs the trust bundle; its public half is pinned in verifiers.
    pub root_key: SecretSource,
    /// Key that ids of passes are derived with, 64 hex characters. Keep it apart from the database.
    pub pass_id_key: SecretSource,
    /// Number of strips issued for each day, 1 to [`MAX_STRIPS_PER_DAY`].
    #[serde(default = "default_strips", deserialize_with = "strips")]
    pub strips_per_day: NonZeroU16,
    /// Number of days after today that strips are issued for, 0 to 3.
    #[serde(default = "default_days_ahead", deserialize_with = "days_ahead")]
    pub days_ahead: u8,
    /// Most strips that are issued for one name and one window, 1 to [`MOST_PER_WINDOW`].
    #[serde(default = "default_limit", deserialize_with = "limit")]
    pub most_per_window: NonZeroU16,
    /// Keys that passes and lists of ended passes are signed with.
    pub keys: Vec<PassKeyConfig>,
}

/// `[[passes.keys]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassKeyConfig {
    /// The key, PKCS #8 in PEM.
    pub key: SecretSource,
    /// What it signs.
    pub products: Vec<KeyProduct>,
    /// Moment from which it signs and is accepted.
    pub from: DateTime<Utc>,
    /// Moment from which it is not accepted any more.
    pub until: DateTime<Utc>,
}

/// What a key may sign, as the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyProduct {
    /// Strips.
    City,
    /// Lists of ended passes.
    Revocations,
}

impl KeyProduct {
    /// The product as the trust bundle names it.
    #[must_use]
    pub const fn product(self) -> Product {
        match self {
            Self::City => Product::City,
            Self::Revocations => Product::Revocations,
        }
    }
}

fn default_issuer() -> String {
    "RU-MOW".to_owned()
}

fn default_strips() -> NonZeroU16 {
    NonZeroU16::new(3).expect("3 is not zero")
}

const fn default_days_ahead() -> u8 {
    MAX_DAYS_AHEAD
}

fn default_limit() -> NonZeroU16 {
    NonZeroU16::new(60).expect("60 is not zero")
}

fn strips<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU16, D::Error> {
    let strips = NonZeroU16::deserialize(deserializer)?;
    if strips.get() <= MAX_STRIPS_PER_DAY {
        Ok(strips)
    } else {
        Err(D::Error::custom("write 1 to 20"))
    }
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU16, D::Error> {
    let limit = NonZeroU16::deserialize(deserializer)?;
    if limit.get() <= MOST_PER_WINDOW {
        Ok(limit)
    } else {
        Err(D::Error::custom("write 1 to 1000"))
    }
}

fn days_ahead<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let days = u8::deserialize(deserializer)?;
    if days <= MAX_DAYS_AHEAD {
        Ok(days)
    } else {
        Err(D::Error::custom("write 0 to 3"))
    }
}

//! `[passes]` of `city-registry.toml`.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use pass::Product;
use pass::window::MAX_DAYS_AHEAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use settings::SecretSource;

use super::settings::{MAX_CERTIFICATE_DAYS, MOST_PER_WINDOW, PassSettings};

/// Most strips that may be set for one day; the limit bounds what one request costs.
pub const MAX_STRIPS_PER_DAY: u16 = 20;

/// `[passes]`: which passes are issued, by which rules, and signed by which keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassesConfig {
    /// File of the city's rules; a relative path is taken from the configuration file's folder.
    pub rules: PathBuf,
    /// Text that names the issuer in every pass: the same for everybody.
    #[serde(default = "default_issuer", deserialize_with = "issuer")]
    pub issuer: String,
    /// Key that signs the trust bundle; its public half is pinned in verifiers.
    pub root_key: SecretSource,
    /// Key that ids of passes are derived with, 64 hex characters. Keep it apart from the database.
    pub pass_id_key: SecretSource,
    /// Number of strips issued for each day, 1 to [`MAX_STRIPS_PER_DAY`].
    #[serde(default = "default_strips", deserialize_with = "strips")]
    pub strips_per_day: u16,
    /// Number of days after today that strips are issued for, 0 to 3.
    #[serde(default = "default_days_ahead", deserialize_with = "days_ahead")]
    pub days_ahead: u8,
    /// Most strips that are issued for one name and one window, 1 to [`MOST_PER_WINDOW`].
    #[serde(default = "default_most", deserialize_with = "most")]
    pub most_per_window: u16,
    /// Number of days that a certificate holds at most, 1 to [`MAX_CERTIFICATE_DAYS`]; it never
    /// holds longer than its key is accepted.
    #[serde(
        default = "default_certificate_days",
        deserialize_with = "certificate_days"
    )]
    pub certificate_days: u16,
    /// True where passes can be ended one by one, before their window is over.
    #[serde(default = "default_individual_revocation")]
    pub individual_revocation: bool,
    /// Keys that passes and lists of ended passes are signed with.
    pub keys: Vec<PassKeyConfig>,
}

impl PassesConfig {
    /// Settings of the issue.
    #[must_use]
    pub fn settings(&self) -> PassSettings {
        PassSettings {
            issuer: self.issuer.clone(),
            strips_per_day: self.strips_per_day,
            days_ahead: self.days_ahead,
            most_per_window: self.most_per_window,
            certificate_days: self.certificate_days,
            individual_revocation: self.individual_revocation,
        }
    }
}

/// `[[passes.keys]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassKeyConfig {
    /// The key, PKCS #8 in PEM.
    pub key: SecretSource,
    /// Products that the key signs.
    pub products: Vec<KeyProduct>,
    /// Moment from which it signs and is accepted.
    pub from: DateTime<Utc>,
    /// Moment from which it is not accepted any more.
    pub until: DateTime<Utc>,
}

/// Product that a key may sign, as the file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyProduct {
    /// Strips.
    City,
    /// Certificates.
    Hcert,
    /// Lists of ended passes.
    Revocations,
}

impl KeyProduct {
    /// Products that a key may sign, all of them.
    pub const ALL: [Self; 3] = [Self::City, Self::Hcert, Self::Revocations];

    /// The product as the trust bundle names it.
    #[must_use]
    pub const fn product(self) -> Product {
        match self {
            Self::City => Product::City,
            Self::Hcert => Product::Hcert,
            Self::Revocations => Product::Revocations,
        }
    }
}

/// Longest text that names the issuer, in bytes: it stands in every code.
const MAX_ISSUER: usize = 32;

fn default_issuer() -> String {
    "RU-MOW".to_owned()
}

const fn default_strips() -> u16 {
    3
}

const fn default_days_ahead() -> u8 {
    MAX_DAYS_AHEAD
}

const fn default_most() -> u16 {
    60
}

const fn default_certificate_days() -> u16 {
    90
}

const fn default_individual_revocation() -> bool {
    true
}

fn issuer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let issuer = String::deserialize(deserializer)?;
    if (1..=MAX_ISSUER).contains(&issuer.len()) {
        Ok(issuer)
    } else {
        Err(D::Error::custom(format!("write 1 to {MAX_ISSUER} bytes")))
    }
}

fn strips<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let strips = u16::deserialize(deserializer)?;
    if (1..=MAX_STRIPS_PER_DAY).contains(&strips) {
        Ok(strips)
    } else {
        Err(D::Error::custom(format!("write 1 to {MAX_STRIPS_PER_DAY}")))
    }
}

fn most<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let most = u16::deserialize(deserializer)?;
    if (1..=MOST_PER_WINDOW).contains(&most) {
        Ok(most)
    } else {
        Err(D::Error::custom(format!("write 1 to {MOST_PER_WINDOW}")))
    }
}

fn certificate_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let days = u16::deserialize(deserializer)?;
    if (1..=MAX_CERTIFICATE_DAYS).contains(&days) {
        Ok(days)
    } else {
        Err(D::Error::custom(format!(
            "write 1 to {MAX_CERTIFICATE_DAYS}"
        )))
    }
}

fn days_ahead<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let days = u8::deserialize(deserializer)?;
    if days <= MAX_DAYS_AHEAD {
        Ok(days)
    } else {
        Err(D::Error::custom(format!("write 0 to {MAX_DAYS_AHEAD}")))
    }
}

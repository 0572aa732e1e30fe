//! Passes: who is entitled to one, strips for the days that are covered, and what ends them.
//!
//! No pass is stored. The registry counts how many it issued for a name and a window; a pass's id
//! follows from both and its number under a key that is not in the database. When the facts of a
//! person do not carry a window any more, the passes issued for it end.

mod config;
mod error;
mod issue;
mod keys;
mod person;
mod publish;
mod roll_over;

use chrono::{DateTime, Utc};
use contract::Pseudonym;
use eligibility::{Eligibility, Rules, evaluate};

use crate::reader::Reader;
use crate::store::StoreError;

pub use config::{KeyProduct, MAX_STRIPS_PER_DAY, PassKeyConfig, PassesConfig};
pub use error::PassError;
pub use issue::{Issued, Strip};
pub use keys::{DatedKey, PassKeys, PassKeysError};
pub use publish::Publication;
pub use roll_over::{ASKED_FOR, KeyState, KeyTimes};

/// Settings of the issue of passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassSettings {
    /// Text that names the issuer in every pass.
    pub issuer: String,
    /// Number of strips issued for each day.
    pub strips_per_day: u16,
    /// Number of days after today that strips are issued for, 0 to 3.
    pub days_ahead: u8,
    /// Most strips that are issued for one name and one window, up to [`MOST_PER_WINDOW`].
    pub most_per_window: u16,
}

/// Most strips for one name and one window that may be set; it bounds the list of ended passes.
pub const MOST_PER_WINDOW: u16 = 1000;

/// Answers whether the person behind the pseudonyms is entitled to a pass by these rules, and until
/// when, or why not.
///
/// # Errors
/// [`StoreError`].
pub async fn eligibility(
    reader: &Reader,
    rules: &Rules,
    pseudonyms: &[Pseudonym],
    now: DateTime<Utc>,
) -> Result<Eligibility, StoreError> {
    let person = person::Person::find(reader, pseudonyms).await?;
    Ok(evaluate(rules, person.evidence(), now))
}

/// Issue of passes over a registry's store.
pub struct Passes {
    reader: Reader,
    rules: Rules,
    keys: PassKeys,
    settings: PassSettings,
}

impl Passes {
    /// Issues by these rules, with these keys.
    #[must_use]
    pub const fn new(reader: Reader, rules: Rules, keys: PassKeys, settings: PassSettings) -> Self {
        Self {
            reader,
            rules,
            keys,
            settings,
        }
    }

    /// Answers whether the person behind the pseudonyms is entitled to a pass, and until when, or
    /// why not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn eligibility(
        &self,
        pseudonyms: &[Pseudonym],
        now: DateTime<Utc>,
    ) -> Result<Eligibility, StoreError> {
        eligibility(&self.reader, &self.rules, pseudonyms, now).await
    }

    /// Keys of the passes.
    #[must_use]
    pub const fn keys(&self) -> &PassKeys {
        &self.keys
    }
}

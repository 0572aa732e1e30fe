//! Passes: who is entitled to one, strips for the days that are covered, and what ends them.
//!
//! No pass is stored. The registry counts how many it issued for a name and a window; a pass's id
//! follows from both and its number under a key that is not in the database. When the facts of a
//! person do not carry a window any more, the passes issued for it end.

mod certificates;
mod config;
mod error;
mod issue;
mod keys;
mod person;
mod publish;
mod roll_over;
mod settings;

use chrono::{DateTime, Utc};
use contract::Pseudonym;
use eligibility::{Eligibility, Rules};
use linking::OpenEpoch;
use parking_lot::Mutex;

use person::Person;

use crate::reader::Reader;
use crate::store::StoreError;

pub use certificates::Certified;
pub use config::{KeyProduct, MAX_STRIPS_PER_DAY, PassKeyConfig, PassesConfig};
pub use error::PassError;
pub use issue::{Issued, Strip};
pub use keys::{DatedKey, PassKeys, PassKeysError};
pub use publish::{Publication, WHOLE_LOOK_EVERY};
pub use roll_over::{ASKED_FOR, KeyState, KeyTimes};
pub use settings::{MAX_CERTIFICATE_DAYS, MOST_PER_WINDOW, PassSettings};

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
    let (_, eligibility) = judge(reader, rules, pseudonyms, now).await?;
    Ok(eligibility)
}

/// Finds the person behind the pseudonyms, and applies the rules.
async fn judge(
    reader: &Reader,
    rules: &Rules,
    pseudonyms: &[Pseudonym],
    now: DateTime<Utc>,
) -> Result<(Person, Eligibility), StoreError> {
    let person = Person::find(reader, pseudonyms).await?;
    let eligibility = person.judged(rules, now);
    Ok((person, eligibility))
}

/// Issue of passes over a registry's store.
pub struct Passes {
    reader: Reader,
    rules: Rules,
    keys: PassKeys,
    settings: PassSettings,
    /// Time at which everything was last looked at; `None` where that is still to be done.
    looked_at_all: Mutex<Option<DateTime<Utc>>>,
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
            looked_at_all: Mutex::new(None),
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

    /// Returns whether the pseudonyms are of keys that are open: under others nothing is known,
    /// whoever it is.
    #[must_use]
    pub fn knows_epochs(&self, pseudonyms: &[Pseudonym]) -> bool {
        let open = self.reader.keys.open_epochs();
        pseudonyms.iter().all(|one| OpenEpoch::is_open(open, one))
    }

    /// Keys of the passes.
    #[must_use]
    pub const fn keys(&self) -> &PassKeys {
        &self.keys
    }
}

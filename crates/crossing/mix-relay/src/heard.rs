//! Days on which accounts were last heard. They outlast a restart; times of day are not kept.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use chrono::NaiveDate;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use state_folder::{StateError, StateFolder, Words};

const FILE: &str = "accounts.json";

/// Words about the folder of the days.
const STATE_WORDS: Words = Words {
    setting: "relay.state",
    loss: "forgets the days on which accounts were heard",
};

/// UTC days of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    /// Day on which the relay first ran with this account.
    pub(crate) since: NaiveDate,
    /// Last day on which a batch came that had not come before.
    pub(crate) heard: Option<NaiveDate>,
}

impl Days {
    /// Whole days without a batch. An account that was never heard is silent since it is there.
    pub(crate) fn silent(&self, today: NaiveDate) -> u32 {
        let last = self.heard.unwrap_or(self.since);
        let days = today.signed_duration_since(last).num_days();
        u32::try_from(days.max(0)).unwrap_or(u32::MAX)
    }
}

/// Days of all accounts, by name.
type Table = BTreeMap<String, Days>;

#[derive(Debug)]
struct Kept {
    table: Table,
    /// True if the file does not say what the table says.
    is_unwritten: bool,
}

/// Days on which accounts were last heard.
#[derive(Debug)]
pub(crate) struct Heard {
    folder: StateFolder,
    kept: Mutex<Kept>,
}

/// Reads the days, also beside a running relay; `None` where no relay ran yet.
#[cfg(any(feature = "cli", test))]
pub(crate) fn read(folder: &Path) -> Result<Option<BTreeMap<String, Days>>, StateError> {
    state_folder::read(folder, FILE, STATE_WORDS)
}

/// Makes the folder where it is missing, and locks it for this process.
pub(crate) fn open_folder(folder: &Path) -> Result<StateFolder, StateError> {
    StateFolder::open(folder, STATE_WORDS)
}

impl Heard {
    /// Reads the days of these accounts, and forgets those of others.
    pub(crate) fn open<'a>(
        folder: StateFolder,
        accounts: impl IntoIterator<Item = &'a str>,
        today: NaiveDate,
    ) -> Result<Self, StateError> {
        let before: Table = folder.read(FILE)?.unwrap_or_default();
        let unheard = Days {
            since: today,
            heard: None,
        };
        let days = |name: &str| before.get(name).copied().unwrap_or(unheard);
        let table: Table = accounts
            .into_iter()
            .map(|name| (name.to_owned(), days(name)))
            .collect();
        let kept = Mutex::new(Kept {
            is_unwritten: table != before,
            table,
        });
        Ok(Self { folder, kept })
    }

    /// Notes that an account was heard. Returns whether that is news, which [`Heard::save`] writes.
    /// A clock that was set back takes no day away.
    pub(crate) fn note(&self, account: &str, today: NaiveDate) -> bool {
        let mut kept = self.kept.lock();
        let days = kept.table.get_mut(account);
        let Some(days) = days.filter(|days| days.heard.is_none_or(|heard| heard < today)) else {
            return false;
        };
        days.heard = Some(today);
        kept.is_unwritten = true;
        true
    }

    /// Writes what is not written yet, and waits for the disk.
    pub(crate) fn save(&self) -> io::Result<()> {
        // Written under the lock, so that no older table replaces a newer one.
        let mut kept = self.kept.lock();
        if kept.is_unwritten {
            self.folder.write(FILE, &kept.table)?;
            kept.is_unwritten = false;
        }
        Ok(())
    }

    pub(crate) fn silent(&self, account: &str, today: NaiveDate) -> u32 {
        let kept = self.kept.lock();
        kept.table.get(account).map_or(0, |days| days.silent(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_outlast_a_restart_and_a_clock_that_is_set_back() {
        let place = tempfile::tempdir().unwrap();
        let open = |accounts: &[&str], today| {
            let folder = open_folder(place.path()).unwrap();
            Heard::open(folder, accounts.iter().copied(), day(today)).unwrap()
        };
        let heard = open(&["a", "b"], "2026-12-01");
        assert!(heard.note("a", day("2026-12-03")));
        heard.save().unwrap();
        assert!(!heard.note("a", day("2026-12-03")), "written once a day");
        assert!(!heard.note("a", day("2026-12-02")), "the later day stays");
        assert!(!heard.note("unknown", day("2026-12-09")));
        drop(heard);

        let heard = open(&["a", "b", "new"], "2026-12-10");
        let today = day("2026-12-10");
        let silent = ["a", "b", "new"].map(|name| heard.silent(name, today));
        assert_eq!(silent, [7, 9, 0]);
        assert_eq!(heard.silent("a", day("2026-11-30")), 0);
        let on_disk = read(place.path()).unwrap().unwrap();
        assert_eq!(on_disk["a"].heard, Some(day("2026-12-03")));
        assert_eq!(on_disk["b"].heard, None);
    }

    #[test]
    fn a_file_of_another_form_is_named_and_a_second_process_refused() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(FILE), "{\"a\":{\"heard\":\"yesterday\"}}").unwrap();
        let folder = open_folder(place.path()).unwrap();
        let error = Heard::open(folder, ["a"], day("2026-12-01")).unwrap_err();
        assert!(
            error.to_string().contains(FILE) && !error.may_pass(),
            "{error}"
        );
        let _held = open_folder(place.path()).unwrap();
        let error = open_folder(place.path()).unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }), "{error}");
    }
}

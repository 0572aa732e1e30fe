//! Counts of what each client used in its UTC day, kept so that no crash gives a day twice.
//!
//! A count is reserved on the disk in blocks before any of it is used: after a crash the whole
//! reservation counts as used, so that at most one block is lost and nothing is given twice.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use state_folder::{StateError, StateFolder, Words};

use crate::config::ClientConfig;

/// Words about the folder of the counts.
pub(crate) const STATE_WORDS: Words = Words {
    setting: "service.state",
    loss: "gives a client the ceiling of this day anew",
};

/// Elements that are reserved at once: what a client loses of its day at most in a crash.
pub const BLOCK: u64 = 1024;

/// Reason why elements were not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotCounted {
    /// Ceiling that is reached.
    Ceiling {
        /// Time until the client's next day.
        wait: Duration,
        /// True for the first such refusal of the day in this process.
        is_first: bool,
    },
    /// Count that cannot be written.
    CannotWrite(std::io::ErrorKind),
}

/// Count as its file holds it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// UTC day.
    day: NaiveDate,
    /// Elements that are reserved, or used where the service was stopped in good order.
    elements: u64,
}

/// Count of one client.
#[derive(Debug)]
struct Count {
    day: NaiveDate,
    used: u64,
    reserved: u64,
    is_refused: bool,
}

/// Count of a client, its file and its ceiling.
#[derive(Debug)]
struct Account {
    file: String,
    ceiling: u64,
    count: Mutex<Count>,
}

/// Counts of all clients, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Counts {
    state: StateFolder,
    accounts: Vec<Account>,
    /// Tokens of days, of which each client has one a day.
    day_tokens: Vec<Account>,
}

impl Count {
    const fn begin(day: NaiveDate) -> Self {
        Self {
            day,
            used: 0,
            reserved: 0,
            is_refused: false,
        }
    }

    /// Begins a new day. A clock that has gone back begins none: the later day goes on.
    fn turn(&mut self, today: NaiveDate) {
        if today > self.day {
            *self = Self::begin(today);
        }
    }

    /// Time until the day after the count's.
    fn wait(&self, now: DateTime<Utc>) -> Duration {
        let next = self.day.checked_add_days(Days::new(1)).unwrap_or(self.day);
        let wait = next.and_time(NaiveTime::MIN).and_utc() - now;
        wait.to_std().unwrap_or_default()
    }
}

impl Account {
    /// Reads a count from its file.
    fn read(
        state: &StateFolder,
        file: String,
        ceiling: u64,
        now: DateTime<Utc>,
    ) -> Result<Self, StateError> {
        let mut count = Count::begin(now.date_naive());
        if let Some(kept) = state.read::<Kept>(&file)? {
            count.day = kept.day;
            count.used = kept.elements;
            count.reserved = kept.elements;
            count.turn(now.date_naive());
        }
        Ok(Self {
            file,
            ceiling,
            count: Mutex::new(count),
        })
    }

    /// Counts elements. Where the reservation does not suffice, it waits for the disk.
    fn take(
        &self,
        state: &StateFolder,
        elements: u64,
        now: DateTime<Utc>,
    ) -> Result<(), NotCounted> {
        let mut count = self.count.lock();
        count.turn(now.date_naive());
        let used = count.used.saturating_add(elements);
        if used > self.ceiling {
            let is_first = !std::mem::replace(&mut count.is_refused, true);
            let wait = count.wait(now);
            return Err(NotCounted::Ceiling { wait, is_first });
        }
        if used > count.reserved {
            let reserved = used.max(count.reserved + BLOCK).min(self.ceiling);
            self.keep(state, count.day, reserved)
                .map_err(|error| NotCounted::CannotWrite(error.kind()))?;
            count.reserved = reserved;
        }
        count.used = used;
        Ok(())
    }

    fn keep(&self, state: &StateFolder, day: NaiveDate, elements: u64) -> std::io::Result<()> {
        state.write(&self.file, &Kept { day, elements })
    }

    fn used(&self, now: DateTime<Utc>) -> u64 {
        let mut count = self.count.lock();
        count.turn(now.date_naive());
        count.used
    }
}

impl Counts {
    /// Reads the counts of the clients.
    pub(crate) fn open(
        state: StateFolder,
        clients: &[ClientConfig],
        now: DateTime<Utc>,
    ) -> Result<Self, StateError> {
        let elements = |client: &ClientConfig| {
            let ceiling = client.daily_ceiling.into();
            Account::read(&state, format!("count-{}.json", client.name), ceiling, now)
        };
        let day_token = |client: &ClientConfig| {
            Account::read(&state, format!("day-token-{}.json", client.name), 1, now)
        };
        let accounts = clients.iter().map(elements).collect::<Result<_, _>>()?;
        let day_tokens = clients.iter().map(day_token).collect::<Result<_, _>>()?;
        Ok(Self {
            state,
            accounts,
            day_tokens,
        })
    }

    /// Counts elements of a client. Where the reservation does not suffice, it waits for the disk.
    pub(crate) fn take(
        &self,
        client: usize,
        elements: u64,
        now: DateTime<Utc>,
    ) -> Result<(), NotCounted> {
        self.accounts[client].take(&self.state, elements, now)
    }

    /// Counts a client's token of the day. It waits for the disk: a token whose count is written and
    /// whose answer is lost in a crash is lost, and no second one is given.
    pub(crate) fn take_day_token(
        &self,
        client: usize,
        now: DateTime<Utc>,
    ) -> Result<(), NotCounted> {
        self.day_tokens[client].take(&self.state, 1, now)
    }

    /// Returns whether a client was given its token of the day.
    pub(crate) fn day_token_given(&self, client: usize, now: DateTime<Utc>) -> bool {
        self.day_tokens[client].used(now) > 0
    }

    /// Elements that a client has used in its day.
    pub(crate) fn used(&self, client: usize, now: DateTime<Utc>) -> u64 {
        self.accounts[client].used(now)
    }

    /// Elements that are left to a client in its day.
    pub(crate) fn left(&self, client: usize, now: DateTime<Utc>) -> u64 {
        let ceiling = self.accounts[client].ceiling;
        ceiling.saturating_sub(self.used(client, now))
    }

    /// Returns whether the clock is behind the day of a count, as after it was set back.
    pub(crate) fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        let today = now.date_naive();
        let accounts = self.accounts.iter().chain(&self.day_tokens);
        let mut counts = accounts.map(|account| account.count.lock());
        counts.any(|count| count.day > today)
    }

    /// Gives back what is reserved and not used, for a stop in good order.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        for account in &self.accounts {
            let mut count = account.count.lock();
            if count.reserved > count.used {
                // An evaluation that is still in hand has counted already; a later one reserves
                // again.
                account.keep(&self.state, count.day, count.used)?;
                count.reserved = count.used;
            }
        }
        Ok(())
    }

    /// Folder of the counts.
    pub(crate) const fn state(&self) -> &StateFolder {
        &self.state
    }
}

#[cfg(test)]
mod tests;

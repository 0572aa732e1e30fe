//! Counts of what each client used in its UTC day, kept so that no crash gives a day twice.
//!
//! A count is reserved on the disk in blocks before any of it is used: after a crash the whole
//! reservation counts as used, so that at most one block is lost and nothing is given twice.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::config::ClientConfig;
use crate::state::{State, StateError};

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

/// Client with its ceiling and its count.
#[derive(Debug)]
struct Account {
    file: String,
    ceiling: u64,
    count: Mutex<Count>,
}

/// Counts of all clients, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Counts {
    state: State,
    accounts: Vec<Account>,
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

impl Counts {
    /// Reads the counts of the clients.
    pub(crate) fn open(
        state: State,
        clients: &[ClientConfig],
        now: DateTime<Utc>,
    ) -> Result<Self, StateError> {
        let account = |client: &ClientConfig| {
            let file = format!("count-{}.json", client.name);
            let mut count = Count::begin(now.date_naive());
            if let Some(kept) = state.read::<Kept>(&file)? {
                count.day = kept.day;
                count.used = kept.elements;
                count.reserved = kept.elements;
                count.turn(now.date_naive());
            }
            Ok(Account {
                file,
                ceiling: client.daily_ceiling.into(),
                count: Mutex::new(count),
            })
        };
        let accounts = clients.iter().map(account).collect::<Result<_, _>>()?;
        Ok(Self { state, accounts })
    }

    /// Counts elements of a client. Where the reservation does not suffice, it waits for the disk.
    pub(crate) fn take(
        &self,
        client: usize,
        elements: u64,
        now: DateTime<Utc>,
    ) -> Result<(), NotCounted> {
        let account = &self.accounts[client];
        let mut count = account.count.lock();
        count.turn(now.date_naive());
        let used = count.used.saturating_add(elements);
        if used > account.ceiling {
            let is_first = !std::mem::replace(&mut count.is_refused, true);
            let wait = count.wait(now);
            return Err(NotCounted::Ceiling { wait, is_first });
        }
        if used > count.reserved {
            let reserved = used.max(count.reserved + BLOCK).min(account.ceiling);
            self.keep(account, count.day, reserved)
                .map_err(|error| NotCounted::CannotWrite(error.kind()))?;
            count.reserved = reserved;
        }
        count.used = used;
        Ok(())
    }

    fn keep(&self, account: &Account, day: NaiveDate, elements: u64) -> std::io::Result<()> {
        self.state.write(&account.file, &Kept { day, elements })
    }

    /// Elements that a client has used in its day.
    pub(crate) fn used(&self, client: usize, now: DateTime<Utc>) -> u64 {
        let mut count = self.accounts[client].count.lock();
        count.turn(now.date_naive());
        count.used
    }

    /// Elements that are left to a client in its day.
    pub(crate) fn left(&self, client: usize, now: DateTime<Utc>) -> u64 {
        let ceiling = self.accounts[client].ceiling;
        ceiling.saturating_sub(self.used(client, now))
    }

    /// Returns whether the clock is behind the day of a count, as after it was set back.
    pub(crate) fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        let today = now.date_naive();
        let mut counts = self.accounts.iter().map(|account| account.count.lock());
        counts.any(|count| count.day > today)
    }

    /// Gives back what is reserved and not used, for a stop in good order.
    pub(crate) fn settle(&self) -> std::io::Result<()> {
        for account in &self.accounts {
            let mut count = account.count.lock();
            if count.reserved > count.used {
                // An evaluation that is still in hand has counted already; a later one reserves
                // again.
                self.keep(account, count.day, count.used)?;
                count.reserved = count.used;
            }
        }
        Ok(())
    }

    /// Folder of the counts.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }
}

#[cfg(test)]
mod tests;

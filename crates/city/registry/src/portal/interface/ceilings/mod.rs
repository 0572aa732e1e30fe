//! Ceilings: how many requests of one client, and about one subject, are answered in an hour.
//!
//! Hours are counted from the start of the process. A name is kept as a number of 64 bits under a
//! random key of this process, and forgotten when the hour is over.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::time::Duration;

use client_door::Client;
use contract::Subject;

/// Time that requests are counted for, in seconds.
const HOUR: u64 = 3600;

/// Most names that are counted in one hour; beyond, no request about a further name is answered
/// until the next one.
const MOST_NAMES: usize = 2_000_000;

/// Most clients that are counted in one hour.
const MOST_CLIENTS: usize = 10_000;

/// Time until the hour is over, after which a request is answered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait(pub Duration);

/// Counts of the present hour.
pub(super) struct Ceilings {
    hour: u64,
    of_client: Counts<Client>,
    of_name: Counts<u64>,
    hasher: RandomState,
}

struct Counts<K> {
    counts: HashMap<K, u32>,
    most: u32,
    most_keys: usize,
}

impl<K: std::hash::Hash + Eq> Counts<K> {
    fn new(most: NonZeroU32, most_keys: usize) -> Self {
        Self {
            counts: HashMap::new(),
            most: most.get(),
            most_keys,
        }
    }

    fn is_free(&self, key: &K) -> bool {
        match self.counts.get(key) {
            Some(count) => *count < self.most,
            None => self.counts.len() < self.most_keys,
        }
    }

    fn count(&mut self, key: K) {
        *self.counts.entry(key).or_default() += 1;
    }
}

impl Ceilings {
    /// Ceilings for one client and for one subject.
    pub(super) fn new(of_client: NonZeroU32, of_subject: NonZeroU32) -> Self {
        Self {
            hour: 0,
            of_client: Counts::new(of_client, MOST_CLIENTS),
            of_name: Counts::new(of_subject, MOST_NAMES),
            hasher: RandomState::new(),
        }
    }

    /// Counts a request of the client, unless its ceiling is reached.
    pub(super) fn admit_client(&mut self, client: Client, elapsed: Duration) -> Result<(), Wait> {
        let wait = self.turn(elapsed);
        if !self.of_client.is_free(&client) {
            return Err(wait);
        }
        self.of_client.count(client);
        Ok(())
    }

    /// Counts a request about the subject, unless the ceiling of one of its names is reached: names
    /// that are put beside a name win nothing.
    pub(super) fn admit_subject(
        &mut self,
        subject: &Subject,
        elapsed: Duration,
    ) -> Result<(), Wait> {
        let wait = self.turn(elapsed);
        let hasher = &self.hasher;
        let names = subject.pseudonyms().iter();
        let keys: Vec<u64> = names.map(|name| hasher.hash_one(name)).collect();
        if !keys.iter().all(|key| self.of_name.is_free(key)) {
            return Err(wait);
        }
        for key in keys {
            self.of_name.count(key);
        }
        Ok(())
    }

    /// Forgets the counts of an hour that is over; returns the time until the present one is.
    fn turn(&mut self, elapsed: Duration) -> Wait {
        let hour = elapsed.as_secs() / HOUR;
        if hour != self.hour {
            self.hour = hour;
            self.of_client.counts.clear();
            self.of_name.counts.clear();
        }
        Wait(Duration::from_secs(HOUR - elapsed.as_secs() % HOUR))
    }
}

#[cfg(test)]
mod tests;

//! Counts that may read a whole table, and logs that would repeat: each at most once an hour.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// Time that passes at least between two times.
const EVERY: TimeDelta = TimeDelta::hours(1);

/// Moments at which something was last done, by what it was done for.
pub(crate) struct Hourly<K>(Mutex<HashMap<K, DateTime<Utc>>>);

impl<K> Default for Hourly<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Hourly<K> {
    /// Returns whether the last time is an hour ago or more, and notes that it is done now.
    pub(crate) fn is_due(&self, key: K, now: DateTime<Utc>) -> bool {
        let mut done = self.0.lock();
        let recent = done
            .get(&key)
            .is_some_and(|at| (*at..*at + EVERY).contains(&now));
        if !recent {
            done.insert(key, now);
        }
        !recent
    }
}

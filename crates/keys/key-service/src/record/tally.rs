//! Tallies of the clients since they were last written: numbers, and nothing of a request.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::refusal::Refusal;

/// Tally of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Requests that were answered.
    requests: u64,
    /// Elements that were evaluated, the fill of requests included.
    elements: u64,
    /// Refusals, by their codes.
    refusals: BTreeMap<&'static str, u64>,
}

/// Tallies of all clients, and of whoever is none.
#[derive(Debug)]
pub(super) struct Tallies {
    from: DateTime<Utc>,
    clients: Vec<Tally>,
    unknown: Tally,
}

impl Tally {
    /// Counts a request that was answered, of so many elements.
    pub(super) fn evaluated(&mut self, elements: u64) {
        self.requests += 1;
        self.elements += elements;
    }

    /// Counts a refusal.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        *self.refusals.entry(refusal.code()).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.elements += other.elements;
        for (code, count) in other.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
    }
}

impl Tallies {
    /// Tallies of so many clients, counted from a moment on.
    pub(super) fn new(clients: usize, from: DateTime<Utc>) -> Self {
        Self {
            from,
            clients: vec![Tally::default(); clients],
            unknown: Tally::default(),
        }
    }

    /// Moment from which is counted.
    pub(super) const fn from(&self) -> DateTime<Utc> {
        self.from
    }

    /// Tally of a client by its place in the configuration; `None`: of whoever is none.
    pub(super) fn of(&mut self, client: Option<usize>) -> &mut Tally {
        match client {
            Some(client) => &mut self.clients[client],
            None => &mut self.unknown,
        }
    }

    /// Takes what is not empty, with the moment from which it was counted, and counts from `now`.
    pub(super) fn take(
        &mut self,
        now: DateTime<Utc>,
    ) -> (DateTime<Utc>, Vec<(Option<usize>, Tally)>) {
        let from = std::mem::replace(&mut self.from, now);
        let mut taken = Vec::new();
        for client in (0..self.clients.len()).map(Some).chain([None]) {
            let tally = std::mem::take(self.of(client));
            if tally != Tally::default() {
                taken.push((client, tally));
            }
        }
        (from, taken)
    }

    /// Adds what could not be written to what was counted meanwhile.
    pub(super) fn put_back(
        &mut self,
        from: DateTime<Utc>,
        unwritten: impl Iterator<Item = (Option<usize>, Tally)>,
    ) {
        self.from = from;
        for (client, tally) in unwritten {
            self.of(client).add(tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_added_to_what_came_meanwhile() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().unwrap() };
        let start = at("2026-11-30T12:00:00Z");
        let later = at("2026-11-30T13:00:00Z");
        let mut tallies = Tallies::new(2, start);
        tallies.of(Some(1)).evaluated(16);
        tallies.of(None).refused(Refusal::UnknownClient);
        let (from, taken) = tallies.take(later);
        assert_eq!((from, taken.len()), (start, 2));
        tallies.of(Some(1)).evaluated(256);
        tallies.put_back(from, taken.into_iter());
        let (from, taken) = tallies.take(later);
        assert_eq!(from, start);
        let (client, tally) = &taken[0];
        assert_eq!((*client, tally.requests, tally.elements), (Some(1), 2, 272));
        assert_eq!(taken[1].1.refusals["unknown-client"], 1);
        assert_eq!(tallies.take(later).1, []);
    }
}

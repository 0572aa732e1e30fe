//! Batches that wait, and which of them leave in a slot. Pure values: no time, no broker.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::random::Random;

/// Rules of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Most batches that leave in a slot, beside those that have waited `maximum_delay`.
    pub(crate) batches_per_slot: usize,
    /// Number of waiting batches below which only those leave that have waited `maximum_delay`.
    pub(crate) minimum_pool: usize,
    /// The same for the number of accounts that a waiting batch is from.
    pub(crate) minimum_accounts: usize,
    /// Age from which a batch leaves in the next slot, whatever else waits.
    pub(crate) maximum_delay: Duration,
}

/// Waiting batch.
#[derive(Debug)]
struct Waiting<T> {
    since: Duration,
    batch: T,
}

/// Waiting batches of one account.
#[derive(Debug)]
struct Line<T> {
    waiting: Vec<Waiting<T>>,
    /// Number of those that were taken for a slot and are neither confirmed nor put back.
    leaving: usize,
    /// Number of the connection that they came over. Those of an earlier one come again.
    link: u64,
}

/// Batch that leaves in a slot.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    pub(crate) account: usize,
    pub(crate) batch: T,
    since: Duration,
    link: u64,
}

/// Batches that wait, by account.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    lines: Vec<Line<T>>,
    most_of_an_account: usize,
}

impl<T> Pool<T> {
    pub(crate) fn new(accounts: usize, most_of_an_account: usize) -> Self {
        let line = || Line {
            waiting: Vec::new(),
            leaving: 0,
            link: 0,
        };
        Self {
            lines: std::iter::repeat_with(line).take(accounts).collect(),
            most_of_an_account,
        }
    }

    /// Adds a batch of an account at `now`, a time of a clock that never goes back.
    ///
    /// # Errors
    /// The batch, where the account has as many waiting or leaving as it may.
    pub(crate) fn add(&mut self, account: usize, batch: T, now: Duration) -> Result<(), T> {
        let line = &mut self.lines[account];
        if line.waiting.len() + line.leaving >= self.most_of_an_account {
            return Err(batch);
        }
        line.waiting.push(Waiting { since: now, batch });
        Ok(())
    }

    /// Takes out what leaves in a slot at `now`, in a random order.
    ///
    /// First those that have waited too long. If enough batches of enough accounts wait, then also
    /// up to `batches_per_slot` others: accounts take turns, in a random order, with a random batch
    /// of theirs. So an account that sends much gets no more than any other that has batches
    /// waiting.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        rules: &Rules,
        random: &mut impl Random,
    ) -> Vec<Taken<T>> {
        let is_open = self.waiting() >= rules.minimum_pool
            && self.accounts_waiting() >= rules.minimum_accounts;
        let mut taken = self.take_overdue(now, rules.maximum_delay);
        if is_open {
            self.take_in_turns(rules.batches_per_slot, random, &mut taken);
        }
        for leaving in &taken {
            self.lines[leaving.account].leaving += 1;
        }
        random.shuffle(&mut taken);
        taken
    }

    fn take_overdue(&mut self, now: Duration, maximum_delay: Duration) -> Vec<Taken<T>> {
        let mut taken = Vec::new();
        for (account, line) in self.lines.iter_mut().enumerate() {
            let link = line.link;
            let is_overdue = |it: &mut Waiting<T>| now.saturating_sub(it.since) >= maximum_delay;
            let overdue = line.waiting.extract_if(.., is_overdue);
            taken.extend(overdue.map(|Waiting { since, batch }| Taken {
                account,
                batch,
                since,
                link,
            }));
        }
        taken
    }

    fn take_in_turns(
        &mut self,
        mut left: usize,
        random: &mut impl Random,
        taken: &mut Vec<Taken<T>>,
    ) {
        let mut turns: Vec<usize> = (0..self.lines.len()).collect();
        random.shuffle(&mut turns);
        loop {
            turns.retain(|account| !self.lines[*account].waiting.is_empty());
            if turns.is_empty() {
                return;
            }
            for account in turns.iter().copied() {
                if left == 0 {
                    return;
                }
                left -= 1;
                let line = &mut self.lines[account];
                let chosen = random.below(line.waiting.len());
                let Waiting { since, batch } = line.waiting.swap_remove(chosen);
                taken.push(Taken {
                    account,
                    batch,
                    since,
                    link: line.link,
                });
            }
        }
    }

    /// Notes that a batch was published, and returns it.
    pub(crate) fn confirm(&mut self, taken: Taken<T>) -> T {
        let line = &mut self.lines[taken.account];
        if line.link == taken.link {
            line.leaving -= 1;
        }
        taken.batch
    }

    /// Puts a batch back that was not published. One whose connection was lost meanwhile is
    /// dropped: it comes again.
    pub(crate) fn put_back(&mut self, taken: Taken<T>) {
        let line = &mut self.lines[taken.account];
        if line.link == taken.link {
            line.leaving -= 1;
            line.waiting.push(Waiting {
                since: taken.since,
                batch: taken.batch,
            });
        }
    }

    /// Drops what came over an account's connection, which was lost: everything of it comes again.
    pub(crate) fn forget(&mut self, account: usize) {
        let line = &mut self.lines[account];
        line.waiting.clear();
        line.leaving = 0;
        line.link += 1;
    }

    /// Number of batches of an account that are held: they wait, or are on their way.
    pub(crate) fn held(&self, account: usize) -> usize {
        let line = &self.lines[account];
        line.waiting.len() + line.leaving
    }

    /// Number of batches that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lines.iter().map(|line| line.waiting.len()).sum()
    }

    fn accounts_waiting(&self) -> usize {
        let lines = self.lines.iter();
        lines.filter(|line| !line.waiting.is_empty()).count()
    }

    /// Age of the batch that waits longest.
    pub(crate) fn oldest(&self, now: Duration) -> Duration {
        let waiting = self.lines.iter().flat_map(|line| &line.waiting);
        let ages = waiting.map(|waiting| now.saturating_sub(waiting.since));
        ages.max().unwrap_or_default()
    }
}

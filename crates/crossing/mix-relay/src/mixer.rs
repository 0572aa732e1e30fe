//! Slots: what leaves is published inside, and acknowledged outside once that is confirmed.

use std::future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;

use broker::{Publisher, QueueState, Token};
use clock::Clock;
use contract::SealedBatch;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use parking_lot::Mutex;
use telemetry::HealthPart;
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use crate::heard::Heard;
use crate::metrics;
use crate::pool::{Pool, Rules, Taken};
use crate::random::SystemRandom;
use crate::senders::Senders;

/// Batch that waits, with the token of the message that it came in.
#[derive(Debug)]
pub(crate) struct HeldBatch {
    pub(crate) batch: SealedBatch,
    pub(crate) token: Token,
    /// True once it is laid down for the auditor who sent it.
    pub(crate) is_laid_down: bool,
}

/// Account as the slots see it.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) name: String,
    /// Messages to be acknowledged. It never has more of them than are held of the account.
    pub(crate) settled: UnboundedSender<Vec<Token>>,
}

/// Outcome of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotReport {
    /// Batches that the registry's broker has confirmed.
    pub published: usize,
    /// Batches that it has not confirmed, and that wait for another slot.
    pub failed: usize,
    /// Batches that wait.
    pub waiting: usize,
}

/// Batches that wait, and the way inside.
#[derive(Debug)]
pub struct Mixer {
    pub(crate) pool: Mutex<Pool<HeldBatch>>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) parties: Vec<Party>,
    pub(crate) rules: Rules,
    /// Present where it is laid down who sends.
    pub(crate) senders: Option<Senders>,
    pub(crate) slot_length: NonZeroU32,
    pub(crate) inside: Arc<dyn Publisher>,
    pub(crate) health: HealthPart,
}

impl Mixer {
    /// Length of a slot, in seconds.
    pub(crate) const fn slot_length(&self) -> NonZeroU32 {
        self.slot_length
    }

    /// Publishes what leaves now, and has every message acknowledged whose batch was confirmed.
    ///
    /// May be dropped while it waits: what it took comes again with the next connection.
    pub async fn slot(&self) -> SlotReport {
        self.slot_until(future::pending()).await
    }

    /// Does what [`Self::slot`] does, and ends when `stopped` does: what the registry's broker has
    /// confirmed by then is acknowledged, and what it has not comes again after the next start.
    pub(crate) async fn slot_until(&self, stopped: impl Future<Output = ()>) -> SlotReport {
        let mut stopped = pin!(stopped.fuse());
        let now = self.clock.elapsed();
        let taken = self.pool.lock().take(now, &self.rules, &mut SystemRandom);
        let number = taken.len();
        let taken = tokio::select! {
            taken = self.lay_down(taken) => taken,
            () = &mut stopped => Vec::new(),
        };
        let not_laid_down = number - taken.len();
        let mut failed = not_laid_down;
        let outcomes = self.publish(taken, &mut stopped).await;
        let mut settled: Vec<Vec<Token>> = self.parties.iter().map(|_| Vec::new()).collect();
        let mut published = 0;
        for (taken, is_confirmed) in outcomes {
            let account = taken.account;
            if !is_confirmed {
                failed += 1;
                self.pool.lock().put_back(taken);
                continue;
            }
            published += 1;
            metrics::count_forwarded(&self.parties[account].name);
            let held = self.pool.lock().confirm(taken);
            settled[account].push(held.token);
        }
        for (party, tokens) in self.parties.iter().zip(settled) {
            // Also without a token: the end of a slot is when refused messages are acknowledged.
            // An account's task ends with the program, which then acknowledges nothing more.
            party.settled.send(tokens).ok();
        }
        metrics::count_slot(published, failed);
        self.save_days().await;
        self.show(failed, not_laid_down);
        let waiting = self.pool.lock().waiting();
        SlotReport {
            published,
            failed,
            waiting,
        }
    }

    /// Lays down who sends, and returns those of whom that is on the disk. The others are put back.
    async fn lay_down(&self, taken: Vec<Taken<HeldBatch>>) -> Vec<Taken<HeldBatch>> {
        let Some(senders) = &self.senders else {
            return taken;
        };
        let is_new = |taken: &Taken<HeldBatch>| !taken.batch.is_laid_down;
        let new = taken.iter().filter(|taken| is_new(taken));
        let entries = new.map(|it| senders.entry(it.account, &it.batch.batch.bytes));
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return taken;
        }
        let outcome = senders.lay_down(self.clock.now(), entries).await;
        metrics::show_laid_down(outcome.is_ok());
        let Err(error) = outcome else {
            let mut taken = taken;
            for it in &mut taken {
                it.batch.is_laid_down = true;
            }
            return taken;
        };
        warn!(
            event = "not-laid-down",
            error = %error,
            "it cannot be laid down for the auditor who sends; these batches wait"
        );
        let mut pool = self.pool.lock();
        let mut leaving = Vec::new();
        for it in taken {
            if is_new(&it) {
                pool.put_back(it);
            } else {
                leaving.push(it);
            }
        }
        leaving
    }

    /// Publishes batches in their order, as many at once as the connection has use for. Those whose
    /// outcome is not known when `stopped` ends are not in the result.
    async fn publish(
        &self,
        taken: Vec<Taken<HeldBatch>>,
        stopped: impl Future<Output = ()>,
    ) -> Vec<(Taken<HeldBatch>, bool)> {
        let publishing = stream::iter(taken).map(|taken| async move {
            let outcome = self.inside.publish(&taken.batch.batch).await;
            (taken, outcome)
        });
        let outcomes = publishing.buffer_unordered(self.inside.window());
        let outcomes: Vec<_> = outcomes.take_until(stopped).collect().await;
        let error = outcomes.iter().find_map(|it| it.1.as_ref().err());
        if let Some(error) = error {
            warn!(
                event = "slot-failed",
                error = %error,
                "batches were not confirmed by the registry's broker; they wait for another slot"
            );
        }
        outcomes
            .into_iter()
            .map(|(taken, outcome)| (taken, outcome.is_ok()))
            .collect()
    }

    /// Writes the days of the accounts, where that failed or was not tried yet.
    pub(crate) async fn save_days(&self) {
        let heard = Arc::clone(&self.heard);
        let saved = tokio::task::spawn_blocking(move || heard.save()).await;
        let saved = saved.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()));
        metrics::show_state_written(saved.is_ok());
        if let Err(error) = saved {
            warn!(
                event = "state-unwritten",
                kind = %error.kind(),
                "the days on which accounts were heard cannot be written to relay.state; they are \
                 kept in memory, and tried again at the next slot"
            );
        }
    }

    /// Shows what the operator may know: the accounts' days and numbers.
    fn show(&self, failed: usize, not_laid_down: usize) {
        let today = self.clock.now().date_naive();
        let pool = self.pool.lock();
        for (account, party) in self.parties.iter().enumerate() {
            metrics::show_held(&party.name, pool.held(account));
            metrics::show_silent(&party.name, self.heard.silent(&party.name, today));
        }
        metrics::show_oldest(pool.oldest(self.clock.elapsed()));
        drop(pool);
        let state = self.inside.state();
        metrics::show_inside(state);
        let is_up = matches!(state, QueueState::Connected | QueueState::Idle);
        if failed == 0 && is_up {
            self.health.set_ready();
        } else {
            let reason = if not_laid_down > 0 {
                "it cannot be laid down for the auditor who sends (escrow.folder); batches wait"
            } else if is_up {
                "batches of the last slot were not confirmed by the registry's broker; they wait"
            } else {
                "the registry's broker takes no batches; they wait"
            };
            self.health.set_unready(reason.to_owned());
        }
    }

    /// Closes the way inside.
    pub(crate) async fn close(&self) {
        self.inside.close().await;
    }
}

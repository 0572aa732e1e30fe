//! One step of the registry: receive, open, apply in one transaction, answer, and only then
//! acknowledge. While the store works on one group of batches, the one before is answered and the
//! next is received and opened.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Consumer};
use chrono::{DateTime, TimeDelta, Utc};
use circuit::Permit;
use clock::Clock;
use contract::{Answer, DifferenceKind, ProbeAnswer, Receipt};
use fault::Point;
use tokio::sync::Notify;

use crate::breaker::Breaker;
use crate::config::ConsumeConfig;
use crate::desk::{Committed, Desk};
use crate::held::{Held, InHand};
use crate::incoming::OpenBatch;
use crate::keys::Keys;
use crate::open::{Content, STORE_REFUSES};
use crate::probe::{OpenProbe, compare};
use crate::receipts::Receipts;
use crate::store::{Outcome, Store, StoreError};

/// Longest that batches are held in hand while the store is away, in seconds. RabbitMQ closes a
/// channel that acknowledges nothing for 30 minutes, and every return counts towards the queue's
/// delivery limit.
const HOLD_SECONDS: i64 = 600;
/// Most transactions of one step that takes the next batches while it stores these.
const AHEAD_GROUPS: usize = 8;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was waiting.
    Idle,
    /// Batches were taken from the queue for good.
    Done {
        /// Stored and acknowledged.
        batches: usize,
        /// Questions answered, or acknowledged without an answer, and nothing stored.
        probes: usize,
        /// Moved to the dead letters.
        dead: usize,
        /// What the stored ones came to.
        outcome: Outcome,
    },
}

/// Why a step could not be finished. Nothing is lost: what is not stored is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The queue; its consumer paces itself, so call again.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
    /// The store; ask [`crate::Registry::rest`] when to call again.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A consumer of the queue and what it holds in hand.
pub(crate) struct Worker {
    pub store: Store,
    pub desk: Desk,
    pub settings: ConsumeConfig,
    pub clock: Arc<dyn Clock>,
    /// The store's circuit. Only told here; who calls decides whether to heed it.
    pub breaker: Breaker,
    held: Held,
    /// The store was away for long and the batches went back. This is one of them: no new ones are
    /// taken, and none comes closer to the queue's delivery limit, until the store has taken it.
    retest: Option<OpenBatch>,
}

/// What was done.
#[derive(Default)]
pub(crate) struct Totals {
    pub batches: usize,
    pub probes: usize,
    pub dead: usize,
    pub outcome: Outcome,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.batches += other.batches;
        self.probes += other.probes;
        self.dead += other.dead;
        self.outcome += other.outcome;
    }
}

impl Worker {
    pub(crate) fn new(
        (store, keys): (Store, Arc<Keys>),
        consumer: Box<dyn Consumer>,
        settings: ConsumeConfig,
        clock: Arc<dyn Clock>,
        (breaker, receipts): (Breaker, Option<Arc<Receipts>>),
    ) -> Self {
        let desk = Desk::new(consumer, keys, settings.clone(), receipts);
        Self {
            store,
            desk,
            settings,
            clock,
            breaker,
            held: Held::default(),
            retest: None,
        }
    }

    /// See [`crate::Registry::consume_once`] and, for `ahead`, [`crate::Registry::consume_ahead`].
    pub(crate) async fn consume(
        &mut self,
        now: DateTime<Utc>,
        ahead: bool,
    ) -> Result<Step, ConsumeError> {
        self.give_back_slow(now).await;
        // What the last step has left.
        self.desk.finish().await?;
        self.hold_opened(now).await?;
        if self.held.is_empty() && !self.refill(now).await? {
            let Totals {
                batches,
                probes,
                dead,
                ..
            } = self.desk.untold;
            return Ok(if batches + probes + dead > 0 {
                self.tell()
            } else {
                Step::Idle
            });
        }
        let mut groups = 0;
        while !self.held.is_empty() && (!ahead || groups < AHEAD_GROUPS) {
            if let Err(error) = self.advance(now, ahead).await {
                if matches!(error, ConsumeError::Store(_)) {
                    self.give_back_if_long(now).await;
                }
                return Err(error);
            }
            groups += 1;
            if self.held.is_empty() {
                self.hold_opened(now).await?;
            }
        }
        self.desk.finish().await?;
        Ok(self.tell())
    }

    fn tell(&mut self) -> Step {
        let Totals {
            batches,
            probes,
            dead,
            outcome,
        } = std::mem::take(&mut self.desk.untold);
        Step::Done {
            batches,
            probes,
            dead,
            outcome,
        }
    }

    /// See [`crate::Registry::rest`].
    pub(crate) async fn rest(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let Permit::Open { wait } = self.breaker.permit() else {
            return None;
        };
        self.give_back_if_long(now).await;
        Some(wait)
    }

    /// Gets something to do; false when there is nothing.
    async fn refill(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        let room = self.held.aside() < usize::from(self.settings.max_batches.get());
        if room && self.take(now).await? {
            return Ok(true);
        }
        self.held.take_up();
        Ok(!self.held.is_empty())
    }

    /// Takes deliveries in hand and buries the unreadable ones; false when nothing came.
    async fn take(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        self.ask_store(now).await?;
        let came = self.desk.take(now).await?;
        self.hold_opened(now).await?;
        Ok(came)
    }

    /// Takes in hand what is being opened, and buries what cannot be.
    async fn hold_opened(&mut self, now: DateTime<Utc>) -> Result<(), ConsumeError> {
        let (opened, finished) = self.desk.opened().await;
        if opened.is_empty() {
            return finished;
        }
        let mut unreadable = Vec::new();
        let mut probes = Vec::new();
        for (delivery, opened) in opened {
            match opened {
                Ok((content, answer_key)) => {
                    let batch = InHand {
                        delivery,
                        answer_key,
                        content,
                        since: now,
                    };
                    match &batch.content {
                        Content::Facts(_) => self.held.push(batch),
                        Content::Probe(_) => probes.push(batch),
                    }
                }
                Err(reason) => unreadable.push((delivery, reason)),
            }
        }
        // A directory knows no order: a batch that was sent before a probe may come behind it.
        probes.into_iter().for_each(|probe| self.held.push(probe));
        if let Err(error) = fault::check::<StoreError>(Point::RegistryOpened) {
            self.desk
                .requeue(
                    unreadable
                        .into_iter()
                        .map(|(delivery, _)| delivery)
                        .collect(),
                )
                .await;
            return Err(error.into());
        }
        self.desk.bury_all(unreadable).await?;
        finished
    }

    /// While the store's circuit is not closed, whether the store takes writes again. One that only
    /// answers does not count: a full disk and a standby do. What failed in a long outage is
    /// written once more; the queue brings the same batch again, then as old news.
    async fn ask_store(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.breaker.is_closed() && self.retest.is_none() {
            return Ok(());
        }
        let written = self.store.ping_writing().await;
        self.judge(&written);
        written?;
        let Some(batch) = &self.retest else {
            return Ok(());
        };
        let applied = self.store.apply(std::slice::from_ref(batch), now).await;
        self.judge(&applied);
        match applied {
            Ok((outcome, _)) => {
                count_events(&outcome);
                self.desk.untold.outcome += outcome;
            }
            // The store works, and this batch is its own trouble: it must not hold up the others.
            Err(StoreError::Refused { .. } | StoreError::TooSlow { .. }) => {}
            Err(error) => return Err(error),
        }
        self.retest = None;
        Ok(())
    }

    /// Settles the first group in hand: store or look up. The queue is seen to meanwhile.
    async fn advance(&mut self, now: DateTime<Utc>, ahead: bool) -> Result<(), ConsumeError> {
        let count = self.held.group(to_usize(self.settings.max_events.get()));
        // Probes go one by one: of many there would be more taken than settled.
        let room = self.held.len() - count < usize::from(self.settings.max_batches.get());
        // A store in trouble gets no more than what is in hand.
        let ahead = ahead
            && room
            && self.retest.is_none()
            && self.held.in_order()
            && self.breaker.is_closed();
        let stored = Notify::new();
        let Self {
            store,
            desk,
            held,
            clock,
            ..
        } = self;
        let tell = desk.receipts.is_some();
        let settle = async {
            let settled = settle(store, (held, count), (clock.as_ref(), now), tell).await;
            stored.notify_one();
            settled
        };
        let (settled, beside) = tokio::join!(settle, desk.beside(&stored, ahead, now));
        // Together they may be too much for a store that is in order.
        if count == 1
            || !matches!(
                settled,
                Err(StoreError::Refused { .. } | StoreError::TooSlow { .. })
            )
        {
            self.judge(&settled);
        }
        match settled {
            Ok((totals, receipts)) => {
                let tokens = self
                    .held
                    .drop_first(count)
                    .into_iter()
                    .map(|delivery| delivery.token)
                    .collect();
                self.desk.commit(Committed {
                    tokens,
                    receipts,
                    totals,
                });
                beside?;
                Ok(fault::check::<StoreError>(Point::RegistryCommitted)?)
            }
            // The queue's failure, if any, tells itself again.
            Err(error) => self.not_stored(error, count).await.and(beside),
        }
    }

    /// The store did not take the first group.
    async fn not_stored(&mut self, error: StoreError, count: usize) -> Result<(), ConsumeError> {
        match error {
            StoreError::Refused { code } if count == 1 => {
                tracing::error!(
                    event = "batch-refused-by-store",
                    code,
                    "a batch goes to the dead letters"
                );
                let unreadable = self
                    .held
                    .drop_first(1)
                    .into_iter()
                    .map(|delivery| (delivery, STORE_REFUSES));
                return Ok(self.desk.bury_all(unreadable.collect()).await?);
            }
            // Too many at once, or one of them: each by itself.
            StoreError::Refused { .. } | StoreError::TooSlow { .. } if count > 1 => {
                self.held.split(count);
                Ok(())
            }
            StoreError::TooSlow { .. } => {
                self.held.set_aside();
                if self.held.is_empty() {
                    Err(error.into())
                } else {
                    Ok(())
                }
            }
            _ => Err(error.into()),
        }
    }

    /// Tells the circuit how the store did. One that refuses rows works.
    fn judge<T>(&self, done: &Result<T, StoreError>) {
        match done {
            Ok(_) | Err(StoreError::Refused { .. }) => self.breaker.success(),
            Err(_) => self.breaker.failure(),
        }
    }

    async fn give_back_if_long(&mut self, now: DateTime<Utc>) {
        if self
            .held
            .oldest()
            .is_none_or(|oldest| now - oldest < TimeDelta::seconds(HOLD_SECONDS))
        {
            return;
        }
        if let Some(batch) = self.held.facts(usize::MAX).first() {
            self.retest = Some((*batch).clone());
        }
        let deliveries = self.held.drop_all();
        self.desk.requeue(deliveries).await;
    }

    /// A batch that stays too slow goes back from time to time, so that it ends at the queue's
    /// delivery limit.
    async fn give_back_slow(&mut self, now: DateTime<Utc>) {
        let deliveries = self.held.drop_aside(now - TimeDelta::seconds(HOLD_SECONDS));
        self.desk.requeue(deliveries).await;
    }

    /// Gives back what is in hand and says goodbye to the queue.
    pub(crate) async fn close(&mut self) {
        self.held = Held::default();
        self.desk.close().await;
    }
}

/// Stores the first `count` in hand, or looks up what the first asks for; with the receipts for it.
async fn settle(
    store: &Store,
    (held, count): (&Held, usize),
    (clock, now): (&dyn Clock, DateTime<Utc>),
    tell: bool,
) -> Result<(Totals, Vec<Receipt>), StoreError> {
    let (totals, answers) = match held.first().map(|batch| &batch.content) {
        Some(Content::Probe(probe)) => {
            let told = answer(store, probe, tell).await?;
            let answers: Vec<_> = told
                .map(|told| (probe.id, Answer::Probed(told)))
                .into_iter()
                .collect();
            (
                Totals {
                    probes: 1,
                    ..Totals::default()
                },
                answers,
            )
        }
        _ => {
            let batches = held.facts(count);
            let (outcome, answers) = apply(store, &batches, clock, now).await?;
            let ids = batches.iter().map(|batch| batch.id);
            let answers = ids.zip(answers.into_iter().map(Answer::Stored)).collect();
            (
                Totals {
                    batches: count,
                    outcome,
                    ..Totals::default()
                },
                answers,
            )
        }
    };
    if !tell {
        return Ok((totals, Vec::new()));
    }
    let receipt = |((id, answer), key)| Receipt::answered(id, key, &answer);
    Ok((
        totals,
        answers
            .into_iter()
            .zip(held.answer_keys(count))
            .map(receipt)
            .collect(),
    ))
}

async fn apply(
    store: &Store,
    batches: &[&OpenBatch],
    clock: &dyn Clock,
    now: DateTime<Utc>,
) -> Result<crate::apply::Applied, StoreError> {
    let started = clock.elapsed();
    let applied = store.apply(batches, now).await;
    match &applied {
        Ok((outcome, _)) => {
            let took = clock.elapsed().saturating_sub(started);
            metrics::histogram!("registry_commit_seconds").record(took.as_secs_f64());
            metrics::counter!("registry_batches_total", "outcome" => "applied")
                .increment(batches.len() as u64);
            count_events(outcome);
        }
        Err(error) => {
            metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
        }
    }
    applied
}

/// What the store holds of the probed records; `None` where nobody could be told.
async fn answer(
    store: &Store,
    probe: &OpenProbe,
    tell: bool,
) -> Result<Option<ProbeAnswer>, StoreError> {
    if !tell {
        tracing::warn!(
            event = "probe-unanswered",
            "a gateway asks what is held, and there is no key to answer with: set keys.receipt_key"
        );
        count_probes(1, false);
        return Ok(None);
    }
    let records: Vec<[u8; 32]> = probe.probed.iter().map(|probed| probed.record.0).collect();
    let held = store.stored(&records).await.inspect_err(|error| {
        metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
    })?;
    let told = compare(&probe.probed, &held);
    let count = |outcome: &'static str, records: usize| {
        metrics::counter!("registry_probed_records_total", "outcome" => outcome)
            .increment(records as u64);
    };
    count("equal", to_usize(told.equal));
    for kind in DifferenceKind::ALL {
        let of_kind = told
            .differences
            .iter()
            .filter(|difference| difference.what == kind);
        count(kind.as_str(), of_kind.count());
    }
    Ok(Some(told))
}

pub(crate) fn count_probes(probes: usize, told: bool) {
    let outcome = if told { "answered" } else { "unanswered" };
    metrics::counter!("registry_probes_total", "outcome" => outcome).increment(probes as u64);
}

fn count_events(outcome: &Outcome) {
    let counts = [
        ("applied", outcome.applied),
        ("unchanged", outcome.unchanged),
        ("superseded", outcome.superseded),
        ("version-reused", outcome.version_reused),
        ("refused", outcome.refused - outcome.version_reused),
    ];
    for (name, events) in counts {
        metrics::counter!("registry_events_total", "outcome" => name).increment(events as u64);
    }
    metrics::counter!("registry_conflicts_total").increment(outcome.conflicts as u64);
}

pub(crate) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

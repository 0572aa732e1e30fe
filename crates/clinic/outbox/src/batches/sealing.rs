//! Sealing of events, off the async threads, as many to a batch as nearly fill a padded size.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use az::SaturatingAs as _;
use contract::{Body, Event, FactKind, PaddedSizes, PublicKey, SealError, Sealer};
use parking_lot::Mutex;
use record_secrets::RecordSecrets;
use tokio::task::{JoinHandle, spawn_blocking};

use super::batch_size::{BatchLimits, BatchSize, event_size};
use super::new_batch::NewBatch;
use super::new_event::NewEvent;
use crate::file::OutboxError;
use crate::options::OutboxOptions;
use crate::tokens::{BatchTokens, FeedName, TokensInHand};

/// Events that are compressed once, and thrown away, to learn how large events of a kind are.
const SAMPLE_EVENTS: usize = 64;

/// Tries of a batch that came out too large, with fewer events each, before the next padded size is
/// taken.
const MAX_TRIES: u32 = 2;

/// Kinds of fact, and withdrawals.
const KINDS: usize = FactKind::ALL.len() + 1;

/// Sealers, and the sizes of events they have learnt.
pub(crate) struct Sealing {
    seal_to: PublicKey,
    secrets: Arc<RecordSecrets>,
    limits: BatchLimits,
    shuffle: bool,
    /// Sealers not in use, at most one a processor.
    idle: Arc<Mutex<Vec<Sealer>>>,
    /// Last known size of an event of each kind, compressed, in 1/16 bytes; 0 where none was seen.
    sizes: [AtomicU32; KINDS],
    /// Tokens of which every batch carries one, where the registry asks for any.
    tokens: Option<Arc<dyn BatchTokens>>,
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing")
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

impl Sealing {
    pub(crate) fn new(options: &OutboxOptions) -> Self {
        Self {
            seal_to: options.seal_to.clone(),
            secrets: Arc::new(options.secrets.clone()),
            limits: BatchLimits {
                events: options.batch_events,
                sizes: options.padded_sizes,
            },
            shuffle: options.shuffle,
            idle: Arc::default(),
            sizes: Default::default(),
            tokens: options.tokens.clone(),
        }
    }

    /// Sizes that batches are padded to.
    pub(crate) const fn padded_sizes(&self) -> PaddedSizes {
        self.limits.sizes
    }

    /// Sealer of this outbox's batches, with buffers of its own.
    pub(crate) fn sealer(&self) -> Sealer {
        match &self.tokens {
            None => Sealer::new(&self.seal_to),
            Some(_) => Sealer::with_token_room(&self.seal_to),
        }
    }

    /// Tokens of batches, where they carry any.
    pub(crate) const fn tokens(&self) -> Option<&Arc<dyn BatchTokens>> {
        self.tokens.as_ref()
    }

    /// Sees to it that there are tokens for so many batches, of this feed or of none, where they
    /// carry any.
    ///
    /// # Errors
    /// [`OutboxError::NoToken`].
    pub(crate) async fn tokens_ready(
        &self,
        batches: usize,
        feed: Option<FeedName<'_>>,
    ) -> Result<(), OutboxError> {
        match &self.tokens {
            None => Ok(()),
            Some(tokens) => Ok(tokens.ready(batches, feed).await?),
        }
    }

    /// Values that only this clinic can derive of its records.
    pub(crate) const fn secrets(&self) -> &Arc<RecordSecrets> {
        &self.secrets
    }

    /// Derives the versions of the events of this feed, or of none, cuts them into batches and seals
    /// them, on as many threads as the machine has processors; returns the events in their order
    /// too.
    ///
    /// # Errors
    /// [`OutboxError::Seal`] for an event too large for the contract; [`OutboxError::NoToken`].
    pub(crate) async fn seal(
        &self,
        events: Vec<NewEvent>,
        feed: Option<FeedName<'_>>,
    ) -> Result<(Vec<NewBatch>, Vec<Event>), OutboxError> {
        let Some(first) = events.first() else {
            return Ok((Vec::new(), Vec::new()));
        };
        let kind = kind_of(&first.body);
        let size = self.event_size(kind, &events).await?;
        let limits = self.limits;
        let batch_events = BatchSize::of(size, limits).events;
        let count = events.len();
        let batches = count.div_ceil(batch_events);
        let threads = processors().min(batches);
        // Some more, since the sizes of events are learnt and may turn out larger.
        self.tokens_ready(batches + batches / 4 + threads, feed)
            .await?;
        let thread_events = batches.div_ceil(threads) * batch_events;
        let mut running = Vec::with_capacity(threads);
        let mut events = events.into_iter();
        while !events.as_slice().is_empty() {
            let part = events.by_ref().take(thread_events).collect();
            let tokens = self.tokens.clone();
            running.push(self.off_thread(part, move |sealer, events| {
                seal_in_order(sealer, events, size, limits, tokens.as_ref())
            }));
        }
        let mut sealed = Vec::with_capacity(batches);
        let mut sent = Vec::with_capacity(count);
        for part in running {
            let ((batches, size), events) = part.await??;
            sealed.extend(batches);
            sent.extend(events);
            self.sizes[kind].store(size, Ordering::Relaxed);
        }
        Ok((sealed, sent))
    }

    /// Shuffles and seals events that nobody wants back.
    ///
    /// # Errors
    /// [`OutboxError::NoRandomness`], and those of [`Self::seal`].
    pub(crate) async fn shuffle_and_seal(
        &self,
        mut events: Vec<NewEvent>,
    ) -> Result<Vec<NewBatch>, OutboxError> {
        let mut nothing = vec![(); events.len()];
        self.shuffle(&mut events, &mut nothing)?;
        Ok(self.seal(events, None).await?.0)
    }

    /// Shuffles the events and, in the same order, the metadata at their places, if the options say
    /// so. Fisher-Yates with the operating system's randomness: the order of a page says how the
    /// clinic stores its records.
    ///
    /// # Errors
    /// [`OutboxError::NoRandomness`].
    pub(crate) fn shuffle<E, T>(
        &self,
        events: &mut [E],
        metadata: &mut [T],
    ) -> Result<(), OutboxError> {
        if !self.shuffle {
            return Ok(());
        }
        let mut random = vec![0; events.len() * 8];
        getrandom::fill(&mut random).map_err(|_| OutboxError::NoRandomness)?;
        for (last, bytes) in (1..events.len()).rev().zip(random.as_chunks::<8>().0) {
            let pick = u64::from_le_bytes(*bytes) % (last as u64 + 1);
            let pick = usize::try_from(pick).unwrap_or(last);
            events.swap(last, pick);
            metadata.swap(last, pick);
        }
        Ok(())
    }

    /// Size of an event of the kind, in 1/16 bytes; measured on a sample at the first page that has
    /// any.
    async fn event_size(&self, kind: usize, events: &[NewEvent]) -> Result<u32, OutboxError> {
        let known = self.sizes[kind].load(Ordering::Relaxed);
        if known > 0 {
            return Ok(known);
        }
        let sample = events[..events.len().min(SAMPLE_EVENTS)].to_vec();
        let measured = self.off_thread(sample, |sealer, events| {
            let framed_bytes = sealer.compress(events)?.bytes();
            Ok(event_size(events.len(), framed_bytes))
        });
        Ok(measured.await??.0)
    }

    /// Derives the versions of the events and runs the work on them, on a thread that may be busy
    /// for long, with a sealer of its own; returns the events too.
    fn off_thread<T: Send + 'static>(
        &self,
        events: Vec<NewEvent>,
        work: impl FnOnce(&mut Sealer, &[Event]) -> Result<T, OutboxError> + Send + 'static,
    ) -> JoinHandle<Result<(T, Vec<Event>), OutboxError>> {
        let secrets = Arc::clone(&self.secrets);
        let idle = Arc::clone(&self.idle);
        let kept = idle.lock().pop();
        let mut sealer = kept.unwrap_or_else(|| self.sealer());
        spawn_blocking(move || {
            let events = events.into_iter();
            let events: Vec<Event> = events
                .map(|event| event.with_version(&secrets))
                .collect::<Result<_, _>>()?;
            let done = work(&mut sealer, &events);
            let mut idle = idle.lock();
            // Feeds that are read at the same time may need more for a while; their buffers are not
            // kept.
            if idle.len() < processors() {
                idle.push(sealer);
            }
            Ok((done?, events))
        })
    }
}

const fn kind_of(body: &Body) -> usize {
    match body {
        Body::Asserted { fact, .. } => fact.kind() as usize,
        Body::Withdrawn { .. } => KINDS - 1,
    }
}

/// Number of processors, asked for once: the answer is read from several files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Fills batch after batch; returns the batches and the size of an event, in 1/16 bytes.
fn seal_in_order(
    sealer: &mut Sealer,
    mut events: &[Event],
    mut size: u32,
    limits: BatchLimits,
    tokens: Option<&Arc<dyn BatchTokens>>,
) -> Result<(Vec<NewBatch>, u32), OutboxError> {
    let batches = events.len().div_ceil(BatchSize::of(size, limits).events);
    let mut sealed = Vec::with_capacity(batches);
    while !events.is_empty() {
        let batch_size = BatchSize::of(size, limits);
        let tokens = TokensInHand::take(tokens)?;
        let taken = take_events(batch_size, events.len(), |count, most_bytes| {
            let framed = sealer.compress(&events[..count])?;
            let bytes = framed.bytes();
            let sealed = if bytes <= most_bytes {
                Some(tokens.seal(framed, limits.sizes)?)
            } else {
                None
            };
            Ok((bytes, sealed))
        })?;
        let (batch, answer_key) = taken.made;
        sealed.push(NewBatch {
            batch,
            answer_key,
            event_count: taken.events.saturating_as(),
            answers: taken.events.saturating_as(),
            reconciliation_id: None,
            is_beacon: false,
            tokens,
        });
        if taken.events >= SAMPLE_EVENTS.min(batch_size.events) {
            let measured = event_size(taken.events, taken.framed_bytes);
            size = size.saturating_mul(3).saturating_add(measured) / 4;
        }
        events = &events[taken.events..];
    }
    Ok((sealed, size))
}

/// First events of a page that were made into a batch.
struct Taken<T> {
    events: usize,
    framed_bytes: usize,
    made: T,
}

/// Takes as many of the first events as fit the size, after a few tries. `attempt` is given a
/// number of events and the most bytes, and makes nothing of more.
fn take_events<T>(
    size: BatchSize,
    waiting: usize,
    mut attempt: impl FnMut(usize, usize) -> Result<(usize, Option<T>), SealError>,
) -> Result<Taken<T>, SealError> {
    let mut events = size.events.min(waiting);
    let mut tries = 0;
    loop {
        let most_bytes = if events == 1 || tries == MAX_TRIES {
            usize::MAX
        } else {
            size.padded_bytes
        };
        match attempt(events, most_bytes) {
            Ok((framed_bytes, Some(made))) => {
                return Ok(Taken {
                    events,
                    framed_bytes,
                    made,
                });
            }
            Ok((framed_bytes, None)) => {
                events = size.fewer(events, framed_bytes);
                tries += 1;
            }
            Err(SealError::TooLarge { .. }) if events > 1 => events /= 2,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::{PrivateKey, wire};

    use super::*;
    use crate::batches::test_events::{events, new_events, secrets};

    async fn sealed_records(
        count: u16,
        batch_events: usize,
        shuffle: bool,
    ) -> (Vec<u32>, Vec<Event>) {
        let key = PrivateKey::generate();
        let options = OutboxOptions {
            batch_events,
            shuffle,
            ..OutboxOptions::new(key.public(), secrets(), "test")
        };
        let sealing = Sealing::new(&options);
        let sealed = sealing.shuffle_and_seal(new_events(count)).await.unwrap();
        let mut opened = Vec::new();
        for batch in &sealed {
            let whole = key.open(&batch.batch.bytes).unwrap();
            assert_eq!(
                (whole.id, whole.answer_key.expose()),
                (batch.batch.id, batch.answer_key.expose())
            );
            opened.extend(
                wire::decode(&whole.encoded)
                    .unwrap()
                    .into_iter()
                    .map(Result::unwrap),
            );
        }
        (
            sealed.iter().map(|batch| batch.event_count).collect(),
            opened,
        )
    }

    #[tokio::test]
    async fn batches_are_full_but_the_last_and_keep_their_order_unshuffled() {
        let (sizes, opened) = sealed_records(53, 10, false).await;
        assert_eq!(sizes, [10, 10, 10, 10, 10, 3]);
        assert_eq!(opened, events(53));
        assert_eq!(sealed_records(0, 10, true).await.0, [0; 0]);
    }

    #[tokio::test]
    async fn batches_have_no_other_size_than_those_of_the_options() {
        let sealed_bytes = async |padded_sizes, count| {
            let key = PrivateKey::generate();
            let options = OutboxOptions {
                padded_sizes,
                ..OutboxOptions::new(key.public(), secrets(), "test")
            };
            let sealing = Sealing::new(&options);
            let sealed = sealing.shuffle_and_seal(new_events(count)).await.unwrap();
            let opened = |batch: &NewBatch| key.open(&batch.batch.bytes).is_ok();
            assert!(sealed.iter().all(opened));
            let bytes = sealed.iter().map(|batch| batch.batch.bytes.len() >> 10);
            bytes.collect::<Vec<_>>()
        };
        let sizes = |bytes: &[usize]| PaddedSizes::new(bytes).unwrap();
        assert_eq!(sealed_bytes(PaddedSizes::ALL, 1).await, [4]);
        assert_eq!(sealed_bytes(sizes(&[64 << 10, 256 << 10]), 1).await, [64]);
        // Of 1000 events, far more than fit: each batch has as many as fit the only size.
        let small = sealed_bytes(sizes(&[4 << 10]), 1000).await;
        assert!(small.len() > 5 && small.iter().all(|kib| *kib == 4));
    }

    #[tokio::test]
    async fn shuffled_batches_hold_the_same_events_in_another_order() {
        let (_, mut opened) = sealed_records(300, 100, true).await;
        assert_ne!(opened, events(300));
        opened.sort_unstable_by_key(|event| event.record);
        assert_eq!(opened, events(300));
    }

    #[test]
    fn events_are_taken_until_they_fit_and_one_too_large_is_an_error() {
        let size = BatchSize {
            events: 100,
            padded_bytes: 4096,
        };
        let of_size = |event_bytes: usize| {
            move |count: usize, most_bytes: usize| match count * event_bytes {
                bytes if bytes > 65_536 => Err(SealError::TooLarge { bytes }),
                bytes => Ok((bytes, (bytes <= most_bytes).then_some(()))),
            }
        };
        let take = |waiting, event_bytes| {
            take_events(size, waiting, of_size(event_bytes))
                .map(|taken| (taken.events, taken.framed_bytes))
        };
        assert_eq!(take(500, 40).unwrap(), (100, 4000), "as many as were meant");
        assert_eq!(take(7, 40).unwrap(), (7, 280), "the last, short one");
        let (taken, bytes) = take(500, 50).unwrap();
        assert!((77..=81).contains(&taken) && bytes <= 4096, "{taken}");
        assert_eq!(
            take(500, 60_000).unwrap(),
            (1, 60_000),
            "one takes what it needs"
        );
        assert!(matches!(take(500, 70_000), Err(SealError::TooLarge { .. })));
    }
}

//! Events to sealed batches, off the async threads, as many to a batch as nearly fill a padded
//! size.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use contract::wire::Probed;
use contract::{AnswerKey, Body, Event, FactKind, SealError, SealedBatch, Sealer, wire};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::fill::{Fill, event_size};
use crate::{OutboxError, OutboxOptions};

/// Events that are compressed once, and thrown away, to learn how large events of a kind are.
const SAMPLE_EVENTS: usize = 64;

/// How often a batch that came out too large is tried with fewer events before the next padded size
/// is taken.
const MAX_TRIES: u32 = 2;

/// A sealed batch, the key to the registry's answer, and what it holds.
pub(crate) struct Sealed {
    pub(crate) batch: SealedBatch,
    pub(crate) answer_key: AnswerKey,
    /// How many events; 0 for a probe.
    pub(crate) event_count: u32,
    /// Which reconciliation a probe belongs to.
    pub(crate) reconciliation_id: Option<i64>,
}

/// What sealing keeps between pages.
#[derive(Default)]
pub(crate) struct Sealing {
    /// One a lane that is not at work, at most one a processor.
    idle: Arc<Mutex<Vec<Sealer>>>,
    /// The last known size of an event of each kind, compressed, in 1/16 bytes; 0 where none was
    /// seen.
    sizes: [AtomicU32; KINDS],
}

/// The kinds of fact, and withdrawals.
const KINDS: usize = FactKind::ALL.len() + 1;

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing")
            .field("sizes", &self.sizes)
            .finish_non_exhaustive()
    }
}

impl Sealing {
    /// Cuts the events into batches and seals them, on as many threads as the machine has
    /// processors; gives the events back.
    pub(crate) async fn seal(
        &self,
        events: Vec<Event>,
        options: &OutboxOptions,
    ) -> Result<(Vec<Sealed>, Vec<Event>), OutboxError> {
        let Some(first) = events.first() else {
            return Ok((Vec::new(), events));
        };
        let kind = kind_of(&first.body);
        let events = Arc::new(events);
        let size = self.size(kind, &events, options).await?;
        let fill = Fill::of(size, options.batch_events);
        let batches = events.len().div_ceil(fill.events);
        let lanes = processors().min(batches);
        let lane_events = batches.div_ceil(lanes) * fill.events;
        let mut running = Vec::with_capacity(lanes);
        for first in (0..events.len()).step_by(lane_events) {
            let range = first..events.len().min(first + lane_events);
            let most = options.batch_events;
            running.push(
                self.off_thread(&events, range, options, move |sealer, events| {
                    seal_lane(sealer, events, size, most)
                }),
            );
        }
        let mut sealed = Vec::with_capacity(batches);
        for lane in running {
            let (batches, size) = lane.await.map_err(OutboxError::unfinished)??;
            sealed.extend(batches);
            self.sizes[kind].store(size, Ordering::Relaxed);
        }
        // The lanes have ended, so that nobody else holds the events.
        Ok((sealed, Arc::unwrap_or_clone(events)))
    }

    /// How large an event of the kind is; of the first page that has any, a sample tells.
    async fn size(
        &self,
        kind: usize,
        events: &Arc<Vec<Event>>,
        options: &OutboxOptions,
    ) -> Result<u32, OutboxError> {
        let known = self.sizes[kind].load(Ordering::Relaxed);
        if known > 0 {
            return Ok(known);
        }
        let sample = 0..events.len().min(SAMPLE_EVENTS);
        let measuring = self.off_thread(events, sample, options, |sealer, events| {
            let framed_bytes = sealer.compress(events)?.bytes();
            Ok(event_size(events.len(), framed_bytes))
        });
        measuring.await.map_err(OutboxError::unfinished)?
    }

    /// Runs on a thread that may be busy for long, with a sealer of its own.
    fn off_thread<T: Send + 'static>(
        &self,
        events: &Arc<Vec<Event>>,
        range: Range<usize>,
        options: &OutboxOptions,
        work: impl FnOnce(&mut Sealer, &[Event]) -> Result<T, OutboxError> + Send + 'static,
    ) -> JoinHandle<Result<T, OutboxError>> {
        let events = Arc::clone(events);
        let idle = Arc::clone(&self.idle);
        let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut sealer = kept.unwrap_or_else(|| Sealer::new(&options.seal_to));
        spawn_blocking(move || {
            let done = work(&mut sealer, &events[range]);
            let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
            // Feeds that are read at the same time may need more for a while; their buffers are not
            // kept.
            if idle.len() < processors() {
                idle.push(sealer);
            }
            done
        })
    }
}

const fn kind_of(body: &Body) -> usize {
    match body {
        Body::Asserted { fact, .. } => fact.kind() as usize,
        Body::Withdrawn { .. } => KINDS - 1,
    }
}

/// Asked once: the answer is read from several files.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Seals events that nobody wants back.
pub(crate) async fn seal(
    mut events: Vec<Event>,
    sealing: &Sealing,
    options: &OutboxOptions,
) -> Result<Vec<Sealed>, OutboxError> {
    if options.shuffle {
        let mut nothing_beside = vec![(); events.len()];
        shuffle(&mut events, &mut nothing_beside)?;
    }
    Ok(sealing.seal(events, options).await?.0)
}

/// Fills batch after batch; with them, how large an event was.
fn seal_lane(
    sealer: &mut Sealer,
    mut events: &[Event],
    mut size: u32,
    most: usize,
) -> Result<(Vec<Sealed>, u32), OutboxError> {
    let mut sealed = Vec::with_capacity(events.len().div_ceil(Fill::of(size, most).events));
    while !events.is_empty() {
        let fill = Fill::of(size, most);
        let (taken, framed_bytes, (batch, answer_key)) =
            take_some(fill, events.len(), |count, most_bytes| {
                let framed = sealer.compress(&events[..count])?;
                let bytes = framed.bytes();
                let sealed = if bytes <= most_bytes {
                    Some(framed.seal()?)
                } else {
                    None
                };
                Ok((bytes, sealed))
            })?;
        let event_count = u32::try_from(taken).unwrap_or(u32::MAX);
        sealed.push(Sealed {
            batch,
            answer_key,
            event_count,
            reconciliation_id: None,
        });
        if taken >= SAMPLE_EVENTS.min(fill.events) {
            size = (size
                .saturating_mul(3)
                .saturating_add(event_size(taken, framed_bytes)))
                / 4;
        }
        events = &events[taken..];
    }
    Ok((sealed, size))
}

/// Takes as many of the first events as fit the size aimed at, after a few tries: how many, their
/// bytes, and what `attempt` made of them. It is given a number of events and the most bytes, and
/// makes nothing of more.
fn take_some<T>(
    fill: Fill,
    waiting: usize,
    mut attempt: impl FnMut(usize, usize) -> Result<(usize, Option<T>), SealError>,
) -> Result<(usize, usize, T), SealError> {
    let mut taken = fill.events.min(waiting);
    let mut tries = 0;
    loop {
        let most_bytes = if taken == 1 || tries == MAX_TRIES {
            usize::MAX
        } else {
            fill.padded_bytes
        };
        match attempt(taken, most_bytes) {
            Ok((bytes, Some(made))) => return Ok((taken, bytes, made)),
            Ok((bytes, None)) => (taken, tries) = (fill.fewer(taken, bytes), tries + 1),
            Err(SealError::TooLarge { .. }) if taken > 1 => taken /= 2,
            Err(error) => return Err(error),
        }
    }
}

/// Seals what a reconciliation asks about, as many records a batch as the contract takes.
pub(crate) async fn seal_probes(
    probed: Vec<Probed>,
    reconciliation_id: i64,
    options: &OutboxOptions,
) -> Result<Vec<Sealed>, OutboxError> {
    let key = options.seal_to.clone();
    let sealing = move || {
        let mut sealed = Vec::new();
        let mut sealer = Sealer::new(&key);
        for chunk in probed.chunks(wire::MAX_PROBED) {
            let mut try_seal =
                |chunk: &[Probed]| sealer.compress_encoded(&wire::encode_probe(chunk))?.seal();
            seal_chunk(&mut try_seal, chunk, &mut |batch, answer_key, _| {
                let reconciliation_id = Some(reconciliation_id);
                sealed.push(Sealed {
                    batch,
                    answer_key,
                    event_count: 0,
                    reconciliation_id,
                });
            })?;
        }
        Ok(sealed)
    };
    spawn_blocking(sealing)
        .await
        .map_err(OutboxError::unfinished)?
}

/// Seals a chunk as one batch, or as two halves when it is too large for the contract.
fn seal_chunk<T>(
    try_seal: &mut impl FnMut(&[T]) -> Result<(SealedBatch, AnswerKey), SealError>,
    chunk: &[T],
    keep: &mut impl FnMut(SealedBatch, AnswerKey, usize),
) -> Result<(), OutboxError> {
    match try_seal(chunk) {
        Ok((batch, answer_key)) => {
            keep(batch, answer_key, chunk.len());
            Ok(())
        }
        Err(SealError::TooLarge { .. }) if chunk.len() > 1 => {
            let (first, second) = chunk.split_at(chunk.len() / 2);
            seal_chunk(try_seal, first, keep)?;
            seal_chunk(try_seal, second, keep)
        }
        Err(error) => Err(error.into()),
    }
}

/// Fisher-Yates with the operating system's randomness: the order of a page says how the clinic
/// stores its records. What stands beside the events stays beside them.
pub(crate) fn shuffle<T>(events: &mut [Event], beside: &mut [T]) -> Result<(), OutboxError> {
    let mut random = vec![0; events.len() * 8];
    getrandom::fill(&mut random).map_err(|_| OutboxError::NoRandomness)?;
    for (last, bytes) in (1..events.len()).rev().zip(random.as_chunks::<8>().0) {
        let pick = u64::from_le_bytes(*bytes) % (last as u64 + 1);
        let pick = usize::try_from(pick).unwrap_or(last);
        events.swap(last, pick);
        beside.swap(last, pick);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::{Body, FactKind, PrivateKey, RecordDigest, Version};

    use super::*;

    fn events(count: u16) -> Vec<Event> {
        let digest = |index: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&index.to_be_bytes());
            RecordDigest(bytes)
        };
        let version = Version {
            generation: 1,
            count: 1,
        };
        let body = Body::Withdrawn {
            kind: FactKind::Test,
        };
        let event = |index| Event {
            record: digest(index),
            version,
            content: None,
            body: body.clone(),
        };
        (0..count).map(event).collect()
    }

    async fn sealed_records(
        count: u16,
        batch_events: usize,
        shuffle: bool,
    ) -> (Vec<u32>, Vec<Event>) {
        let key = PrivateKey::generate();
        let options = OutboxOptions {
            batch_events,
            shuffle,
            ..OutboxOptions::new(key.public(), "test")
        };
        let sealed = seal(events(count), &Sealing::default(), &options)
            .await
            .unwrap();
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
    async fn shuffled_batches_hold_the_same_events_in_another_order() {
        let (_, mut opened) = sealed_records(300, 100, true).await;
        assert_ne!(opened, events(300));
        opened.sort_unstable_by_key(|event| event.record);
        assert_eq!(opened, events(300));
    }

    #[test]
    fn batch_too_large_for_the_contract_is_halved_and_an_event_too_large_is_an_error() {
        let key = PrivateKey::generate().public();
        let seal_up_to = |most: usize| {
            let key = key.clone();
            move |events: &[Event]| match events.len() {
                fits if fits <= most => key.seal(&wire::encode(events)),
                bytes => Err(SealError::TooLarge { bytes }),
            }
        };
        let mut sealed = Vec::new();
        seal_chunk(&mut seal_up_to(30), &events(101), &mut |_, _, events| {
            sealed.push(events)
        })
        .unwrap();
        assert_eq!(sealed, [25, 25, 25, 26]);
        let refused = seal_chunk(&mut seal_up_to(0), &events(2), &mut |_, _, events| {
            sealed.push(events)
        });
        assert!(matches!(
            refused,
            Err(OutboxError::Seal(SealError::TooLarge { bytes: 1 }))
        ));
    }

    #[test]
    fn events_are_taken_until_they_fit_and_one_too_large_is_an_error() {
        let fill = Fill {
            events: 100,
            padded_bytes: 4096,
        };
        let of_size = |event_bytes: usize| {
            move |count: usize, most_bytes: usize| match count * event_bytes {
                bytes if bytes > 65_536 => Err(SealError::TooLarge { bytes }),
                bytes => Ok((bytes, (bytes <= most_bytes).then_some(()))),
            }
        };
        let take = |waiting, event_bytes| take_some(fill, waiting, of_size(event_bytes));
        assert_eq!(
            take(500, 40).unwrap(),
            (100, 4000, ()),
            "as many as were meant"
        );
        assert_eq!(take(7, 40).unwrap(), (7, 280, ()), "the last, short one");
        let (taken, bytes, ()) = take(500, 50).unwrap();
        assert!((77..=81).contains(&taken) && bytes <= 4096, "{taken}");
        assert_eq!(
            take(500, 60_000).unwrap(),
            (1, 60_000, ()),
            "one takes what it needs"
        );
        assert!(matches!(take(500, 70_000), Err(SealError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn probes_fill_batches_of_the_contracts_size() {
        let key = PrivateKey::generate();
        let options = OutboxOptions::new(key.public(), "test");
        let probed = |index: u32| {
            // Random, as digests are: what cannot be compressed has to fit.
            let mut record = RecordDigest([0; 32]);
            let mut content = contract::ContentDigest([0; 16]);
            getrandom::fill(&mut record.0).unwrap();
            getrandom::fill(&mut content.0).unwrap();
            Probed {
                record,
                version: Version {
                    generation: 1,
                    count: index,
                },
                content,
                withdrawn: index.is_multiple_of(2),
            }
        };
        let all: Vec<Probed> = (1..=9000).map(probed).collect();
        let sealed = seal_probes(all.clone(), 7, &options).await.unwrap();
        assert_eq!(sealed.len(), 3);
        let mut opened = Vec::new();
        for batch in &sealed {
            assert_eq!((batch.event_count, batch.reconciliation_id), (0, Some(7)));
            let encoded = key.open(&batch.batch.bytes).unwrap().encoded;
            let wire::Message::Probe(probed) = wire::decode_message(&encoded).unwrap() else {
                panic!("a probe")
            };
            opened.extend(probed);
        }
        assert_eq!(opened, all);
    }
}

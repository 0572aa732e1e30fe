//! Events to sealed batches, off the async threads.

use contract::wire::Probed;
use contract::{AnswerKey, Event, PublicKey, SealError, SealedBatch, wire};
use tokio::task::spawn_blocking;

use crate::{OutboxError, OutboxOptions};

/// A sealed batch, the key to the registry's answer, and what it holds.
pub(crate) struct Sealed {
    pub(crate) batch: SealedBatch,
    pub(crate) answer_key: AnswerKey,
    /// How many events; 0 for a probe.
    pub(crate) event_count: u32,
    /// Which reconciliation a probe belongs to.
    pub(crate) reconciliation_id: Option<i64>,
}

/// Cuts the events into batches and seals them, on as many threads as the machine has processors.
pub(crate) async fn seal(
    mut events: Vec<Event>,
    options: &OutboxOptions,
) -> Result<Vec<Sealed>, OutboxError> {
    if options.shuffle {
        shuffle(&mut events)?;
    }
    let batches = events.len().div_ceil(options.batch_events);
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(batches).max(1);
    let lane_events = batches.div_ceil(lanes) * options.batch_events;
    let mut running = Vec::with_capacity(lanes);
    while !events.is_empty() {
        let rest = events.split_off(events.len().min(lane_events));
        let lane = std::mem::replace(&mut events, rest);
        let (key, batch_events) = (options.seal_to.clone(), options.batch_events);
        running.push(spawn_blocking(move || seal_lane(&key, &lane, batch_events)));
    }
    let mut sealed = Vec::with_capacity(batches);
    for lane in running {
        sealed.extend(lane.await.map_err(OutboxError::unfinished)??);
    }
    Ok(sealed)
}

fn seal_lane(key: &PublicKey, events: &[Event], batch_events: usize) -> Result<Vec<Sealed>, OutboxError> {
    let try_seal = |chunk: &[Event]| key.seal(&wire::encode(chunk));
    let mut sealed = Vec::with_capacity(events.len().div_ceil(batch_events));
    for chunk in events.chunks(batch_events) {
        seal_chunk(&try_seal, chunk, &mut |batch, answer_key, events| {
            let event_count = u32::try_from(events).unwrap_or(u32::MAX);
            sealed.push(Sealed { batch, answer_key, event_count, reconciliation_id: None });
        })?;
    }
    Ok(sealed)
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
        for chunk in probed.chunks(wire::MAX_PROBED) {
            let try_seal = |chunk: &[Probed]| key.seal(&wire::encode_probe(chunk));
            seal_chunk(&try_seal, chunk, &mut |batch, answer_key, _| {
                let reconciliation_id = Some(reconciliation_id);
                sealed.push(Sealed { batch, answer_key, event_count: 0, reconciliation_id });
            })?;
        }
        Ok(sealed)
    };
    spawn_blocking(sealing).await.map_err(OutboxError::unfinished)?
}

/// Seals a chunk as one batch, or as two halves when it is too large for the contract.
fn seal_chunk<T>(
    try_seal: &impl Fn(&[T]) -> Result<(SealedBatch, AnswerKey), SealError>,
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

/// Fisher-Yates with the operating system's randomness: the order of a page says how the clinic stores its records.
fn shuffle(events: &mut [Event]) -> Result<(), OutboxError> {
    let mut random = vec![0; events.len() * 8];
    getrandom::fill(&mut random).map_err(|_| OutboxError::NoRandomness)?;
    for (last, bytes) in (1..events.len()).rev().zip(random.as_chunks::<8>().0) {
        let pick = u64::from_le_bytes(*bytes) % (last as u64 + 1);
        events.swap(last, usize::try_from(pick).unwrap_or(last));
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
        let version = Version { generation: 1, count: 1 };
        let body = Body::Withdrawn { kind: FactKind::Test };
        let event = |index| Event { record: digest(index), version, content: None, body: body.clone() };
        (0..count).map(event).collect()
    }

    async fn sealed_records(count: u16, batch_events: usize, shuffle: bool) -> (Vec<u32>, Vec<Event>) {
        let key = PrivateKey::generate();
        let options = OutboxOptions { batch_events, shuffle, ..OutboxOptions::new(key.public(), "test") };
        let sealed = seal(events(count), &options).await.unwrap();
        let mut opened = Vec::new();
        for batch in &sealed {
            let whole = key.open(&batch.batch.bytes).unwrap();
            assert_eq!((whole.id, whole.answer_key.expose()), (batch.batch.id, batch.answer_key.expose()));
            opened.extend(wire::decode(&whole.encoded).unwrap().into_iter().map(Result::unwrap));
        }
        (sealed.iter().map(|batch| batch.event_count).collect(), opened)
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
        seal_chunk(&seal_up_to(30), &events(101), &mut |_, _, events| sealed.push(events)).unwrap();
        assert_eq!(sealed, [25, 25, 25, 26]);
        let refused = seal_chunk(&seal_up_to(0), &events(2), &mut |_, _, events| sealed.push(events));
        assert!(matches!(refused, Err(OutboxError::Seal(SealError::TooLarge { bytes: 1 }))));
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
                version: Version { generation: 1, count: index },
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

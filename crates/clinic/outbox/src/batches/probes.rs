//! Probes: batches that ask the registry about records, and the count of its answers.

use std::collections::BTreeMap;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::wire::Probed;
use contract::{Difference, DifferenceKind, ProbeAnswer, RecordDigest, SealError, Version, wire};
use record_secrets::RecordSecrets;
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

use super::new_batch::NewBatch;
use super::sealing::Sealing;
use crate::corrections;
use crate::file::{OutboxError, json, to_ms};
use crate::records::{KnownRecord, RecordMap};
use crate::tokens::TokensInHand;

/// Most differences remembered for a repair; later ones are only counted, and found by the next
/// reconciliation.
pub(crate) const MAX_DIFFERENCES: i64 = 1_000_000;

/// Seals the records that a reconciliation asks about, as many a batch as the contract takes.
///
/// # Errors
/// [`OutboxError::Seal`] and [`OutboxError::NoToken`].
pub(crate) async fn seal_probes(
    sealing: &Sealing,
    probed: Vec<Probed>,
    reconciliation_id: i64,
) -> Result<Vec<NewBatch>, OutboxError> {
    sealing
        .tokens_ready(probed.len().div_ceil(wire::MAX_PROBED) + 1, None)
        .await?;
    let tokens = sealing.tokens().cloned();
    let mut sealer = sealing.sealer();
    let sizes = sealing.padded_sizes();
    let seal_all = move || {
        let mut sealed = Vec::new();
        for chunk in probed.chunks(wire::MAX_PROBED) {
            let mut try_seal = |chunk: &[Probed]| {
                let encoded = wire::encode_probe(chunk);
                let tokens = TokensInHand::take(tokens.as_ref())?;
                let (batch, answer_key) = tokens.seal(sealer.compress_encoded(&encoded)?, sizes)?;
                Ok(NewBatch {
                    batch,
                    answer_key,
                    event_count: 0,
                    answers: chunk.len().saturating_as(),
                    reconciliation_id: Some(reconciliation_id),
                    is_beacon: false,
                    tokens,
                })
            };
            seal_chunk(&mut try_seal, chunk, &mut |batch| sealed.push(batch))?;
        }
        Ok(sealed)
    };
    spawn_blocking(seal_all).await?
}

/// Seals a chunk as one batch, or as two halves when it is too large for the contract.
fn seal_chunk<T, Made>(
    try_seal: &mut impl FnMut(&[T]) -> Result<Made, OutboxError>,
    chunk: &[T],
    keep: &mut impl FnMut(Made),
) -> Result<(), OutboxError> {
    match try_seal(chunk) {
        Ok(made) => {
            keep(made);
            Ok(())
        }
        Err(OutboxError::Seal(SealError::TooLarge { .. })) if chunk.len() > 1 => {
            let (first, second) = chunk.split_at(chunk.len() / 2);
            seal_chunk(try_seal, first, keep)?;
            seal_chunk(try_seal, second, keep)
        }
        Err(error) => Err(error),
    }
}

/// An answered probe.
pub(super) struct AnsweredProbe {
    pub(super) reconciliation_id: i64,
    pub(super) answer: ProbeAnswer,
}

/// Differences of an answer, by what they mean here.
struct CountedAnswer {
    /// Number of records held as they are here.
    equal: i64,
    /// Records asked about in case that a lost state had sent them; it had not.
    never_sent: Vec<RecordDigest>,
    /// Numbers of differences, by [`DifferenceKind`].
    counts: [i64; 4],
    /// Versions that the registry holds instead, by the hex digits of the record.
    differing: BTreeMap<String, Option<u64>>,
}

impl CountedAnswer {
    fn of(answer: &ProbeAnswer, known: &RecordMap<KnownRecord>, secrets: &RecordSecrets) -> Self {
        let mut counted = Self {
            equal: i64::from(answer.equal),
            never_sent: Vec::new(),
            counts: [0; 4],
            differing: BTreeMap::new(),
        };
        for difference in &answer.differences {
            let record = &difference.record;
            let sent = known.get(record).map(|known| known.state.revision);
            let held = difference.held;
            let held = held.and_then(|held| secrets.revision(record, held));
            // A version that was sent after the probe is no surprise.
            if difference.what == DifferenceKind::Newer && held.is_some() && held <= sent {
                counted.equal += 1;
            } else if is_missing_rightly(difference, known) {
                counted.never_sent.push(*record);
            } else {
                counted.counts[difference.what as usize] += 1;
                let held = difference.held.map(Version::to_u64);
                counted.differing.insert(record.to_hex(), held);
            }
        }
        counted
    }
}

/// Counts an answered probe, and remembers its differences for the repair.
pub(super) async fn count_answer(
    connection: &mut SqliteConnection,
    probe: &AnsweredProbe,
    known: &RecordMap<KnownRecord>,
    secrets: &RecordSecrets,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let CountedAnswer {
        equal,
        never_sent,
        counts,
        differing,
    } = CountedAnswer::of(&probe.answer, known, secrets);
    corrections::forget_possible(connection, &never_sent).await?;
    let count_of = |kind: DifferenceKind| counts[kind as usize];
    sqlx::query(
        "UPDATE reconciliation SET answered = answered + ?2, equal = equal + ?3, \
         missing = missing + ?4, stale = stale + ?5, extra = extra + ?6, \
         conflicting = conflicting + ?7, \
         finished_at_ms = iif(all_sent AND answered + ?2 >= probes, ?8, NULL) WHERE id = ?1",
    )
    .bind(probe.reconciliation_id)
    .bind(equal + i64::try_from(never_sent.len()).unwrap_or(0) + counts.iter().sum::<i64>())
    .bind(equal)
    .bind(count_of(DifferenceKind::Missing))
    .bind(count_of(DifferenceKind::Stale))
    .bind(count_of(DifferenceKind::Newer))
    .bind(count_of(DifferenceKind::Conflicting))
    .bind(to_ms(now))
    .execute(&mut *connection)
    .await?;
    store_differences(connection, probe.reconciliation_id, &differing).await
}

/// Returns whether the registry lacks a record that was never sent from here.
fn is_missing_rightly(difference: &Difference, known: &RecordMap<KnownRecord>) -> bool {
    let known = known.get(&difference.record);
    difference.what == DifferenceKind::Missing && known.is_some_and(|known| !known.state.was_sent())
}

/// Remembers versions of the registry that differ, by the hex digits of the record.
async fn store_differences(
    connection: &mut SqliteConnection,
    reconciliation_id: i64,
    differing: &BTreeMap<String, Option<u64>>,
) -> Result<(), OutboxError> {
    sqlx::query(
        "INSERT INTO difference (reconciliation_id, record, held) \
         SELECT ?1, unhex(j.key), j.value FROM json_each(?2) AS j \
         WHERE (SELECT missing + stale + extra + conflicting FROM reconciliation WHERE id = ?1) \
         <= ?3 \
         ON CONFLICT DO UPDATE SET held = excluded.held",
    )
    .bind(reconciliation_id)
    .bind(json(differing))
    .bind(MAX_DIFFERENCES)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::{Event, PrivateKey, RecordDigest};

    use super::*;
    use crate::batches::test_events::{events, secrets};
    use crate::options::OutboxOptions;

    #[test]
    fn batch_too_large_for_the_contract_is_halved_and_an_event_too_large_is_an_error() {
        let key = PrivateKey::generate().public();
        let seal_up_to = |most: usize| {
            let key = key.clone();
            move |events: &[Event]| match events.len() {
                fits if fits <= most => {
                    key.seal(&wire::encode(events))?;
                    Ok(events.len())
                }
                bytes => Err(OutboxError::Seal(SealError::TooLarge { bytes })),
            }
        };
        let mut sealed = Vec::new();
        seal_chunk(&mut seal_up_to(30), &events(101), &mut |events| {
            sealed.push(events);
        })
        .unwrap();
        assert_eq!(sealed, [25, 25, 25, 26]);
        let refused = seal_chunk(&mut seal_up_to(0), &events(2), &mut |events| {
            sealed.push(events);
        });
        assert!(matches!(
            refused,
            Err(OutboxError::Seal(SealError::TooLarge { bytes: 1 }))
        ));
    }

    #[tokio::test]
    async fn probes_fill_batches_of_the_contracts_size() {
        let key = PrivateKey::generate();
        let options = OutboxOptions::new(key.public(), secrets(), "test");
        let probed = |index: u32| {
            // Random, as digests are: what cannot be compressed has to fit.
            let mut record = RecordDigest([0; 32]);
            let mut content = contract::ContentDigest([0; 16]);
            getrandom::fill(&mut record.0).unwrap();
            getrandom::fill(&mut content.0).unwrap();
            Probed {
                record,
                version: Version::new(index.into()).unwrap(),
                content,
                withdrawn: index.is_multiple_of(2),
            }
        };
        let all: Vec<Probed> = (1..=9000).map(probed).collect();
        let sealed = seal_probes(&Sealing::new(&options), all.clone(), 7)
            .await
            .unwrap();
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

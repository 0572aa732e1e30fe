//! Random appends, changes, roll-backs and reopenings against a hash table.

use std::collections::HashMap;
use std::ops::ControlFlow;

use contract::RecordDigest;
use proptest::prelude::*;
use record_index::{KnownRecord, RecordState, change, last_record_no, scan};
use record_secrets::Revision;

use crate::support::{End, Records, STATE, colliding};

/// Few keys, so that many records share one.
const KEYS: u64 = 6;

/// All records that a test may append.
const RECORDS: u64 = 60;

#[derive(Debug, Clone)]
enum Step {
    /// Looks a page up, appends what is new and changes what is known.
    Page {
        records: Vec<u64>,
        count: u32,
        end: End,
    },
    Reopen {
        flush_keys: i64,
    },
}

fn record(number: u64) -> RecordDigest {
    let key = (number % KEYS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    colliding(key, number)
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::btree_set(0..RECORDS, 0..12);
    let end = prop_oneof![
        Just(End::Noted),
        Just(End::Committed),
        Just(End::RolledBack)
    ];
    let page = (records, 1..1000_u32, end).prop_map(|(records, count, end)| Step::Page {
        records: records.into_iter().collect(),
        count,
        end,
    });
    let reopen = (2..9_i64).prop_map(|flush_keys| Step::Reopen { flush_keys });
    prop_oneof![8 => page, 1 => reopen]
}

/// Runs a page as the outbox does, in one transaction.
async fn page(
    records: &mut Records,
    model: &mut HashMap<RecordDigest, KnownRecord>,
    digests: &[RecordDigest],
    state: RecordState,
    end: End,
) {
    let found = records.look_up(digests).await;
    let new: Vec<_> = digests
        .iter()
        .filter(|one| !found.known.contains_key(one))
        .collect();
    let known = found.known.values().map(|stored| (stored.record_no, state));
    let mut transaction = sqlx::Connection::begin(&mut records.file.writer)
        .await
        .unwrap();
    let new_states = new.iter().map(|record| (*record, state));
    let appended = records
        .index
        .append(&mut transaction, new_states, found.upto)
        .await
        .unwrap();
    let apply = |_: &RecordDigest, state: &mut RecordState, new: RecordState| {
        *state = new;
        Ok(())
    };
    change(&mut transaction, known, apply).await.unwrap();
    if end == End::RolledBack {
        return transaction.rollback().await.unwrap();
    }
    transaction.commit().await.unwrap();
    if end == End::Noted {
        records.index.note_committed(&appended).await;
    }
    for (record_no, record) in (appended.after() + 1..).zip(new) {
        model.insert(*record, KnownRecord { record_no, state });
    }
    for record in found.known.keys() {
        model
            .entry(*record)
            .and_modify(|stored| stored.state = state);
    }
}

async fn run(steps: Vec<Step>) {
    let mut records = Records::new(4).await;
    let mut model = HashMap::new();
    let all: Vec<RecordDigest> = (0..RECORDS).map(record).collect();
    for step in steps {
        match step {
            Step::Page {
                records: numbers,
                count,
                end,
            } => {
                let digests: Vec<RecordDigest> = numbers.into_iter().map(record).collect();
                let state = RecordState {
                    revision: Revision {
                        generation: 1,
                        count,
                    },
                    ..STATE
                };
                page(&mut records, &mut model, &digests, state, end).await;
            }
            Step::Reopen { flush_keys } => records = records.reopen(flush_keys).await,
        }
        let found: HashMap<_, _> = records.look_up(&all).await.known.into_iter().collect();
        assert_eq!(found, model);
    }
    let mut scanned = HashMap::new();
    let visit = |record: &RecordDigest, stored: &KnownRecord| {
        scanned.insert(*record, *stored);
        ControlFlow::Continue(())
    };
    let last = last_record_no(&records.file.reader).await.unwrap();
    scan(&records.file.reader, 1..=last, visit).await.unwrap();
    assert_eq!(scanned, model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn index_agrees_with_a_hash_table(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

//! Versions as they travel: those of a record only ever rise, whatever becomes of the file.

use std::collections::{HashMap, HashSet};
use std::fs;

use contract::{BatchId, RecordDigest, Version};
use outbox::Outbox;
use proptest::prelude::*;

use crate::support::{FREELY, LEASE, Place, Source, asserted, at, delivered, page, withdrawn};

#[derive(Debug, Clone)]
enum Step {
    /// Commits a page; `None` withdraws the record.
    Commit(Vec<(u32, Option<u16>)>),
    /// Sweeps a source with these rows: the others are withdrawn.
    Sweep(Vec<u32>),
    Deliver,
    /// Copies the closed file.
    Copy,
    /// Puts the copy back, the generation file stays.
    Restore,
    /// Loses the file.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let said = (0_u32..8, prop::option::weighted(0.8, 0_u16..5));
    prop_oneof![
        6 => prop::collection::vec(said, 1..10).prop_map(Step::Commit),
        2 => prop::collection::vec(0_u32..8, 0..8).prop_map(Step::Sweep),
        4 => Just(Step::Deliver),
        2 => Just(Step::Copy),
        2 => Just(Step::Restore),
        1 => Just(Step::Lose),
    ]
}

/// Versions that the registry has seen, in their order.
#[derive(Default)]
struct Seen {
    batches: HashSet<BatchId>,
    latest: HashMap<RecordDigest, Version>,
}

impl Seen {
    /// Delivers all that is due; a batch that was seen before is the very same.
    async fn deliver(&mut self, place: &Place, outbox: &Outbox) {
        loop {
            let leased = outbox.lease(7, at(1), LEASE).await.unwrap();
            if leased.is_empty() {
                return;
            }
            for one in &leased {
                if !self.batches.insert(one.batch.id) {
                    continue;
                }
                for event in place.opened(std::slice::from_ref(one)) {
                    let before = self.latest.insert(event.record, event.version);
                    assert!(before < Some(event.version), "{before:?} {event:?}");
                }
            }
            outbox.settle(&delivered(&leased), at(1)).await.unwrap();
        }
    }
}

async fn live(steps: Vec<Step>) {
    let place = Place::new();
    let mut outbox = place.open().await;
    let mut seen = Seen::default();
    let mut copy = None;
    for step in steps {
        match step {
            Step::Commit(said) => {
                let draft = |(record, content): (u32, Option<u16>)| match content {
                    Some(content) => asserted(record, content),
                    None => withdrawn(record, true),
                };
                let drafts = said.into_iter().map(draft).collect();
                outbox.commit_page(page(drafts, "a")).await.unwrap();
            }
            Step::Sweep(rows) => {
                Source::of(rows).sweep(&outbox, FREELY).await;
            }
            Step::Deliver => seen.deliver(&place, &outbox).await,
            Step::Copy => {
                outbox.close().await.unwrap();
                copy = Some(fs::read(&place.path).unwrap());
                outbox = place.open().await;
            }
            Step::Restore => {
                outbox.close().await.unwrap();
                if let Some(copy) = &copy {
                    fs::write(&place.path, copy).unwrap();
                }
                outbox = place.open().await;
            }
            Step::Lose => {
                outbox.close().await.unwrap();
                fs::remove_file(&place.path).unwrap();
                copy = None;
                outbox = place.open().await;
            }
        }
    }
    seen.deliver(&place, &outbox).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn versions_of_a_record_only_ever_rise(steps in prop::collection::vec(step(), 1..30)) {
        tokio::runtime::Runtime::new().unwrap().block_on(live(steps));
    }
}

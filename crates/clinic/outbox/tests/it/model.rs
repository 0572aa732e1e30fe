//! Random lives of an outbox against a model in memory: in the end the registry has every record's
//! latest word.

use std::collections::{BTreeMap, HashMap};

use contract::{Body, Event, RecordDigest};
use draft::DraftBody;
use outbox::{Leased, Outbox, OutboxOptions};
use proptest::prelude::*;

use crate::support::{
    LEASE, Place, asserted, asserted_body, at, delivered, digest, failed, page, withdrawn,
};

#[derive(Debug, Clone)]
enum Said {
    Asserted(u16),
    Withdrawn { only_if_sent: bool },
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(u32, Said)>),
    Lease(usize),
    Deliver,
    Fail { wait_seconds: i64 },
    Pass { seconds: i64 },
    Reopen { tidily: bool },
    LoseFile,
    ForgetCursors,
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop_oneof![
        4 => (0_u16..4).prop_map(Said::Asserted),
        1 => any::<bool>().prop_map(|only_if_sent| Said::Withdrawn { only_if_sent }),
    ];
    prop_oneof![
        6 => prop::collection::vec((0_u32..12, said), 0..20).prop_map(Step::Commit),
        3 => (1_usize..4).prop_map(Step::Lease),
        2 => Just(Step::Deliver),
        2 => (0_i64..100).prop_map(|wait_seconds| Step::Fail { wait_seconds }),
        2 => (1_i64..90).prop_map(|seconds| Step::Pass { seconds }),
        1 => any::<bool>().prop_map(|tidily| Step::Reopen { tidily }),
        1 => Just(Step::LoseFile),
        1 => Just(Step::ForgetCursors),
    ]
}

/// Keeps the highest version of every record, as the registry does.
#[derive(Default)]
struct Registry(HashMap<RecordDigest, Event>);

impl Registry {
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            let held = self.0.entry(event.record).or_insert_with(|| event.clone());
            if event.version == held.version {
                assert_eq!(event.body, held.body, "one version never says two things");
            } else if event.version > held.version {
                *held = event;
            }
        }
    }
}

/// The clinic's records as last committed, and how the outbox ought to see them.
#[derive(Default)]
struct Clinic {
    latest: BTreeMap<u32, Body>,
    cursor: Option<String>,
    generation: u32,
}

struct Life {
    place: Place,
    outbox: Outbox,
    registry: Registry,
    clinic: Clinic,
    leased: Vec<Leased>,
    now: i64,
    pages: u32,
}

impl Life {
    async fn begin() -> Self {
        let place = Place::new();
        let outbox = open(&place).await;
        let clinic = Clinic {
            generation: 1,
            ..Clinic::default()
        };
        let registry = Registry::default();
        let leased = Vec::new();
        Self {
            place,
            outbox,
            registry,
            clinic,
            leased,
            now: 0,
            pages: 0,
        }
    }

    async fn live(&mut self, step: Step) {
        match step {
            Step::Commit(said) => self.commit(said).await,
            Step::Lease(max) => {
                self.leased
                    .extend(self.outbox.lease(max, at(self.now), LEASE).await.unwrap());
            }
            Step::Deliver => {
                // The registry hears of it whether or not the lease still holds.
                let leased = std::mem::take(&mut self.leased);
                self.registry.take(self.place.opened(&leased));
                self.outbox
                    .settle(&delivered(&leased), at(self.now))
                    .await
                    .unwrap();
            }
            Step::Fail { wait_seconds } => {
                let leased = std::mem::take(&mut self.leased);
                let settlements = failed(&leased, at(self.now + wait_seconds));
                self.outbox
                    .settle(&settlements, at(self.now))
                    .await
                    .unwrap();
            }
            Step::Pass { seconds } => self.now += seconds,
            Step::Reopen { tidily } => self.reopen(tidily, false).await,
            Step::LoseFile => {
                self.reopen(true, true).await;
                // Everything is read again, as the lost cursors make a gateway do.
                let all = self
                    .clinic
                    .latest
                    .iter()
                    .map(|(record, body)| (*record, body.clone()));
                let drafts = all.map(|(record, body)| {
                    let content = asserted_content(record, &body);
                    content.map_or_else(
                        || withdrawn(record, true),
                        |content| asserted(record, content),
                    )
                });
                self.outbox
                    .commit_page(page(drafts.collect(), "all"))
                    .await
                    .unwrap();
                self.clinic.cursor = Some("all".into());
            }
            Step::ForgetCursors => {
                self.outbox.forget_cursors("mis").await.unwrap();
                self.clinic.cursor = None;
            }
        }
        assert_eq!(self.outbox.generation(), self.clinic.generation);
        let cursor = self.outbox.cursor("mis", "recoveries").await.unwrap();
        assert_eq!(cursor, self.clinic.cursor);
    }

    async fn commit(&mut self, said: Vec<(u32, Said)>) {
        self.pages += 1;
        let resume = self.pages.to_string();
        let drafts: Vec<_> = said
            .into_iter()
            .map(|(record, said)| match said {
                Said::Asserted(content) => asserted(record, content),
                Said::Withdrawn { only_if_sent } => withdrawn(record, only_if_sent),
            })
            .collect();
        let done = self
            .outbox
            .commit_page(page(drafts.clone(), &resume))
            .await
            .unwrap();
        let unsent = done.unchanged + done.no_fact;
        assert_eq!(done.events() + unsent, drafts.len() as u64);
        let mut last = BTreeMap::new();
        for draft in drafts {
            last.insert(draft.record.0[28..].to_vec(), draft);
        }
        for (record, draft) in last {
            let record = u32::from_be_bytes(record.try_into().unwrap());
            let known = self.clinic.latest.contains_key(&record);
            if known || !draft.only_if_sent || self.clinic.generation > 1 {
                let DraftBody::Ready(body) = draft.body else {
                    panic!("no person is left to evaluate")
                };
                self.clinic.latest.insert(record, body);
            }
        }
        self.clinic.cursor = Some(resume);
    }

    async fn reopen(&mut self, tidily: bool, lose: bool) {
        // Leases end with their process; what was published without being settled may still have
        // arrived.
        let leased = std::mem::take(&mut self.leased);
        self.registry.take(self.place.opened(&leased));
        let placeholder = Place::new();
        let outbox = std::mem::replace(&mut self.outbox, open(&placeholder).await);
        if tidily {
            outbox.close().await.unwrap();
        } else {
            drop(outbox);
        }
        if lose {
            std::fs::remove_file(&self.place.path).unwrap();
            self.clinic.generation += 1;
        }
        self.outbox = open(&self.place).await;
    }
}

async fn open(place: &Place) -> Outbox {
    let options = OutboxOptions {
        batch_events: 3,
        ..place.options()
    };
    Outbox::open(&place.path, options, at(0)).await.unwrap()
}

/// Content of [`asserted`] that the body has, `None` for a withdrawal.
fn asserted_content(record: u32, body: &Body) -> Option<u16> {
    (0..4).find(|content| asserted_body(record, *content) == *body)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn registry_ends_with_every_records_latest_state(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::begin().await;
            for step in steps {
                life.live(step).await;
            }
            life.reopen(true, false).await;
            // Past every retry time.
            let rest = life.place.deliver_all(&life.outbox, at(life.now + 100)).await;
            life.registry.take(rest);
            let latest = life.clinic.latest;
            assert_eq!(life.registry.0.len(), latest.len());
            for (record, body) in latest {
                assert_eq!(life.registry.0[&digest(record)].body, body);
            }
        });
    }
}

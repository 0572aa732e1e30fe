//! Random lives of a clinic's table against pulls and sweeps that are interrupted anywhere: in the
//! end the registry asserts exactly what the table holds.

use std::collections::HashMap;

use contract::{Body, Event, RecordDigest};
use outbox::{Outbox, OutboxError, OutboxOptions, SourceStamp, SweepEnd, SweepLimits};
use proptest::prelude::*;

use crate::support::{LEASE, Place, Source, asserted_body, at, delivered, digest, finish};

/// Stamp of a row that is written.
#[derive(Debug, Clone, Copy)]
enum Stamped {
    Newest,
    /// Before everything: a late commit, a restored row.
    Late,
    /// The stamp that the row had, so that only its content tells.
    AsBefore,
    /// None at all.
    Never,
}

#[derive(Debug, Clone)]
enum Step {
    Write {
        record: u32,
        content: u16,
        stamped: Stamped,
    },
    Delete(u32),
    /// A row that was deleted comes back exactly as it was.
    Restore(u32),
    /// Reads the rows that changed since the last pull, by their stamps.
    Pull,
    /// Sweep that runs, or a whole one, to its end.
    Sweep,
    SweepPage,
    Finish,
    Confirm,
    Deliver,
    Reopen,
    Raise,
}

/// Steps of a life; `stamped` are the stamps that its rows get.
fn step(stamped: impl Strategy<Value = Stamped> + 'static) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u32..24, 0_u16..4, stamped)
            .prop_map(|(record, content, stamped)| Step::Write { record, content, stamped }),
        4 => (0_u32..24).prop_map(Step::Delete),
        2 => (0_u32..24).prop_map(Step::Restore),
        4 => Just(Step::Pull),
        3 => Just(Step::Sweep),
        4 => Just(Step::SweepPage),
        4 => Just(Step::Finish),
        1 => Just(Step::Confirm),
        3 => Just(Step::Deliver),
        2 => Just(Step::Reopen),
        1 => Just(Step::Raise),
    ]
}

struct Life {
    place: Place,
    outbox: Outbox,
    source: Source,
    deleted: HashMap<u32, (u16, SourceStamp)>,
    /// Rises with every write; the late ones count down from zero.
    clock: i64,
    pulled_to: i64,
    registry: HashMap<RecordDigest, Event>,
}

const LIMITS: SweepLimits = SweepLimits {
    percent: 20,
    always: 2,
};

async fn open(place: &Place) -> Outbox {
    let options = OutboxOptions {
        batch_events: 3,
        ..place.options()
    };
    Outbox::open(&place.path, options, at(0)).await.unwrap()
}

impl Life {
    async fn live(&mut self, step: Step) {
        match step {
            Step::Write {
                record,
                content,
                stamped,
            } => {
                self.clock += 1;
                let before = self.source.rows.get(&record).and_then(|(_, stamp)| *stamp);
                let stamp = match stamped {
                    Stamped::Newest => Some(self.clock),
                    Stamped::Late => Some(-self.clock),
                    Stamped::AsBefore => before,
                    Stamped::Never => None,
                };
                self.source.rows.insert(record, (content, stamp));
            }
            Step::Delete(record) => {
                let row = self.source.rows.remove(&record);
                self.deleted.extend(row.map(|row| (record, row)));
            }
            Step::Restore(record) => {
                let row = self.deleted.remove(&record);
                self.source.rows.extend(row.map(|row| (record, row)));
            }
            Step::Pull => {
                let newer = self
                    .source
                    .rows
                    .iter()
                    .filter(|(_, (_, stamp))| *stamp > Some(self.pulled_to));
                let page = self.source.page(newer.map(|(record, _)| *record));
                self.outbox.commit_page(page).await.unwrap();
                self.pulled_to = self.clock;
            }
            Step::Sweep => drop(self.source.sweep(&self.outbox, LIMITS).await),
            Step::SweepPage => drop(self.source.sweep_page(&self.outbox, 5).await),
            Step::Finish => match finish(&self.outbox, LIMITS).await {
                Ok(_) | Err(OutboxError::NoSweep) => {}
                Err(error) => panic!("{error}"),
            },
            Step::Confirm => drop(self.outbox.confirm_withdrawals("mis", None).await.unwrap()),
            Step::Deliver => {
                let leased = self.outbox.lease(4, at(0), LEASE).await.unwrap();
                let events = self.place.opened(&leased);
                self.take(events);
                self.outbox
                    .settle(&delivered(&leased), at(0))
                    .await
                    .unwrap();
            }
            Step::Reopen => {
                let placeholder = open(&Place::new()).await;
                drop(std::mem::replace(&mut self.outbox, placeholder));
                self.outbox = open(&self.place).await;
            }
            Step::Raise => {
                self.outbox
                    .raise_generation(self.outbox.generation() + 1, "a test", at(0))
                    .await
                    .unwrap();
                self.pulled_to = i64::MIN;
            }
        }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            let held = self
                .registry
                .entry(event.record)
                .or_insert_with(|| event.clone());
            if event.version == held.version {
                assert_eq!(event, *held, "one version never says two things");
            } else if event.version > held.version {
                *held = event;
            }
        }
    }

    /// The table rests: a last pull, the sweep that is under way, and one more.
    async fn come_to_rest(&mut self) {
        self.live(Step::Pull).await;
        for _ in 0..2 {
            while let SweepEnd::Held { missing, .. } = self.source.sweep(&self.outbox, LIMITS).await
            {
                assert_eq!(
                    self.outbox.confirm_withdrawals("mis", None).await.unwrap(),
                    missing
                );
            }
        }
        let rest = self.place.deliver_all(&self.outbox, at(100)).await;
        self.take(rest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn registry_asserts_exactly_what_the_table_holds(
        steps in prop::collection::vec(step(honest()), 1..60),
    ) {
        live_through(steps, Source::default());
    }

    #[test]
    fn content_sweeps_need_no_stamp(
        steps in prop::collection::vec(step(any_stamp()), 1..60),
    ) {
        let contents = true;
        live_through(steps, Source { contents, ..Source::default() });
    }
}

fn honest() -> impl Strategy<Value = Stamped> {
    prop_oneof![Just(Stamped::Newest), Just(Stamped::Late)]
}

fn any_stamp() -> impl Strategy<Value = Stamped> {
    prop_oneof![
        Just(Stamped::Newest),
        Just(Stamped::Late),
        Just(Stamped::AsBefore),
        Just(Stamped::Never),
    ]
}

/// Lives through these steps and comes to rest; the registry then asserts what the table holds.
fn live_through(steps: Vec<Step>, source: Source) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let place = Place::new();
        let outbox = open(&place).await;
        let deleted = HashMap::new();
        let registry = HashMap::new();
        let mut life = Life {
            place,
            outbox,
            source,
            deleted,
            clock: 0,
            pulled_to: 0,
            registry,
        };
        for step in steps {
            life.live(step).await;
        }
        life.come_to_rest().await;
        let mut holds: Vec<_> = life
            .registry
            .values()
            .filter(|event| matches!(event.body, Body::Asserted { .. }))
            .map(|event| (event.record, event.body.clone()))
            .collect();
        holds.sort_unstable_by_key(|(record, _)| *record);
        let mut table: Vec<_> = life
            .source
            .rows
            .iter()
            .map(|(record, (content, _))| (digest(*record), asserted_body(*record, *content)))
            .collect();
        table.sort_unstable_by_key(|(record, _)| *record);
        assert_eq!(holds, table);
    });
}

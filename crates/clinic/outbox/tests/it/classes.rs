//! Classes of facts that leave alike: facts of fewer persons than asked for are withheld, and leave
//! once there are enough.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Body, ContentDigest, Event};
use draft::{ClassMember, CoarserFact, Draft, DraftBody, FactClass};
use outbox::{
    Committed, Outbox, PageCommit, Prepared, RecordName, Refused, SweepEnd, WithheldCount,
};
use proptest::prelude::*;
use record_secrets::{ClassDigest, ClassPerson};

use crate::corrections::{WITHDRAW, noted, withdrawn_and_held};
use crate::support::{
    FREELY, Place, Source, asserted, at, digest, name_of, page, secrets, withdrawn,
};

/// Least number of persons of a class in these tests.
const THREE: u8 = 3;

/// Draft of a fact of which at least three persons must have the same.
fn classed(record: u32, content: u16, person: u8) -> Draft {
    let member = |number: u16| {
        let mut class = [0; 16];
        class[..2].copy_from_slice(&number.to_be_bytes());
        ClassMember {
            class: ClassDigest(class),
            person: vec![ClassPerson([person; 8])],
        }
    };
    // Contents of ten are one of a hundred with a coarser date.
    let coarse = 100 + content / 10;
    let coarser = asserted(record, coarse);
    let DraftBody::Ready(Body::Asserted { fact, .. }) = coarser.body else {
        panic!("an assertion");
    };
    Draft {
        class: Some(FactClass {
            member: member(content),
            least_persons: THREE,
            coarser: vec![CoarserFact {
                fact,
                content: coarser.content,
                member: member(coarse),
            }],
        }),
        ..asserted(record, content)
    }
}

/// Page of these drafts, with the names of their records.
fn named(drafts: Vec<Draft>) -> PageCommit {
    let records = drafts.iter().map(|draft| draft.record.0);
    let number = |digest: [u8; 32]| digest[28..].try_into().map(u32::from_be_bytes).unwrap();
    let names = records.map(|digest| name_of(number(digest))).collect();
    PageCommit {
        names,
        ..page(drafts, "pulled")
    }
}

async fn commit(outbox: &Outbox, drafts: Vec<Draft>) -> Committed {
    outbox.commit_page(named(drafts)).await.unwrap()
}

async fn withheld(outbox: &Outbox) -> WithheldCount {
    outbox.reader().status().await.unwrap().feeds[0].withheld
}

/// The clinic's ids of the records that are due.
async fn due(outbox: &Outbox) -> Vec<String> {
    let due = outbox.due_records("mis", "recoveries", 100).await.unwrap();
    let mut ids: Vec<String> = due.into_iter().map(|due| due.record_id).collect();
    ids.sort_unstable();
    ids
}

/// Records that leave, sorted.
async fn leaving(place: &Place, outbox: &Outbox) -> Vec<u32> {
    let events = place.deliver_all(outbox, at(0)).await;
    let number = |event: &Event| {
        let digest: [u8; 4] = event.record.0[28..].try_into().unwrap();
        u32::from_be_bytes(digest)
    };
    let mut records: Vec<u32> = events.iter().map(number).collect();
    records.sort_unstable();
    records
}

#[tokio::test]
async fn facts_are_withheld_until_the_last_lacking_person_comes() {
    let place = Place::new();
    let outbox = place.open().await;
    let done = commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    assert_eq!((done.withheld, done.sent, done.batches), (2, 0, 0));
    // Records of the same persons add nobody, and another fact is another class.
    let done = commit(&outbox, vec![classed(3, 7, 1), classed(4, 8, 3)]).await;
    assert_eq!((done.withheld, done.sent), (2, 0));
    assert_eq!(leaving(&place, &outbox).await, [0; 0]);
    assert_eq!(due(&outbox).await, [""; 0]);
    let waiting = withheld(&outbox).await;
    assert_eq!((waiting.records, waiting.due), (4, 0));
    assert_eq!(waiting.oldest_at, Some(at(0)));

    let done = commit(&outbox, vec![classed(5, 7, 3), classed(6, 9, 1)]).await;
    assert_eq!((done.withheld, done.new), (1, 1));
    assert_eq!(leaving(&place, &outbox).await, [5]);
    assert_eq!(due(&outbox).await, ["1", "2", "3"]);
    let waiting = withheld(&outbox).await;
    assert_eq!((waiting.records, waiting.due), (5, 3));

    // What was read again leaves, and the class stays open.
    let again = vec![classed(1, 7, 1), classed(2, 7, 2), classed(3, 7, 1)];
    assert_eq!(commit(&outbox, again).await.new, 3);
    assert_eq!(commit(&outbox, vec![classed(9, 7, 9)]).await.new, 1);
    assert_eq!(leaving(&place, &outbox).await, [1, 2, 3, 9]);
    assert_eq!(due(&outbox).await, [""; 0]);
    assert_eq!(withheld(&outbox).await.records, 2);
    // So it does behind a restart.
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert_eq!(commit(&outbox, vec![classed(10, 7, 9)]).await.new, 1);
    let done = commit(&outbox, vec![classed(4, 8, 3), classed(11, 8, 4)]).await;
    assert_eq!((done.withheld, done.new), (2, 0));
    assert_eq!(commit(&outbox, vec![classed(12, 8, 5)]).await.new, 1);
}

#[tokio::test]
async fn a_page_that_has_all_the_persons_leaves_at_once() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts = (1..=3).map(|record: u32| classed(record, 7, u8::try_from(record).unwrap()));
    let done = commit(&outbox, drafts.collect()).await;
    assert_eq!((done.new, done.withheld), (3, 0));
    assert_eq!(leaving(&place, &outbox).await, [1, 2, 3]);
}

#[tokio::test]
async fn persons_that_turn_out_to_be_one_are_counted_as_one() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    let mut both = classed(3, 7, 1);
    let class = both.class.as_mut().unwrap();
    class.member.person.push(ClassPerson([2; 8]));
    class.coarser[0].member.person.push(ClassPerson([2; 8]));
    commit(&outbox, vec![both]).await;
    let done = commit(&outbox, vec![classed(4, 7, 3)]).await;
    assert_eq!(
        (done.new, done.withheld),
        (0, 1),
        "two persons, in four records"
    );
    assert_eq!(commit(&outbox, vec![classed(5, 7, 4)]).await.new, 1);
}

#[tokio::test]
async fn a_correction_into_a_small_class_takes_the_older_version_back_until_it_leaves() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![asserted(1, 5)]).await;
    assert_eq!(leaving(&place, &outbox).await, [1]);
    let done = commit(&outbox, vec![classed(1, 7, 1)]).await;
    assert_eq!((done.withheld, done.corrected), (1, 0));
    assert_eq!(noted(&outbox).await.waiting, 1);
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    let events = place.deliver_all(&outbox, at(0)).await;
    assert!(matches!(
        events[..],
        [Event {
            body: Body::Withdrawn { .. },
            ..
        }]
    ));
    // Read again while its class is small, nothing changes.
    assert_eq!(commit(&outbox, vec![classed(1, 7, 1)]).await.withheld, 1);
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));

    commit(&outbox, vec![classed(2, 7, 2), classed(3, 7, 3)]).await;
    assert_eq!(due(&outbox).await, ["1"]);
    assert_eq!(commit(&outbox, vec![classed(1, 7, 1)]).await.corrected, 1);
    assert_eq!(leaving(&place, &outbox).await, [1, 2, 3]);
    assert_eq!(noted(&outbox).await.withdrawn, 0);
}

#[tokio::test]
async fn what_stood_before_the_policy_stands_and_counts() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![asserted(1, 7), asserted(2, 7)]).await;
    let done = commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    assert_eq!((done.unchanged, done.withheld), (2, 0));
    assert_eq!(withheld(&outbox).await.records, 0);
    assert_eq!(commit(&outbox, vec![classed(3, 7, 3)]).await.new, 1);

    // What stands is sent again where something else of it changes, such as a key of pseudonyms.
    commit(&outbox, vec![asserted(21, 9)]).await;
    commit(&outbox, vec![classed(21, 9, 1)]).await;
    leaving(&place, &outbox).await;
    let other_names = Draft {
        content: ContentDigest([0xee; 16]),
        ..classed(21, 9, 1)
    };
    let done = commit(&outbox, vec![other_names]).await;
    assert_eq!((done.corrected, done.withheld), (1, 0));
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));

    // Taken back, it counts no more.
    commit(&outbox, vec![asserted(11, 8), asserted(12, 8)]).await;
    commit(&outbox, vec![classed(11, 8, 1), classed(12, 8, 2)]).await;
    assert_eq!(
        commit(&outbox, vec![withdrawn(12, false)]).await.withdrawn,
        1
    );
    assert_eq!(commit(&outbox, vec![classed(13, 8, 3)]).await.withheld, 1);
}

#[tokio::test]
async fn a_record_that_is_taken_back_refused_or_gone_counts_no_more() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    commit(&outbox, vec![withdrawn(1, true)]).await;
    assert_eq!(commit(&outbox, vec![classed(3, 7, 3)]).await.withheld, 1);
    let refused = PageCommit {
        refused: vec![Refused {
            value: None,
            record_id: "2".into(),
            reason: "bad-snils",
            record: digest(2),
            stamp: None,
        }],
        ..page(Vec::new(), "pulled")
    };
    outbox.commit_page(refused).await.unwrap();
    assert_eq!(withheld(&outbox).await.records, 1);
    assert_eq!(commit(&outbox, vec![classed(4, 7, 4)]).await.withheld, 1);

    // A due record whose row is gone is forgotten by whoever finds that out.
    commit(&outbox, vec![classed(5, 7, 5)]).await;
    assert_eq!(due(&outbox).await, ["3", "4"]);
    outbox.forget_due_records(&[digest(3)]).await.unwrap();
    assert_eq!(due(&outbox).await, ["4"]);
}

#[tokio::test]
async fn a_sweep_forgets_what_is_withheld_of_a_row_that_is_gone() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    let source = Source::of([1]);
    let end = source.sweep(&outbox, FREELY).await;
    assert!(matches!(end, SweepEnd::Done { .. }), "{end:?}");
    // The sweep has read the row of record 1 again, under no policy: its stamp had changed.
    assert_eq!(withheld(&outbox).await.records, 0);
    assert_eq!(commit(&outbox, vec![classed(3, 7, 3)]).await.withheld, 1);
    assert_eq!(commit(&outbox, vec![classed(4, 7, 4)]).await.withheld, 1);
}

#[tokio::test]
async fn a_withheld_row_that_is_gone_after_a_state_was_lost_is_withdrawn_as_it_may_have_been_sent()
{
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    let raised = outbox.raise_generation(2, "a test", at(0)).await.unwrap();
    assert!(raised);
    commit(&outbox, vec![classed(2, 7, 2)]).await;
    assert_eq!(
        withdrawn_and_held(&outbox, WITHDRAW).await,
        (1, 0),
        "what was read"
    );
    Source::of([2]).sweep(&outbox, FREELY).await;
    assert_eq!(
        withdrawn_and_held(&outbox, WITHDRAW).await,
        (1, 0),
        "what is gone"
    );
    let events = place.deliver_all(&outbox, at(0)).await;
    let taken_back = events
        .iter()
        .filter(|event| matches!(event.body, Body::Withdrawn { .. }))
        .map(|event| event.record);
    let mut taken_back: Vec<_> = taken_back.collect();
    taken_back.sort_unstable();
    let mut expected = [digest(1), digest(2)];
    expected.sort_unstable();
    assert_eq!(taken_back, expected);
}

#[tokio::test]
async fn without_the_policy_what_was_withheld_leaves() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1), classed(2, 7, 2)]).await;
    assert_eq!(commit(&outbox, vec![asserted(1, 7)]).await.new, 1);
    assert_eq!(withheld(&outbox).await.records, 1);
    assert_eq!(leaving(&place, &outbox).await, [1]);
}

#[tokio::test]
async fn pages_prepared_side_by_side_count_each_others_persons() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, vec![classed(1, 7, 1)]).await;
    let prepare = async |drafts| outbox.prepare(named(drafts)).await.unwrap();
    let first: Prepared = prepare(vec![classed(2, 7, 2)]).await;
    let mut second: Prepared = prepare(vec![classed(3, 7, 3)]).await;
    assert!(second.join(prepare(vec![classed(4, 7, 3)]).await).is_err());
    assert_eq!(outbox.commit(first).await.unwrap().withheld, 1);
    let done = outbox.commit(second).await.unwrap();
    assert_eq!((done.new, done.withheld), (1, 0), "prepared anew");
    assert_eq!(due(&outbox).await, ["1", "2"]);
}

#[tokio::test]
async fn withheld_records_are_listed_with_the_persons_of_their_class() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(
        &outbox,
        vec![classed(1, 7, 1), classed(2, 7, 2), classed(3, 8, 1)],
    )
    .await;
    let list = async |source| {
        let listed = outbox
            .reader()
            .withheld_records(&secrets(), source, 10)
            .await;
        let listed = listed.unwrap().into_iter();
        let mut listed: Vec<_> = listed.map(|one| (one.record_id, one.persons)).collect();
        listed.sort_unstable();
        listed
    };
    let two = |id: &str| (id.to_owned(), Some(2));
    let one = ("3".to_owned(), Some(1));
    assert_eq!(list(None).await, [two("1"), two("2"), one.clone()]);
    assert_eq!(list(Some("mis")).await.len(), 3);
    assert_eq!(list(Some("other")).await, []);
    commit(&outbox, vec![classed(4, 7, 4)]).await;
    let due = |id: &str| (id.to_owned(), None);
    assert_eq!(list(None).await, [due("1"), due("2"), one]);
    let rows = outbox.reader().status().await.unwrap().feeds[0].rows;
    assert_eq!((rows.read, rows.sent, rows.withheld), (4, 1, 3));
}

#[tokio::test]
async fn nothing_of_a_withheld_record_can_be_read_on_the_disk() {
    let place = Place::new();
    let outbox = place.open().await;
    let id = "chart-4711-of-the-third-floor";
    let withheld = PageCommit {
        names: vec![RecordName {
            record: digest(1),
            record_id: id.into(),
        }],
        ..page(vec![classed(1, 7, 1)], "pulled")
    };
    assert_eq!(outbox.commit_page(withheld).await.unwrap().withheld, 1);
    let listed = outbox.reader().withheld_records(&secrets(), None, 10).await;
    assert_eq!(listed.unwrap()[0].record_id, id);
    outbox.close().await.unwrap();
    let files = std::fs::read_dir(place.folder.path()).unwrap();
    for file in files {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = bytes.windows(id.len()).any(|some| some == id.as_bytes());
        assert!(!holds, "the clinic's id");
    }
}

#[tokio::test]
async fn what_waits_leaves_with_a_coarser_date_once_persons_are_enough() {
    let place = Place::new();
    let outbox = place.open().await;
    let rows = || vec![classed(1, 11, 1), classed(2, 12, 2), classed(3, 13, 2)];
    commit(&outbox, rows()).await;
    let coarsen = async |feed, since| outbox.coarsen_withheld(feed, at(since)).await.unwrap();
    assert_eq!(coarsen("recoveries", 0).await, 0, "two persons");
    commit(&outbox, vec![classed(4, 14, 3), classed(5, 25, 4)]).await;
    assert_eq!(coarsen("recoveries", -1).await, 0, "not long enough");
    assert_eq!(coarsen("tests", 0).await, 0, "another kind");
    assert_eq!(coarsen("recoveries", 0).await, 4);
    assert_eq!(due(&outbox).await, ["1", "2", "3", "4"]);
    // Prepared before, a page is prepared anew: it would have been withheld.
    assert_eq!(commit(&outbox, rows()).await.new, 3);
    // A row that says something else by now waits for its own class.
    assert_eq!(commit(&outbox, vec![classed(4, 30, 3)]).await.withheld, 1);
    assert_eq!(leaving(&place, &outbox).await, [1, 2, 3]);
    assert_eq!(due(&outbox).await, [""; 0]);
    let count = withheld(&outbox).await;
    assert_eq!((count.records, count.coarsened), (2, 3));

    // The class with the coarser date is open; one that comes late joins it.
    commit(&outbox, vec![classed(6, 15, 9)]).await;
    assert_eq!(coarsen("recoveries", 0).await, 1);
    assert_eq!(commit(&outbox, vec![classed(6, 15, 9)]).await.new, 1);
    // Facts that are as coarse by themselves are of the same class.
    assert_eq!(commit(&outbox, vec![classed(7, 101, 8)]).await.new, 1);
}

#[tokio::test]
async fn what_stands_with_a_coarser_date_by_another_policy_leaves_exactly_once_its_class_is_open() {
    let place = Place::new();
    let outbox = place.open().await;
    let coarse = [1, 2, 3].map(|record| asserted(record, 101));
    commit(&outbox, coarse.to_vec()).await;
    leaving(&place, &outbox).await;
    let done = commit(&outbox, vec![classed(1, 11, 1), classed(2, 12, 2)]).await;
    assert_eq!(
        (done.unchanged, done.withheld),
        (2, 0),
        "it goes on standing"
    );
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (0, 0));
    assert_eq!(withheld(&outbox).await.coarsened, 0);
    let exact = vec![classed(3, 13, 3), classed(4, 13, 4), classed(5, 13, 5)];
    let done = commit(&outbox, exact).await;
    assert_eq!((done.corrected, done.new), (1, 2));
    // One that went on standing counts in its class, and leaves with it when it is read.
    let others = vec![classed(6, 11, 6), classed(7, 11, 7)];
    assert_eq!(commit(&outbox, others).await.new, 2);
    assert_eq!(commit(&outbox, vec![classed(1, 11, 1)]).await.corrected, 1);
}

#[tokio::test]
async fn what_left_with_a_coarser_date_stays_so_in_a_new_generation_and_behind_a_repair() {
    let place = Place::new();
    let outbox = place.open().await;
    let rows = || vec![classed(1, 11, 1), classed(2, 12, 2), classed(3, 13, 3)];
    commit(&outbox, rows()).await;
    assert_eq!(
        outbox.coarsen_withheld("recoveries", at(0)).await.unwrap(),
        3
    );
    commit(&outbox, rows()).await;
    leaving(&place, &outbox).await;
    let raised = outbox.raise_generation(2, "a test", at(0)).await.unwrap();
    assert!(raised);
    let done = commit(&outbox, rows()).await;
    assert_eq!((done.resent, done.withheld), (3, 0));
    let events = place.deliver_all(&outbox, at(0)).await;
    let coarse = |record| crate::support::asserted_body(record, 101);
    let mut bodies: Vec<_> = events.into_iter().map(|event| event.body).collect();
    for record in 1..=3 {
        let place = bodies.iter().position(|body| *body == coarse(record));
        bodies.remove(place.expect("the coarser fact"));
    }
    assert_eq!(bodies, []);
    assert_eq!(withheld(&outbox).await.coarsened, 3);
}

/// What a row of the clinic says: its content, which names the class, and its person.
type Row = (u16, u8);

#[derive(Debug, Clone)]
enum Step {
    /// Rows are written, changed or taken out, and read.
    Pull(Vec<(u8, Option<Row>)>),
    /// The run ends: what is due is read again, and refused corrections are settled.
    EndRun,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let row = prop::option::weighted(0.85, (0_u16..3, 0_u8..6));
    prop_oneof![
        5 => prop::collection::vec((0_u8..14, row), 1..6).prop_map(Step::Pull),
        3 => Just(Step::EndRun),
        1 => Just(Step::Reopen),
    ]
}

/// A clinic whose rows are read into an outbox, and what the registry holds of them.
struct Life {
    place: Place,
    outbox: Outbox,
    rows: BTreeMap<u8, Row>,
    /// Content of each record that stands at the registry.
    registry: BTreeMap<u8, u16>,
    /// Contents of which three persons were known at once.
    opened: BTreeSet<u16>,
}

impl Life {
    async fn begin() -> Self {
        let place = Place::new();
        Self {
            outbox: place.open().await,
            place,
            rows: BTreeMap::new(),
            registry: BTreeMap::new(),
            opened: BTreeSet::new(),
        }
    }

    async fn live(&mut self, step: Step) {
        match step {
            Step::Pull(written) => self.pull(written).await,
            Step::EndRun => self.end_run().await,
            Step::Reopen => {
                let elsewhere = Place::new();
                let outbox = std::mem::replace(&mut self.outbox, elsewhere.open().await);
                outbox.close().await.unwrap();
                self.outbox = self.place.open().await;
            }
        }
        self.deliver().await;
    }

    async fn pull(&mut self, written: Vec<(u8, Option<Row>)>) {
        let mut read = BTreeSet::new();
        for (record, row) in written {
            match row {
                Some(row) => self.rows.insert(record, row),
                None => self.rows.remove(&record),
            };
            read.insert(record);
        }
        self.note_open();
        self.read(read).await;
    }

    fn note_open(&mut self) {
        for content in 0..3 {
            let rows = self.rows.values().filter(|(its, _)| *its == content);
            let persons: BTreeSet<u8> = rows.map(|(_, person)| *person).collect();
            if persons.len() >= usize::from(THREE) {
                self.opened.insert(content);
            }
        }
    }

    async fn read(&self, records: impl IntoIterator<Item = u8>) {
        let drafts = records
            .into_iter()
            .map(|record| match self.rows.get(&record) {
                Some((content, person)) => classed(record.into(), *content, *person),
                None => withdrawn(record.into(), true),
            });
        commit(&self.outbox, drafts.collect()).await;
    }

    async fn end_run(&self) {
        let due = due(&self.outbox).await;
        self.read(due.iter().map(|id| id.parse().unwrap())).await;
        withdrawn_and_held(&self.outbox, WITHDRAW).await;
    }

    async fn deliver(&mut self) {
        for event in self.place.deliver_all(&self.outbox, at(0)).await {
            let record = event.record.0[31];
            match &event.body {
                Body::Withdrawn { .. } => {
                    self.registry.remove(&record);
                }
                Body::Asserted { .. } => {
                    let content = (0..3)
                        .find(|it| crate::support::asserted_body(record.into(), *it) == event.body)
                        .expect("a content of these tests");
                    assert!(self.opened.contains(&content), "left of a small class");
                    self.registry.insert(record, content);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_leaves_of_a_small_class_and_everything_of_an_open_one(
        steps in prop::collection::vec(step(), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::begin().await;
            for step in steps {
                life.live(step).await;
            }
            life.live(Step::EndRun).await;
            life.live(Step::EndRun).await;
            let open = |row: &Row| life.opened.contains(&row.0);
            let expected = life.rows.iter().filter(|(_, row)| open(row));
            let expected: BTreeMap<u8, u16> =
                expected.map(|(record, (content, _))| (*record, *content)).collect();
            assert_eq!(life.registry, expected);
            let held = life.rows.len() - expected.len();
            let status = life.outbox.reader().status().await.unwrap();
            let counted = status.feeds.first().map_or(0, |feed| feed.withheld.records);
            assert_eq!(counted, held as u64);
        });
    }
}

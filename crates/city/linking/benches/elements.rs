//! Cost of the second layer of suite `voprf`, beside bare multiplications of the same elements and
//! beside the HMAC of the other suites, in one run.
//!
//! `cargo bench -p linking --bench elements`.

#![expect(clippy::print_stdout, reason = "the benchmark prints its figures")]

use std::hint::black_box;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::{Clock, SystemClock};
use contract::{
    BatchId, Body, ContentDigest, Event, Fact, OwnerToken, PartialDate, Pseudonym, RecordDigest,
    Scheme, Subject, Suite, TestCode, TestResult, Version,
};
use linking::{Acceptance, OpenBatch, OpenEpoch, SecondLayerKey};
use oprf::{Element, Factor};

/// Events that each way is measured over.
const EVENTS: u32 = 10_000;

/// Names of an event.
const NAMES: usize = 2;

/// Compressed generator of ristretto255 (RFC 9496, appendix A.1).
const GENERATOR: &str = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76";

fn main() {
    let clock = SystemClock::default();
    let key = SecondLayerKey::generate();
    let elements = elements();
    let factor = Factor::derive(b"a factor of the benchmark", &[7; 32]);
    let bare = time(&clock, || {
        for element in &elements {
            black_box(element.times(&factor));
        }
    });
    let voprf = intake(&clock, &key, events(&elements, Suite::Voprf));
    let hmac = intake(&clock, &key, events(&elements, Suite::Hmac));
    let each = |whole: Duration| whole.as_secs_f64() * 1e6 / f64::from(EVENTS);
    let rate = |whole: Duration| f64::from(EVENTS) / whole.as_secs_f64();
    println!("{EVENTS} events of {NAMES} names on one core");
    println!("bare multiplications     {:>8.1} us an event", each(bare));
    println!(
        "intake, suite voprf      {:>8.1} us an event, {:.0} events/s: {:.2} of bare multiplication",
        each(voprf),
        rate(voprf),
        bare.as_secs_f64() / voprf.as_secs_f64()
    );
    println!(
        "intake, suite hmac       {:>8.1} us an event, {:.0} events/s",
        each(hmac),
        rate(hmac)
    );
}

fn elements() -> Vec<Element> {
    let mut generator = [0; 32];
    hex::decode_to_slice(GENERATOR, &mut generator).expect("64 hex characters");
    let mut last = Element::from_bytes(generator).expect("the generator is an element");
    let step = Factor::derive(b"elements of the benchmark", &[9; 32]);
    let mut next = || {
        last = last.times(&step);
        last
    };
    (0..EVENTS as usize * NAMES).map(|_| next()).collect()
}

fn events(elements: &[Element], suite: Suite) -> Vec<Event> {
    let fact = Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::NotDetected,
        occurred_on: PartialDate::from_month(2021, 6).expect("a month of 2021"),
    };
    let event = |(number, names): (u32, &[Element])| {
        let schemes = [Scheme::Snils, Scheme::Oms];
        let names = schemes.into_iter().zip(names);
        let names = names.map(|(scheme, element)| Pseudonym {
            scheme,
            suite,
            epoch: 1,
            value: element.to_bytes(),
        });
        let mut record = RecordDigest([9; 32]);
        record.0[..4].copy_from_slice(&number.to_be_bytes());
        Event {
            record,
            version: Version::MAX,
            content: ContentDigest([2; 16]),
            owner: OwnerToken([3; 16]),
            body: Body::Asserted {
                subject: Subject::new(names.collect()).expect("two names are a subject"),
                fact: fact.clone(),
            },
        }
    };
    (0..).zip(elements.chunks_exact(NAMES)).map(event).collect()
}

/// Time that the decoded events take to become what the store takes.
fn intake(clock: &dyn Clock, key: &SecondLayerKey, events: Vec<Event>) -> Duration {
    let acceptance = Acceptance {
        key,
        open_epochs: &[OpenEpoch::of_every_suite(1)],
        now: DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(1_625_000_000),
    };
    let decoded = events.into_iter().map(Ok).collect();
    time(clock, || {
        let batch = OpenBatch::new(BatchId([1; 16]), decoded, acceptance);
        assert_eq!(batch.events.len(), EVENTS as usize);
        black_box(batch);
    })
}

fn time(clock: &dyn Clock, work: impl FnOnce()) -> Duration {
    let begun = clock.elapsed();
    work();
    clock.elapsed().saturating_sub(begun)
}

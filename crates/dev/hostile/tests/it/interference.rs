//! Everything that the registry's side sees behind the relay: other people and other clinics change
//! nothing of it but what is random to whoever has no key, and nothing of it tells two clinics
//! apart.

use std::collections::{BTreeSet, HashMap};

use contract::wire::{decode, encode};
use contract::{
    Body, ContentDigest, Event, OwnerToken, PrivateKey, Pseudonym, RecordDigest, Scheme, Subject,
    Version, batch_id_of_whole,
};
use escrow::AuditorKey;
use hostile::Clinic;
use hostile::classifier::{Accuracy, Example, accuracy_of};
use hostile::dice::Dice;
use hostile::people::{fact, name};

use crate::recorded::recorded;
use crate::relayed::{Brokers, Relayed};

const SLOTS: usize = 12;
/// Batches of each of two clinics in a slot.
const BATCHES: usize = 16;
/// Events of a large batch: it fills the second padded size to two thirds.
const LARGE: u32 = 100;
/// Persons whom both clinics treat.
const PEOPLE: u32 = 300;

/// Two clinics, their accounts, and their people.
pub(crate) struct Clinics {
    pub(crate) accounts: [&'static str; 2],
    record_keys: [u64; 2],
    first_person: u32,
}

pub(crate) const ONE: Clinics = Clinics {
    accounts: ["fsb-polyclinic", "fso-polyclinic"],
    record_keys: [1, 2],
    first_person: 0,
};
pub(crate) const OTHER: Clinics = Clinics {
    accounts: ["clinic-7", "8"],
    record_keys: [77, 88],
    first_person: 1_000_000,
};

/// Message as the registry's side sees it, with what its keys open.
#[derive(Clone)]
pub(crate) struct Seen {
    slot: usize,
    properties: Vec<u8>,
    bytes: Vec<u8>,
    events: Vec<Event>,
    /// Truth: which of the two clinics sent it.
    is_second: bool,
}

/// Has two clinics send the same facts as any other two would, and returns what is seen of it.
pub(crate) async fn play(brokers: &Brokers, clinics: &Clinics) -> Vec<Seen> {
    let folder = tempfile::tempdir().unwrap();
    let registry = PrivateKey::generate();
    let mut relay = Relayed::start(
        brokers,
        &folder.path().join("relay"),
        &clinics.accounts,
        2 * BATCHES,
        &AuditorKey::generate(),
    )
    .await;
    let mut senders = clinics.record_keys.map(Clinic::new);
    let mut dice = Dice::new(2021);
    let mut record = 0;
    for _ in 0..SLOTS {
        for place in 0..2 * BATCHES {
            let count = match dice.below(8) {
                0 => LARGE,
                number => 1 + number % 3,
            };
            let mut events = Vec::new();
            for _ in 0..count {
                record += 1;
                let person = clinics.first_person + dice.below(PEOPLE);
                let mut names = vec![name(Scheme::Snils, person)];
                if person.is_multiple_of(2) {
                    names.push(name(Scheme::PassportRu, person));
                }
                let fact = fact(dice.below(600));
                events.push(senders[place % 2].state(record, &names, fact));
            }
            let sealed = registry.public().seal(&encode(&events)).unwrap();
            relay.send(place % 2, sealed.0).await;
        }
        relay.slot().await;
    }
    let passed = relay.end().await;
    let outer = passed.outer.iter();
    let senders: HashMap<&[u8], usize> = outer
        .map(|outer| (&outer.batch.bytes[..], outer.account))
        .collect();
    let inner = passed.inner.into_iter();
    inner
        .map(|inner| {
            let opened = registry.open(&inner.bytes).unwrap();
            let events = decode(&opened.encoded).unwrap();
            let events: Vec<Event> = events.into_iter().map(Result::unwrap).collect();
            assert!(
                encode(&events) == *opened.encoded,
                "nothing stands in a batch beside the events"
            );
            Seen {
                slot: inner.slot,
                is_second: senders[&inner.bytes[..]] == 1,
                properties: inner.properties,
                bytes: inner.bytes,
                events,
            }
        })
        .collect()
}

/// Event with everything blanked that may differ between two clinics: pseudonyms, the record's
/// digest and its version, the owner's token, the digest of the content.
fn blanked(event: &Event) -> Event {
    let body = match &event.body {
        Body::Asserted { subject, fact } => {
            let names = subject.pseudonyms().iter();
            let names = names.map(|name| Pseudonym {
                value: [0; 32],
                ..*name
            });
            Body::Asserted {
                subject: Subject::new(names.collect()).unwrap(),
                fact: fact.clone(),
            }
        }
        Body::Withdrawn { kind } => Body::Withdrawn { kind: *kind },
    };
    Event {
        record: RecordDigest([0; 32]),
        version: Version::new(1).unwrap(),
        content: ContentDigest([0; 16]),
        owner: OwnerToken([0; 16]),
        body,
    }
}

/// Properties of a message without the batch's id at their end.
fn properties_without_id(seen: &Seen) -> Vec<u8> {
    let id = batch_id_of_whole(&seen.bytes).unwrap().to_hex();
    let rest = seen.properties.strip_suffix(id.as_bytes());
    rest.expect("the id is that of the seal's header").to_vec()
}

/// What may not differ of a message.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Common {
    slot: usize,
    bytes: usize,
    properties: Vec<u8>,
    /// Events with everything blanked that may differ.
    events: Vec<u8>,
}

/// What may not differ, in an order of its own, since that of a slot is random.
fn common(all: &[Seen]) -> Vec<Common> {
    let common = all.iter().map(|seen| {
        let events: Vec<Event> = seen.events.iter().map(blanked).collect();
        Common {
            slot: seen.slot,
            bytes: seen.bytes.len(),
            properties: properties_without_id(seen),
            events: encode(&events),
        }
    });
    let mut common: Vec<Common> = common.collect();
    common.sort();
    common
}

/// Bits of these bytes.
fn bits(bytes: &[u8]) -> Vec<f32> {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
    bits.map(f32::from).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a feature need not be exact")]
fn number(number: usize) -> f32 {
    number as f32
}

/// Group of numbers that are made of a message: each is learnt by itself, so that no few that tell
/// drown in many that do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    OrderAndSizes,
    IdAndSeal,
    Record,
    Version,
    Owner,
    Content,
    Pseudonym,
    Repeated,
}

const GROUPS: [Group; 8] = [
    Group::OrderAndSizes,
    Group::IdAndSeal,
    Group::Record,
    Group::Version,
    Group::Owner,
    Group::Content,
    Group::Pseudonym,
    Group::Repeated,
];

/// Messages of even slots are learnt from, those of odd ones guessed.
const fn is_learnt(seen: &Seen) -> bool {
    seen.slot.is_multiple_of(2)
}

/// Values of a message that may stand in others, too.
fn values(seen: &Seen) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for event in &seen.events {
        let Body::Asserted { subject, .. } = &event.body else {
            continue;
        };
        values.extend(subject.pseudonyms().iter().map(|name| name.value.to_vec()));
        values.push(event.record.0.to_vec());
        values.push(event.owner.0.to_vec());
        values.push(event.content.0.to_vec());
        values.push((event.version.to_u64() >> 32).to_be_bytes().to_vec());
    }
    values
}

/// Number of messages of each clinic, of those that are learnt from, in which a value stands.
type Repeats = HashMap<Vec<u8>, [f32; 2]>;

fn repeats(all: &[Seen]) -> Repeats {
    let mut repeats = Repeats::new();
    for seen in all.iter().filter(|seen| is_learnt(seen)) {
        for value in values(seen) {
            repeats.entry(value).or_default()[usize::from(seen.is_second)] += 1.0;
        }
    }
    repeats
}

fn repeated(seen: &Seen, repeats: &Repeats) -> Vec<f32> {
    let mut all = 0.0;
    let mut more_of_second = 0.0;
    let values = values(seen);
    let share = 1.0 / number(values.len().max(1));
    for value in values {
        let mut counts = repeats.get(&value).copied().unwrap_or_default();
        if is_learnt(seen) {
            counts[usize::from(seen.is_second)] -= 1.0;
        }
        let [first, second] = counts;
        all += share * (first + second).min(16.0);
        more_of_second += share * (second - first) / (second + first + 1.0);
    }
    vec![all, more_of_second]
}

fn order_and_sizes(all: &[Seen], place: usize) -> Vec<f32> {
    let seen = &all[place];
    let of_slot = all.iter().filter(|other| other.slot == seen.slot).count();
    let before = all[..place]
        .iter()
        .filter(|it| it.slot == seen.slot)
        .count();
    let size = |place: Option<usize>| {
        let neighbour = place.and_then(|place| all.get(place));
        neighbour.map_or(0.0, |it| number(it.bytes.len()))
    };
    vec![
        number(seen.slot),
        number(before),
        number(2 * before / of_slot.max(1)),
        number(before % 2),
        number(seen.bytes.len()),
        number(seen.events.len()),
        number(seen.properties.len()),
        size(place.checked_sub(1)),
        size(Some(place + 1)),
    ]
}

fn numbers(group: Group, all: &[Seen], place: usize, repeats: &Repeats) -> Vec<f32> {
    let seen = &all[place];
    let first = &seen.events[0];
    match group {
        Group::OrderAndSizes => order_and_sizes(all, place),
        Group::IdAndSeal => bits(&seen.bytes[..80]),
        Group::Record => bits(&first.record.0),
        Group::Version => bits(&first.version.to_u64().to_be_bytes()),
        Group::Owner => bits(&first.owner.0),
        Group::Content => bits(&first.content.0),
        Group::Pseudonym => match &first.body {
            Body::Asserted { subject, .. } => bits(&subject.pseudonyms()[0].value),
            Body::Withdrawn { .. } => Vec::new(),
        },
        Group::Repeated => repeated(seen, repeats),
    }
}

fn guess(group: Group, all: &[Seen]) -> Accuracy {
    let repeats = repeats(all);
    let examples: Vec<Example> = all
        .iter()
        .enumerate()
        .map(|(place, seen)| Example {
            values: numbers(group, all, place, &repeats),
            is_second: seen.is_second,
            is_learnt: is_learnt(seen),
        })
        .collect();
    accuracy_of(&examples)
}

/// What would be seen of a relay that publishes one account after the other.
fn unshuffled(all: &[Seen]) -> Vec<Seen> {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|seen| (seen.slot, seen.is_second));
    sorted
}

/// What would be seen of gateways that mark their events.
fn marked(all: &[Seen], mark: impl Fn(&mut Event, bool)) -> Vec<Seen> {
    let mut marked = all.to_vec();
    for seen in &mut marked {
        for event in &mut seen.events {
            mark(event, seen.is_second);
        }
    }
    marked
}

#[test]
fn other_people_and_clinics_change_nothing_that_the_registrys_side_sees() {
    let one = &recorded().one;
    let other = &recorded().other;
    assert_eq!(one.len(), 2 * SLOTS * BATCHES);
    assert!(common(one) == common(other), "slots, sizes or fields");
    let sizes: BTreeSet<usize> = one.iter().map(|it| it.bytes.len()).collect();
    assert_eq!(sizes.len(), 2, "batches of both sizes went by");
    // The comparison sees a fact that differs, and a slot.
    let mut changed = one.clone();
    changed[7].slot += 1;
    assert!(common(one) != common(&changed));
    let mut changed = one.clone();
    let kept = changed[7].events[0].clone();
    changed[7].events.push(kept);
    assert!(common(one) != common(&changed));
}

#[test]
fn clinics_cannot_be_told_apart_by_what_the_registrys_side_sees_and_marks_would_be_found() {
    let one = &recorded().one;
    for all in [one, &recorded().other] {
        for group in GROUPS {
            let accuracy = guess(group, all);
            println!("{group:?}: {accuracy:?}");
            assert!(accuracy.is_by_chance(), "{group:?}: {accuracy:?}");
        }
    }

    // The same classifier finds what is planted.
    let found = |group, all: &[Seen]| !guess(group, all).is_by_chance();
    assert!(found(Group::OrderAndSizes, &unshuffled(one)));
    let owner_of_clinic = marked(one, |event, is_second| {
        event.owner.0[0] = if is_second { 0x5a } else { 0xa5 };
    });
    assert!(found(Group::Owner, &owner_of_clinic));
    let generation = marked(one, |event, is_second| {
        let generation = 1 + 2 * u64::from(is_second);
        let low = event.version.to_u64() & 0xffff_ffff;
        event.version = Version::new(generation << 32 | low).unwrap();
    });
    assert!(found(Group::Version, &generation));
    assert!(found(Group::Repeated, &generation));
}

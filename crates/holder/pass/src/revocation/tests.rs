//! Tests of lists, deltas and their payloads.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

fn edition(sequence: u64) -> Edition {
    let hours = i64::try_from(sequence).expect("small");
    Edition::new(sequence, at(hours * 3_600)).expect("an edition")
}

fn tag(value: u64) -> Tag {
    Tag::new(value).expect("48 bits")
}

fn list(sequence: u64, values: impl IntoIterator<Item = u64>) -> RevocationList {
    let tags = TagSet::new(values.into_iter().map(tag).collect()).expect("few tags");
    RevocationList::new(edition(sequence), tags)
}

/// Random tags, the same in every run.
fn random_tags(count: usize) -> TagSet {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[16; 32]);
    let mut tags = BTreeSet::new();
    while tags.len() < count {
        tags.insert(Tag::of_pass(random.next_u64().to_be_bytes()));
    }
    TagSet::new(tags.into_iter().collect()).expect("few tags")
}

/// Bytes of a payload with so many random tags; checked to read back.
fn size_of_list(count: usize) -> usize {
    let payload = RevocationPayload::Whole(RevocationList::new(edition(1), random_tags(count)));
    let bytes = payload.to_bytes();
    assert_eq!(RevocationPayload::from_bytes(&bytes), Ok(payload));
    bytes.len()
}

#[test]
fn a_list_of_a_thousand_takes_5_kb_and_one_of_a_hundred_thousand_411_kb() {
    let thousand = size_of_list(1_000);
    assert!((4_750..=5_250).contains(&thousand), "{thousand}");
    let hundred_thousand = size_of_list(100_000);
    // 1.5 per cent around 411 000.
    assert!(
        (404_835..=417_165).contains(&hundred_thousand),
        "{hundred_thousand}"
    );
}

#[test]
fn a_tag_is_the_first_six_bytes_of_the_pass_id() {
    let id = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    assert_eq!(Tag::of_pass(id).value(), 0x0123_4567_89ab);
    assert_eq!(Tag::of_pass([0xff; 8]), Tag::MAX);
    assert_eq!(Tag::new(Tag::MAX.value()), Some(Tag::MAX));
    assert_eq!(Tag::new(Tag::MAX.value() + 1), None);
    let revoked = list(1, [0x0123_4567_89ab]);
    assert!(revoked.revokes(id));
    assert!(!revoked.revokes([0x01, 0x23, 0x45, 0x67, 0x89, 0xac, 0xcd, 0xef]));
}

#[test]
fn a_set_of_more_tags_than_the_limit_is_refused() {
    let limit = u64::try_from(MAX_TAGS).expect("fits");
    let full = TagSet::new((0..limit).map(tag).collect()).expect("at the limit");
    assert_eq!(full.len(), MAX_TAGS);
    assert_eq!(
        TagSet::new((0..=limit).map(tag).collect()),
        Err(TooManyTags)
    );
    let twice = (0..limit).chain(0..9).map(tag).collect();
    assert_eq!(TagSet::new(twice), Ok(full.clone()));
    let more = Delta::between(&list(1, []), &list(2, [limit])).expect("a delta");
    let held = RevocationList::new(edition(1), full);
    assert_eq!(more.apply(&held), Err(DeltaError::TooMany(TooManyTags)));
}

#[test]
fn an_entry_is_dropped_in_the_second_that_its_pass_expires() {
    let now = at(0);
    let pass = |value: u64, expiry: DateTime<Utc>| EndedPass {
        tag: tag(value),
        expiry,
    };
    let ended = [
        pass(3, now + Duration::seconds(1)),
        pass(1, now),
        pass(2, now - Duration::days(1)),
        pass(3, now + Duration::days(1)),
    ];
    let edition = Edition::new(7, now).expect("an edition");
    let built = RevocationList::of_unexpired(edition, ended).expect("few tags");
    assert_eq!(built.tags().as_slice(), [tag(3)]);
}

#[test]
fn an_edition_without_sequence_or_before_1970_is_refused() {
    assert_eq!(Edition::new(0, at(0)), Err(EditionError::Sequence));
    let before = DateTime::UNIX_EPOCH - Duration::nanoseconds(1);
    assert_eq!(Edition::new(1, before), Err(EditionError::Time));
    assert!(Edition::new(1, DateTime::UNIX_EPOCH).is_ok());
    let with_fraction = at(0) + Duration::milliseconds(999);
    let edition = Edition::new(1, with_fraction).expect("an edition");
    assert_eq!(edition.issued_at(), at(0));
}

#[test]
fn a_payload_is_the_map_of_the_format() {
    use ciborium::Value;
    let integer = |value: u64| Value::Integer(value.into());
    let set = |count: u64, parameter: u64, bytes: &[u8]| {
        Value::Map(vec![
            (integer(1), integer(count)),
            (integer(2), integer(parameter)),
            (integer(3), Value::Bytes(bytes.to_vec())),
        ])
    };
    let head = |sequence: u64, base: u64| {
        vec![
            (integer(1), Value::Text("revocations".to_owned())),
            (integer(2), integer(sequence)),
            (integer(3), integer(1_800_000_000 + sequence * 3_600)),
            (integer(4), integer(base)),
        ]
    };
    let bytes_of = |map: Vec<(Value, Value)>| {
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Map(map), &mut bytes).expect("memory");
        bytes
    };
    let older = list(300, [5, 6, 9, 20]);
    let mut whole = head(300, 0);
    whole.push((integer(5), set(4, 2, &[0b1001_0000, 0b1011_0100])));
    let payload = RevocationPayload::Whole(older.clone());
    assert_eq!(payload.to_bytes(), bytes_of(whole));
    let delta = Delta::between(&older, &list(301, [0, 6, 9, 20])).expect("a delta");
    let mut difference = head(301, 300);
    difference.push((integer(5), set(1, 0, &[0])));
    difference.push((integer(6), set(1, 1, &[0b1101_0000])));
    assert_eq!(
        RevocationPayload::Delta(delta).to_bytes(),
        bytes_of(difference)
    );
}

#[test]
fn a_delta_applies_to_its_base_only() {
    let older = list(4, [1, 2, 3]);
    let newer = list(6, [2, 3, 4]);
    let delta = Delta::between(&older, &newer).expect("a delta");
    assert_eq!(delta.added().as_slice(), [tag(4)]);
    assert_eq!(delta.removed().as_slice(), [tag(1)]);
    assert_eq!(delta.apply(&older), Ok(newer.clone()));
    let other = DeltaError::OtherBase { base: 4, held: 5 };
    assert_eq!(delta.apply(&list(5, [1, 2, 3])), Err(other));
    assert_eq!(delta.apply(&list(4, [2, 3])), Err(DeltaError::OtherTags));
    assert_eq!(
        delta.apply(&list(4, [1, 2, 3, 4])),
        Err(DeltaError::OtherTags)
    );
    assert_eq!(Delta::between(&newer, &older), Err(DeltaError::Sequence));
    assert_eq!(Delta::between(&newer, &newer), Err(DeltaError::Sequence));
}

#[test]
fn a_delta_issued_before_its_base_is_refused() {
    let older = list(4, [1]);
    let earlier = Edition::new(5, at(0)).expect("an edition");
    let newer = RevocationList::new(earlier, older.tags().clone());
    assert_eq!(Delta::between(&older, &newer), Err(DeltaError::Time));
    let before = Edition::new(4, at(0)).expect("an edition");
    let same_tags = RevocationList::new(before, older.tags().clone());
    let delta = Delta::between(&same_tags, &newer).expect("a delta");
    assert_eq!(delta.apply(&older), Err(DeltaError::Time));
}

#[test]
fn payloads_that_contradict_themselves_are_refused() {
    let bytes = RevocationPayload::Whole(list(3, [7])).to_bytes();
    let sequence = bytes
        .windows(2)
        .position(|pair| pair == [2, 3])
        .expect("key 2")
        + 1;
    let mut none = bytes.clone();
    none[sequence] = 0;
    let refused = PayloadError::Edition(EditionError::Sequence);
    assert_eq!(RevocationPayload::from_bytes(&none), Err(refused));
    let delta = Delta::between(&list(3, [7]), &list(4, [8])).expect("a delta");
    let mut backwards = RevocationPayload::Delta(delta).to_bytes();
    backwards[sequence] = 3;
    let refused = PayloadError::Delta(DeltaError::Sequence);
    assert_eq!(RevocationPayload::from_bytes(&backwards), Err(refused));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        RevocationPayload::from_bytes(&longer),
        Err(PayloadError::Malformed)
    );
    let mut other_type = bytes;
    other_type[3] = b'R';
    assert_eq!(
        RevocationPayload::from_bytes(&other_type),
        Err(PayloadError::Malformed)
    );
}

fn any_values() -> impl Strategy<Value = BTreeSet<u64>> {
    let one = prop_oneof![0..60_u64, 0..=Tag::MAX.value()];
    prop::collection::btree_set(one, 0..50)
}

proptest! {
    #[test]
    fn payloads_read_back(older in any_values(), newer in any_values(), base in 1..1_000_u64) {
        let older = list(base, older);
        let newer = list(base + 1, newer);
        let delta = Delta::between(&older, &newer).expect("a delta");
        for payload in [RevocationPayload::Whole(older), RevocationPayload::Delta(delta)] {
            let bytes = payload.to_bytes();
            prop_assert_eq!(RevocationPayload::from_bytes(&bytes), Ok(payload));
            for length in 0..bytes.len() {
                prop_assert!(RevocationPayload::from_bytes(&bytes[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_delta_leads_from_one_list_to_the_other(older in any_values(), newer in any_values()) {
        let from = list(1, older.iter().copied());
        let to = list(2, newer.iter().copied());
        let delta = Delta::between(&from, &to).expect("a delta");
        prop_assert_eq!(delta.apply(&from), Ok(to.clone()));
        let values = |tags: &TagSet| -> Vec<u64> {
            tags.as_slice().iter().map(|tag| tag.value()).collect()
        };
        let added: Vec<u64> = newer.difference(&older).copied().collect();
        let removed: Vec<u64> = older.difference(&newer).copied().collect();
        prop_assert_eq!(values(delta.added()), added);
        prop_assert_eq!(values(delta.removed()), removed);
        for value in older.union(&newer) {
            prop_assert_eq!(to.tags().contains(tag(*value)), newer.contains(value));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(RevocationPayload::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_list_with_some_bytes_changed_is_read_without_a_panic(
        older in any_values(),
        newer in any_values(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let delta = Delta::between(&list(1, older), &list(2, newer)).expect("a delta");
        let mut bytes = RevocationPayload::Delta(delta).to_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(RevocationPayload::Delta(read)) = RevocationPayload::from_bytes(&bytes) {
            prop_assert!(read.base() < read.edition().sequence());
        }
    }

    #[test]
    fn a_changed_payload_is_refused_or_reads_as_something_else(
        values in any_values(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let payload = RevocationPayload::Whole(list(9, values));
        let mut bytes = payload.to_bytes();
        let place = place.index(bytes.len());
        if bytes[place] != byte {
            bytes[place] = byte;
            prop_assert_ne!(RevocationPayload::from_bytes(&bytes), Ok(payload));
        }
    }
}

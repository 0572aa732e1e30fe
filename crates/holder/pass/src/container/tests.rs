//! Tests of the container: round trips, bounds at their edges, every fault by its name.

use ciborium::Value;
use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;

use super::*;

fn sealed() -> Vec<u8> {
    ToSign::new(vec![0xa0], b"abcdefgh").with_signature(&[7; 64])
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn header(entries: Vec<(i64, Value)>) -> Value {
    let entries = entries
        .into_iter()
        .map(|(label, value)| (Value::from(label), value));
    Value::Map(entries.collect())
}

fn sign1(protected: &Value, unprotected: Value) -> Vec<u8> {
    cbor(&Value::Array(vec![
        Value::Bytes(cbor(protected)),
        unprotected,
        Value::Bytes(vec![0xa0]),
        Value::Bytes(vec![7; 64]),
    ]))
}

fn es256() -> (i64, Value) {
    (1, Value::from(-7))
}

fn kid(text: &str) -> (i64, Value) {
    (4, Value::Bytes(text.as_bytes().to_vec()))
}

#[test]
fn the_sealed_bytes_are_those_of_the_specification() {
    let mut expected = vec![0xd2, 0x84, 0x4d, 0xa2, 0x01, 0x26, 0x04, 0x48];
    expected.extend_from_slice(b"abcdefgh");
    expected.extend_from_slice(&[0xa0, 0x41, 0xa0, 0x58, 0x40]);
    expected.extend_from_slice(&[7; 64]);
    assert_eq!(sealed(), expected);
}

#[test]
fn the_signed_bytes_are_those_of_the_specification_when_sealing_and_when_opening() {
    let mut expected = vec![0x84, 0x6a];
    expected.extend_from_slice(b"Signature1");
    expected.extend_from_slice(&[0x4d, 0xa2, 0x01, 0x26, 0x04, 0x48]);
    expected.extend_from_slice(b"abcdefgh");
    expected.extend_from_slice(&[0x40, 0x41, 0xa0]);
    assert_eq!(ToSign::new(vec![0xa0], b"abcdefgh").signed(), expected);
    assert_eq!(Envelope::open(&sealed()).unwrap().signed, expected);
}

#[test]
fn untagged_and_both_ways_of_tagging_open_alike() {
    let tagged = sealed();
    let expected = Envelope::open(&tagged).unwrap();
    assert_eq!(expected.kid, b"abcdefgh");
    assert_eq!(expected.algorithm, Algorithm::Es256);
    let untagged = tagged[1..].to_vec();
    let twice = [&[0xd8, 61][..], &tagged].concat();
    for cose in [untagged, twice] {
        assert_eq!(Envelope::open(&cose).unwrap(), expected);
    }
}

#[test]
fn other_tags_are_refused_by_their_number() {
    let tagged = sealed();
    let untagged = &tagged[1..];
    let cases = [
        ([&[0xd8, 61][..], untagged].concat(), 61),
        ([&[0xd8, 61, 0xd1][..], untagged].concat(), 17),
        ([&[0xd1][..], untagged].concat(), 17),
        ([&[0xd2][..], &tagged].concat(), 18),
    ];
    for (cose, tag) in cases {
        assert_eq!(Envelope::open(&cose), Err(ContainerFault::Tag(tag)));
    }
}

#[test]
fn the_key_id_of_the_protected_header_comes_before_the_other() {
    let both = sign1(
        &header(vec![es256(), kid("protecte")]),
        header(vec![kid("open")]),
    );
    assert_eq!(Envelope::open(&both).unwrap().kid, b"protecte");
    let open = sign1(&header(vec![es256()]), header(vec![kid("open")]));
    assert_eq!(Envelope::open(&open).unwrap().kid, b"open");
    let none = sign1(&header(vec![es256()]), header(Vec::new()));
    assert_eq!(Envelope::open(&none), Err(ContainerFault::KeyIdMissing));
}

#[test]
fn every_other_algorithm_is_refused_by_name() {
    let algorithms = [
        (Value::from(-37), "PS256"),
        (Value::from(-8), "EdDSA"),
        (Value::from(-35), "ES384"),
        (Value::from(4711), "algorithm 4711"),
        (Value::from(-70_000), "algorithm -70000"),
        (Value::from("none"), "algorithm \"none\""),
    ];
    for (value, name) in algorithms {
        let cose = sign1(&header(vec![(1, value), kid("abcdefgh")]), header(vec![]));
        let fault = ContainerFault::Algorithm(name.into());
        assert_eq!(Envelope::open_es256(&cose), Err(fault));
    }
    let unprotected = sign1(&header(vec![kid("abcdefgh")]), header(vec![es256()]));
    let missing = Err(ContainerFault::AlgorithmMissing);
    assert_eq!(Envelope::open_es256(&unprotected), missing);
}

#[test]
fn a_critical_parameter_is_refused() {
    let critical = (2, Value::Array(vec![Value::from(4)]));
    let cose = sign1(
        &header(vec![es256(), critical, kid("abcdefgh")]),
        header(vec![]),
    );
    assert_eq!(Envelope::open(&cose), Err(ContainerFault::Critical));
}

#[test]
fn what_is_no_sign1_is_refused() {
    let item = |items: Vec<Value>| cbor(&Value::Array(items));
    let twice = Value::Map(vec![
        (Value::from(1), Value::from(-7)),
        (Value::from(1), Value::from(-7)),
    ]);
    for cose in [
        vec![0x01],
        item(vec![Value::Null; 3]),
        item(vec![Value::Null; 4]),
        sign1(&twice, header(vec![])),
    ] {
        let fault = Envelope::open(&cose).unwrap_err();
        assert!(matches!(fault, ContainerFault::NotSign1(_)), "{fault}");
    }
    let detached = item(vec![
        Value::Bytes(cbor(&header(vec![es256(), kid("abcdefgh")]))),
        header(vec![]),
        Value::Null,
        Value::Bytes(vec![7; 64]),
    ]);
    assert_eq!(
        Envelope::open(&detached),
        Err(ContainerFault::PayloadMissing)
    );
}

#[test]
fn bytes_after_the_structure_and_too_few_are_refused() {
    let mut cose = sealed();
    cose.push(0);
    assert_eq!(Envelope::open(&cose), Err(ContainerFault::CborTrailing));
    cose.truncate(20);
    assert_eq!(Envelope::open(&cose), Err(ContainerFault::Cbor));
    assert_eq!(Envelope::open(&[]), Err(ContainerFault::Cbor));
    let deep = vec![0x81; 60_000];
    assert_eq!(Envelope::open(&deep), Err(ContainerFault::Cbor));
}

#[test]
fn a_structure_above_the_bound_is_not_read() {
    let long = vec![0x81; MAX_COSE_BYTES + 1];
    assert_eq!(Envelope::open(&long), Err(ContainerFault::CoseTooLong));
    // At the bound it is read, and found to be no CBOR.
    assert_eq!(
        Envelope::open(&long[..MAX_COSE_BYTES]),
        Err(ContainerFault::Cbor)
    );
}

#[test]
fn the_stored_stream_is_the_documented_one() {
    let expected = [
        0x78, 0x01, 0x01, 0x03, 0x00, 0xfc, 0xff, b'a', b'b', b'c', 0x02, 0x4d, 0x01, 0x27,
    ];
    assert_eq!(store(b"abc"), expected);
    assert_eq!(inflate(&expected).unwrap(), b"abc");
    assert_eq!(inflate(&store(&[])).unwrap(), b"");
}

#[test]
fn compressed_streams_are_read_too() {
    let bytes = sealed().repeat(20);
    for level in 0..=9 {
        let stream = compress_to_vec_zlib(&bytes, level);
        assert_eq!(inflate(&stream).unwrap(), bytes);
    }
}

#[test]
fn contents_of_exactly_the_bound_are_read_and_one_byte_more_is_refused() {
    let most = vec![0xff; MAX_INFLATED_BYTES];
    let more = vec![0xff; MAX_INFLATED_BYTES + 1];
    for stream in [store(&most), compress_to_vec_zlib(&most, 6)] {
        assert_eq!(inflate(&stream).unwrap(), most);
    }
    for stream in [store(&more), compress_to_vec_zlib(&more, 6)] {
        assert_eq!(inflate(&stream), Err(ContainerFault::ZlibTooLong));
    }
    let bomb = compress_to_vec_zlib(&vec![0; 64 * 1024 * 1024], 6);
    assert_eq!(inflate(&bomb), Err(ContainerFault::ZlibTooLong));
}

#[test]
fn faults_of_the_stream_are_named() {
    let stream = store(b"some contents");
    let changed = |place: usize, value: u8| {
        let mut bytes = stream.clone();
        bytes[place] = value;
        inflate(&bytes)
    };
    assert_eq!(changed(0, 0x79), Err(ContainerFault::ZlibHeader));
    assert_eq!(changed(1, 0x02), Err(ContainerFault::ZlibHeader));
    // The check bits fit, but a preset dictionary is wanted.
    assert_eq!(changed(1, 0x20), Err(ContainerFault::ZlibHeader));
    assert_eq!(changed(2, 0x07), Err(ContainerFault::ZlibDamaged));
    assert_eq!(changed(9, b'!'), Err(ContainerFault::ZlibChecksum));
    assert_eq!(inflate(&sealed()), Err(ContainerFault::Uncompressed));
    for length in 0..stream.len() {
        let cut = inflate(&stream[..length]);
        assert_eq!(cut, Err(ContainerFault::ZlibTruncated), "{length}");
    }
    let longer = [&stream[..], &[0]].concat();
    assert_eq!(inflate(&longer), Err(ContainerFault::ZlibTrailing));
}

#[test]
fn the_prefix_is_wanted_and_blanks_and_line_ends_are_not_part_of_the_text() {
    let text = to_text(&sealed());
    for around in [format!("{text}\r\n"), format!(" \t{text} \n")] {
        assert_eq!(from_text(&around).unwrap(), sealed());
    }
    for bad in ["", "HC1", "hc1:NCF", "HC2:NCF", "HC 1:NCF", "{}"] {
        assert_eq!(from_text(bad), Err(ContainerFault::NoPrefix));
    }
}

#[test]
fn a_text_of_the_greatest_length_is_read_and_a_longer_one_refused() {
    // 4 characters of prefix and 1430 triples of two bytes, and a pair of one.
    let stored = MAX_TEXT_CHARS - PREFIX.len();
    let bytes = vec![0xff; stored / 3 * 2 + 1 - store(&[]).len()];
    let text = to_text(&bytes);
    assert_eq!(text.len(), MAX_TEXT_CHARS);
    assert_eq!(from_text(&text).unwrap(), bytes);
    let longer = format!("{text}0");
    assert_eq!(from_text(&longer), Err(ContainerFault::TextTooLong));
}

#[test]
fn what_is_no_base45_is_refused() {
    // Lower case, a character outside, a single last character, values above two bytes and one.
    for bad in ["ncf", "AB_", "ABC0", "GGW", "::", "V5"] {
        let fault = from_text(&format!("{PREFIX}{bad}"));
        assert_eq!(fault, Err(ContainerFault::Base45), "{bad}");
    }
    // FGW and U5 are the greatest values, 65535 and 255 (RFC 9285 section 4.2).
    for good in ["FGW", "U5"] {
        let fault = from_text(&format!("{PREFIX}{good}")).unwrap_err();
        assert_eq!(fault.step(), Step::Zlib, "{good}");
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back_from_their_text(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(from_text(&to_text(&bytes)).unwrap(), bytes);
    }

    #[test]
    fn any_contents_come_back_from_a_compressed_stream(
        bytes in prop::collection::vec(0_u8..4, 0..3000),
        level in 0_u8..10,
    ) {
        prop_assert_eq!(inflate(&compress_to_vec_zlib(&bytes, level)).unwrap(), bytes);
    }

    #[test]
    fn no_text_makes_reading_panic(body in "[0-9A-Z $%*+./:-]{0,400}") {
        let cose = from_text(&format!("{PREFIX}{body}"));
        if let Ok(cose) = cose {
            let _ = Envelope::open(&cose);
        }
    }

    #[test]
    fn no_bytes_make_inflating_or_opening_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let _ = inflate(&bytes);
        let stream = [&[0x78, 0x01][..], &bytes].concat();
        let _ = inflate(&stream);
        let _ = Envelope::open(&bytes);
        let array = [&[0xd2, 0x84][..], &bytes].concat();
        let _ = Envelope::open(&array);
    }

    #[test]
    fn no_single_changed_character_of_a_text_gives_other_bytes(
        place in 4_usize..150,
        with in "[0-9A-Z $%*+./:-]",
    ) {
        let mut text = to_text(&sealed());
        prop_assume!(place < text.len());
        text.replace_range(place..=place, &with);
        if let Ok(bytes) = from_text(&text) {
            prop_assert_eq!(bytes, sealed());
        }
    }
}

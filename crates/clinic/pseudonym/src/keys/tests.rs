//! Key texts, rotation and sharing.

use super::*;

/// Bytes 0 to 31, 64 to 95 and 32 to 63.
const FIRST: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const SECOND: &str = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8";
const RECORD: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

fn ring(text: &str) -> Result<KeyRing, KeyError> {
    KeyRing::parse(&text.into())
}

fn fault(text: &str) -> (usize, KeyFault) {
    match ring(text).unwrap_err() {
        KeyError::Line { line, fault } => (line, fault),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ring_is_read_with_comments_and_spaces() {
    let text = format!(
        "\u{feff}# the city's\r\n  pseudonym\t2  {SECOND} # new\r\npseudonym 1 {FIRST}=\n\nrecord \
         {RECORD}"
    );
    let ring = ring(&text).unwrap();
    assert_eq!(
        ring.pseudonym_fingerprints()[0],
        (1, "5ab8c392".into()),
        "sorted; checked with Python's hmac"
    );
    assert_eq!(ring.pseudonym_fingerprints()[1].0, 2);
    assert_eq!(ring.record_fingerprint(), "dc064d32");
}

#[test]
fn what_is_written_is_read_back() {
    let ring = KeyRing::generate().with_new_pseudonym_epoch().unwrap();
    let again = KeyRing::parse(&ring.to_text()).unwrap();
    assert_eq!(
        again.to_text().expose_secret(),
        ring.to_text().expose_secret()
    );
    let shared = SharedKeys::parse(&ring.shared().to_text()).unwrap();
    assert_eq!(shared.fingerprints(), ring.pseudonym_fingerprints());
    assert!(!ring.shared().to_text().expose_secret().contains("record"));
}

#[test]
fn faults_name_their_line_and_show_no_key() {
    let good = format!("pseudonym 1 {FIRST}\n");
    let weak = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI";
    for (text, expected) in [
        (format!("pseudonym {FIRST}"), (1, KeyFault::Form)),
        (format!("{good}key 2 {SECOND}"), (2, KeyFault::Form)),
        (
            format!("{good}pseudonym 2 {SECOND} more"),
            (2, KeyFault::Form),
        ),
        (format!("pseudonym 0 {FIRST}"), (1, KeyFault::Epoch)),
        (format!("pseudonym 01 {FIRST}"), (1, KeyFault::Epoch)),
        (format!("pseudonym +1 {FIRST}"), (1, KeyFault::Epoch)),
        (format!("pseudonym 65536 {FIRST}"), (1, KeyFault::Epoch)),
        (
            format!("# x\n\npseudonym 1 {}", &FIRST[..42]),
            (3, KeyFault::Encoding),
        ),
        (format!("pseudonym 1 {FIRST}A"), (1, KeyFault::Encoding)),
        (
            format!("pseudonym 1 {FIRST}{SECOND}"),
            (1, KeyFault::Encoding),
        ),
        (
            format!("pseudonym 1 {}+", &FIRST[..42]),
            (1, KeyFault::Encoding),
        ),
        (
            format!("pseudonym 1 {}", "A".repeat(43)),
            (1, KeyFault::Weak),
        ),
        (format!("{good}record {weak}"), (2, KeyFault::Weak)),
        (
            format!("{good}record {RECORD}\nrecord {RECORD}"),
            (3, KeyFault::SecondRecordKey),
        ),
        (
            format!("{good}pseudonym 1 {SECOND}"),
            (2, KeyFault::SecondKeyOfEpoch),
        ),
        (
            format!("{good}pseudonym 2 {SECOND}\npseudonym 3 {RECORD}"),
            (3, KeyFault::TooManyEpochs),
        ),
    ] {
        assert_eq!(fault(&text), expected);
        let shown = format!(
            "{} {:?}",
            ring(&text).unwrap_err(),
            ring(&text).unwrap_err()
        );
        assert!(
            !shown.contains(&FIRST[..8]) && !shown.contains(&SECOND[..8]),
            "{shown}"
        );
    }
    assert!(ring(&format!("pseudonym 65535 {FIRST}\nrecord {RECORD}")).is_ok());
}

#[test]
fn both_kinds_of_key_are_needed() {
    assert_eq!(
        ring(&format!("record {RECORD}")).unwrap_err(),
        KeyError::NoPseudonymKey
    );
    assert_eq!(
        ring(&format!("pseudonym 1 {FIRST}")).unwrap_err(),
        KeyError::NoRecordKey
    );
    assert_eq!(ring("# nothing\n").unwrap_err(), KeyError::NoPseudonymKey);
    // Where key services evaluate pseudonyms, a clinic holds no key of theirs.
    let record_only = format!("record {RECORD}").into();
    let strong = KeyRing::parse_for(&record_only, Suite::Voprf).unwrap();
    assert_eq!(strong.pseudonym_fingerprints(), []);
    assert_eq!(strong.record_fingerprint(), "dc064d32");
    let nothing = "# nothing\n".into();
    assert_eq!(
        KeyRing::parse_for(&nothing, Suite::Voprf).unwrap_err(),
        KeyError::NoRecordKey
    );
    assert_eq!(
        SharedKeys::parse(&nothing).unwrap_err(),
        KeyError::NoPseudonymKey
    );
}

#[test]
fn a_record_key_among_shared_keys_is_refused() {
    let text = format!("pseudonym 1 {FIRST}\nrecord {RECORD}").into();
    let expected = KeyError::Line {
        line: 2,
        fault: KeyFault::RecordKeyShared,
    };
    assert_eq!(SharedKeys::parse(&text).unwrap_err(), expected);
}

#[test]
fn a_rotation_opens_one_epoch_and_closes_the_old_one() {
    let first = KeyRing::generate();
    let both = first.with_new_pseudonym_epoch().unwrap();
    assert_eq!(
        both.pseudonym_fingerprints()[0],
        first.pseudonym_fingerprints()[0]
    );
    assert_ne!(
        both.pseudonym_fingerprints()[1].1,
        first.pseudonym_fingerprints()[0].1
    );
    assert_eq!(both.record_fingerprint(), first.record_fingerprint());
    assert_eq!(
        both.with_new_pseudonym_epoch().unwrap_err(),
        KeyError::TooManyEpochs
    );
    let second = both.without_pseudonym_epoch(1).unwrap();
    assert_eq!(
        second.pseudonym_fingerprints(),
        both.pseudonym_fingerprints()[1..]
    );
    assert_eq!(
        second.without_pseudonym_epoch(2).unwrap_err(),
        KeyError::CannotClose { epoch: 2 }
    );
    assert_eq!(
        second.without_pseudonym_epoch(1).unwrap_err(),
        KeyError::CannotClose { epoch: 1 }
    );
    let last = ring(&format!("pseudonym 65535 {FIRST}\nrecord {RECORD}")).unwrap();
    assert_eq!(
        last.with_new_pseudonym_epoch().unwrap_err(),
        KeyError::LastEpoch
    );
}

#[test]
fn clinics_share_pseudonym_keys_and_nothing_else() {
    let one = KeyRing::generate();
    let two = KeyRing::from_shared(one.shared());
    assert_eq!(one.pseudonym_fingerprints(), two.pseudonym_fingerprints());
    assert_ne!(one.record_fingerprint(), two.record_fingerprint());
    let rotated = one.with_new_pseudonym_epoch().unwrap();
    let merged = two.merge(&rotated.shared()).unwrap();
    assert_eq!(
        merged.pseudonym_fingerprints(),
        rotated.pseudonym_fingerprints()
    );
    assert_eq!(merged.record_fingerprint(), two.record_fingerprint());
}

#[test]
fn merging_never_replaces_a_key() {
    let one = KeyRing::generate();
    let stranger = KeyRing::generate();
    let error = one.merge(&stranger.shared()).unwrap_err();
    assert!(matches!(&error, KeyError::Differs { epoch: 1, .. }));
    let shown = error.to_string();
    assert!(
        shown.contains(&one.pseudonym_fingerprints()[0].1),
        "{shown}"
    );
    assert!(
        shown.contains(&stranger.pseudonym_fingerprints()[0].1),
        "{shown}"
    );
    let both = one.with_new_pseudonym_epoch().unwrap();
    let third = SharedKeys::parse(&format!("pseudonym 3 {FIRST}").into()).unwrap();
    assert_eq!(both.merge(&third).unwrap_err(), KeyError::TooManyEpochs);
}

#[test]
fn debug_shows_fingerprints_only() {
    let ring = ring(&format!("pseudonym 1 {FIRST}\nrecord {RECORD}")).unwrap();
    let shown = format!("{ring:?} {:?}", ring.shared());
    assert!(
        shown.contains("5ab8c392") && shown.contains("dc064d32"),
        "{shown}"
    );
    assert!(
        !shown.contains(&FIRST[..8]) && !shown.contains("0, 1, 2"),
        "{shown}"
    );
}

#[test]
fn the_last_pseudonym_key_goes_at_the_end_of_a_move_and_no_other_way() {
    let ring = KeyRing::generate();
    let closed = ring.without_last_pseudonym_epoch(1).unwrap();
    assert!(closed.pseudonym_fingerprints().is_empty());
    assert_eq!(closed.record_fingerprint(), ring.record_fingerprint());
    let cannot = |ring: &KeyRing, epoch| {
        let error = ring.without_last_pseudonym_epoch(epoch).unwrap_err();
        assert_eq!(error, KeyError::CannotClose { epoch });
    };
    cannot(&ring, 2);
    cannot(&ring.with_new_pseudonym_epoch().unwrap(), 1);
    cannot(&closed, 1);
    assert_eq!(
        ring.without_pseudonym_epoch(1).unwrap_err(),
        KeyError::CannotClose { epoch: 1 }
    );
}

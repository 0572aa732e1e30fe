//! Tests of repeats, at the limits of what is kept.

use client_door::Fingerprint;

use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn begin(repeats: &Arc<Repeats>, key: &str, body: &[u8], seconds: u64) -> Begun {
    repeats.begin(Client::Loopback, key, body, at(seconds))
}

fn settle(repeats: &Arc<Repeats>, key: &str, answer: &'static [u8], seconds: u64) {
    let Begun::New(claim) = begin(repeats, key, b"body", seconds) else {
        panic!("{key} is known");
    };
    claim.settle(Bytes::from_static(answer), at(seconds));
}

fn is_kept(repeats: &Arc<Repeats>, key: &str, seconds: u64) -> bool {
    matches!(begin(repeats, key, b"body", seconds), Begun::Repeat(_))
}

#[test]
fn a_repeat_gets_the_first_answer_until_it_is_too_old() {
    let repeats = Repeats::new();
    settle(&repeats, "a", b"answer", 10);
    let Begun::Repeat(answer) = begin(&repeats, "a", b"body", 909) else {
        panic!("not kept");
    };
    assert_eq!(&answer[..], b"answer");
    assert!(matches!(begin(&repeats, "a", b"body", 910), Begun::New(_)));
}

#[test]
fn another_body_and_a_request_in_hand_are_told_apart() {
    let repeats = Repeats::new();
    let first = begin(&repeats, "a", b"body", 0);
    assert!(matches!(begin(&repeats, "a", b"body", 0), Begun::InHand));
    assert!(matches!(
        begin(&repeats, "a", b"other", 0),
        Begun::OtherBody
    ));
    let stranger = Client::Certificate(Fingerprint::of_certificate(b"1"));
    let theirs = repeats.begin(stranger, "a", b"other", at(0));
    assert!(matches!(theirs, Begun::New(_)));
    // A request that ended without an answer may be tried again.
    drop(first);
    assert!(matches!(begin(&repeats, "a", b"other", 0), Begun::New(_)));
}

#[test]
fn the_oldest_answer_goes_when_there_are_too_many() {
    let repeats = Repeats::with_limits(Limits {
        answers: 2,
        bytes: 100,
    });
    for key in ["a", "b", "c"] {
        settle(&repeats, key, b"answer", 0);
    }
    let kept = ["a", "b", "c"].map(|key| is_kept(&repeats, key, 1));
    assert_eq!(kept, [false, true, true]);
}

#[test]
fn the_oldest_answer_goes_when_they_are_too_long() {
    let repeats = Repeats::with_limits(Limits {
        answers: 9,
        bytes: 12,
    });
    for key in ["a", "b"] {
        settle(&repeats, key, b"answer", 0);
    }
    assert!(is_kept(&repeats, "a", 1));
    settle(&repeats, "c", b"x", 1);
    let kept = ["a", "b", "c"].map(|key| is_kept(&repeats, key, 1));
    assert_eq!(kept, [false, true, true]);
    assert_eq!(repeats.kept.lock().bytes, 7);
}

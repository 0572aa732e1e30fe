//! Tests of the counts: the ceiling's edge, midnight, crashes, clocks that go back.

use std::path::Path;

use super::*;

const NOON: &str = "2026-11-30T12:00:00Z";
const NEXT: &str = "2026-12-01T00:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn clients(ceiling: u32) -> Vec<ClientConfig> {
    let client = |name: &str| ClientConfig {
        name: name.to_owned(),
        certificate_fingerprint: None,
        daily_ceiling: ceiling,
    };
    vec![client("one"), client("two")]
}

fn open(folder: &Path, ceiling: u32, now: &str) -> Counts {
    let state = StateFolder::open(folder, STATE_WORDS).unwrap();
    Counts::open(state, &clients(ceiling), at(now)).unwrap()
}

fn is_refused(taken: Result<(), NotCounted>) -> bool {
    matches!(taken, Err(NotCounted::Ceiling { .. }))
}

#[test]
fn a_ceiling_holds_at_its_edge_for_each_client_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 512, NOON);
    counts.take(0, 256, at(NOON)).unwrap();
    counts.take(0, 240, at(NOON)).unwrap();
    assert!(is_refused(counts.take(0, 17, at(NOON))));
    counts.take(0, 16, at(NOON)).unwrap();
    let wait = Duration::from_secs(12 * 3600);
    let refused = counts.take(0, 16, at(NOON));
    let is_first = false;
    assert_eq!(refused, Err(NotCounted::Ceiling { wait, is_first }));
    assert_eq!(
        (counts.used(0, at(NOON)), counts.left(0, at(NOON))),
        (512, 0)
    );
    counts.take(1, 512, at(NOON)).unwrap();
}

#[test]
fn the_first_refusal_of_a_day_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 256, NOON);
    for now in [NOON, "2026-12-02T00:00:00Z"] {
        counts.take(0, 256, at(now)).unwrap();
        for expected in [true, false] {
            let Err(NotCounted::Ceiling { is_first, .. }) = counts.take(0, 16, at(now)) else {
                panic!("it was counted");
            };
            assert_eq!(is_first, expected);
        }
    }
}

#[test]
fn midnight_of_utc_begins_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 256, NOON);
    counts.take(0, 256, at(NOON)).unwrap();
    let last = at("2026-11-30T23:59:59Z");
    let refused = counts.take(0, 16, last);
    let wait = Duration::from_secs(1);
    assert!(matches!(refused, Err(NotCounted::Ceiling { wait: told, .. }) if told == wait));
    counts.take(0, 256, at(NEXT)).unwrap();
    assert!(is_refused(counts.take(0, 16, at(NEXT))));
}

#[test]
fn a_crash_loses_one_block_at_most_and_gives_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let ceiling = 10_000;
    let mut given = 0;
    for crash in 1..=3 {
        let counts = open(folder.path(), ceiling, NOON);
        counts.take(0, 256, at(NOON)).unwrap();
        given += 256;
        drop(counts);
        let used = open(folder.path(), ceiling, NOON).used(0, at(NOON));
        assert!(used >= given && used <= crash * BLOCK, "{used}");
    }
    let counts = open(folder.path(), ceiling, NOON);
    while counts.take(0, 16, at(NOON)).is_ok() {
        given += 16;
    }
    assert!(given <= u64::from(ceiling) && given >= u64::from(ceiling) - 3 * BLOCK);
    drop(counts);
    let counts = open(folder.path(), ceiling, NOON);
    assert!(is_refused(counts.take(0, 16, at(NOON))));
}

#[test]
fn a_stop_in_good_order_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 10_000, NOON);
    counts.take(0, 16, at(NOON)).unwrap();
    counts.settle().unwrap();
    // Whatever comes after is reserved again.
    counts.take(0, 16, at(NOON)).unwrap();
    drop(counts);
    let counts = open(folder.path(), 10_000, NOON);
    assert_eq!(counts.used(0, at(NOON)), 16 + BLOCK);
    counts.settle().unwrap();
    assert_eq!(counts.used(0, at(NOON)), 16 + BLOCK);
}

#[test]
fn a_clock_that_goes_back_gives_no_day_twice() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 512, NOON);
    counts.take(0, 512, at(NEXT)).unwrap();
    assert!(counts.is_ahead(at(NOON)) && !counts.is_ahead(at(NEXT)));
    assert!(is_refused(counts.take(0, 16, at(NOON))));
    drop(counts);
    let counts = open(folder.path(), 512, NOON);
    let refused = counts.take(0, 16, at(NOON));
    let wait = Duration::from_secs(36 * 3600);
    assert!(matches!(refused, Err(NotCounted::Ceiling { wait: told, .. }) if told == wait));
}

#[test]
fn a_lower_ceiling_holds_at_once_and_a_higher_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 1024, NOON);
    counts.take(0, 512, at(NOON)).unwrap();
    counts.settle().unwrap();
    drop(counts);
    assert!(is_refused(open(folder.path(), 512, NOON).take(
        0,
        16,
        at(NOON)
    )));
    let counts = open(folder.path(), 768, NOON);
    counts.take(0, 256, at(NOON)).unwrap();
    assert!(is_refused(counts.take(0, 16, at(NOON))));
}

#[test]
fn a_count_of_another_form_is_no_fresh_day() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("count-one.json"), "{\"day\":").unwrap();
    let state = StateFolder::open(folder.path(), STATE_WORDS).unwrap();
    let error = Counts::open(state, &clients(256), at(NOON)).unwrap_err();
    assert!(error.to_string().contains("count-one.json"), "{error}");
}

#[test]
fn one_process_uses_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = StateFolder::open(folder.path(), STATE_WORDS).unwrap();
    let second = StateFolder::open(folder.path(), STATE_WORDS);
    assert!(matches!(second, Err(StateError::InUse { .. })));
}

#[test]
fn a_client_has_one_token_a_day_over_crashes_and_clocks_that_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let counts = open(folder.path(), 256, NOON);
    assert!(!counts.day_token_given(0, at(NOON)));
    counts.take_day_token(0, at(NOON)).unwrap();
    assert!(counts.day_token_given(0, at(NOON)) && !counts.day_token_given(1, at(NOON)));
    let wait = Duration::from_secs(12 * 3600);
    let refused = counts.take_day_token(0, at(NOON));
    assert!(matches!(refused, Err(NotCounted::Ceiling { wait: told, .. }) if told == wait));
    assert_eq!(
        counts.used(0, at(NOON)),
        0,
        "tokens of batches are counted apart"
    );
    drop(counts);
    // As after a crash: nothing was settled.
    let counts = open(folder.path(), 256, NOON);
    assert!(is_refused(counts.take_day_token(0, at(NOON))));
    counts.take_day_token(1, at(NOON)).unwrap();
    counts.take_day_token(0, at(NEXT)).unwrap();
    assert!(is_refused(counts.take_day_token(0, at(NOON))));
    assert!(counts.is_ahead(at(NOON)));
}

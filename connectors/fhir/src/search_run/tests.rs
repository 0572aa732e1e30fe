//! A walk over pages: how far it may move the stored mark, and where it goes on.

use serde_json::value::RawValue;

use super::*;
use crate::bundle::Resource;
use crate::cursor::write_text;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_625_000_000 + second, 0).unwrap()
}

const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// The stamp of the mark that a run stores at its end.
fn stamp(run: &SearchRun, second: i64) -> Option<DateTime<Utc>> {
    run.resume(at(second), OVERLAP).map(|mark| mark.stamp)
}

fn page(records: &[(&str, i64, bool)], total: u64) -> ServerPage {
    let resource = |(id, second, first): &(&str, i64, bool)| Resource {
        record_id: (*id).to_owned(),
        id: Some((*id).to_owned()),
        full_url: None,
        stamp: Some(at(*second)),
        is_named_by_content: false,
        is_first_version: *first,
        json: RawValue::from_string("{}".into()).unwrap(),
    };
    ServerPage {
        matches: records.iter().map(resource).collect(),
        patients: Vec::new(),
        next: None,
        own: None,
        total: Some(total),
        has_others: false,
    }
}

/// Hands over pages read ten seconds apart, beginning at second 1000.
fn run(pages: &[ServerPage]) -> SearchRun {
    let mut run = SearchRun::new(Some(StampMark::open(at(1))), "/p0", at(1000));
    for (number, page) in pages.iter().enumerate() {
        if number > 0 {
            run.go_to("/p", at(1000 + 10 * (i64::try_from(number).unwrap() - 1)));
        }
        run.receive(page);
        run.note_handed_over(page, page.matches.len(), OVERLAP);
    }
    run
}

#[test]
fn an_undisturbed_run_moves_to_its_greatest_stamp() {
    let done = run(&[
        page(&[("a", 10, false), ("b", 20, false)], 3),
        page(&[("c", 30, false)], 3),
    ]);
    assert_eq!(stamp(&done, 2000), Some(at(30)));
    assert_eq!(stamp(&done, 25), Some(at(25)), "never past our own clock");
    assert_eq!(
        stamp(&run(&[page(&[("a", 1500, true)], 1)]), 2000),
        Some(at(1000)),
        "nor past the server's"
    );
    let mut quiet = SearchRun::new(Some(StampMark::read(at(1), at(900))), "/p0", at(1000));
    let same = page(&[("a", 1, true)], 1);
    quiet.receive(&same);
    quiet.note_handed_over(&same, 1, OVERLAP);
    assert_eq!(stamp(&quiet, 2000), None, "nothing new");
    assert_eq!(stamp(&run(&[page(&[], 0)]), 2000), None);
    let unsorted = run(&[
        page(&[("b", 20, false), ("a", 10, false)], 3),
        page(&[("c", 15, false)], 3),
    ]);
    assert_eq!(stamp(&unsorted, 2000), Some(at(20)));
}

#[test]
fn a_change_during_the_run_holds_the_stamp_at_the_last_safe_page() {
    let pages = |first_version| {
        [
            page(&[("a", 10, false)], 4),
            page(&[("b", 20, false)], 4),
            page(&[("c", 30, false)], 4),
            page(&[("a", 1015, first_version)], 4),
        ]
    };
    assert_eq!(
        stamp(&run(&pages(false)), 2000),
        Some(at(20)),
        "the page read at 1010 is safe, 1020 is not"
    );
    assert_eq!(
        stamp(&run(&pages(true)), 2000),
        Some(at(1000)),
        "a new record shifts nothing"
    );
    let early = run(&[page(&[("a", 10, false)], 2), page(&[("a", 1000, false)], 2)]);
    assert_eq!(
        stamp(&early, 2000),
        None,
        "no page is certainly older than the change"
    );
}

#[test]
fn a_deletion_during_the_run_holds_the_stamp() {
    let sorted = run(&[
        page(&[("a", 10, false)], 4),
        page(&[("b", 20, false)], 4),
        page(&[("d", 40, false)], 3),
    ]);
    assert_eq!(stamp(&sorted, 2000), Some(at(10)));
    let unsorted = run(&[page(&[("b", 20, false)], 3), page(&[("a", 10, false)], 2)]);
    assert_eq!(stamp(&unsorted, 2000), None);
}

#[test]
fn a_page_that_changed_between_two_reads_is_handed_over_again() {
    let before = page(&[("a", 10, false), ("b", 20, false), ("c", 30, false)], 3);
    let mut run = SearchRun::new(None, "/p", at(1000));
    run.receive(&before);
    run.note_handed_over(&before, 2, OVERLAP);
    run.receive(&before);
    assert_eq!(run.skip, 2);
    run.receive(&page(
        &[("b", 20, false), ("c", 30, false), ("a", 1001, false)],
        3,
    ));
    assert_eq!(run.skip, 0);
}

#[test]
fn what_has_closed_is_not_read_again_and_a_stamp_that_stayed_back_closes_nothing() {
    let begin = |run: &SearchRun| run.resume(at(2000), OVERLAP).unwrap().begin(OVERLAP);
    let quiet = run(&[page(&[("a", 10, false)], 1)]);
    assert_eq!(begin(&quiet), Some(at(11)));
    let young = run(&[page(&[("a", 950, false)], 1)]);
    assert_eq!(begin(&young), Some(at(890)), "until T - overlap - a minute");
    let shifted = run(&[
        page(&[("a", 10, false)], 4),
        page(&[("b", 20, false)], 4),
        page(&[("a", 1015, false)], 4),
    ]);
    assert_eq!(begin(&shifted), Some(at(20) - OVERLAP));
    let mut again = SearchRun::new(quiet.resume(at(2000), OVERLAP), "/p0", at(3000));
    let late = page(&[("b", 15, true)], 1);
    again.receive(&late);
    again.note_handed_over(&late, 1, OVERLAP);
    assert_eq!(
        begin(&again),
        Some(at(15) - OVERLAP),
        "stamps come late here"
    );
}

#[test]
fn a_run_goes_on_from_the_stamp_it_has_reached() {
    let mut walk = run(&[page(&[("a", 10, false), ("b", 20, false)], 9)]);
    assert_eq!(walk.restart(), Some(at(20)));
    walk.begin_search("/q", walk.restart(), at(1001));
    assert_eq!(walk.restart(), None, "no further than that search");
    assert_eq!(walk.reached(), None);
    let next = page(&[("b", 20, false), ("c", 20, false)], 8);
    walk.receive(&next);
    walk.note_handed_over(&next, 2, OVERLAP);
    assert_eq!((walk.restart(), walk.reached()), (None, Some(at(20))));
    let stored: SearchRun =
        serde_json::from_str(&serde_json::to_string(&walk.to_store()).unwrap()).unwrap();
    assert_eq!(stored.reached(), Some(at(20)));
    let future = run(&[page(&[("a", 10, false), ("b", 5000, false)], 9)]);
    assert_eq!(future.reached(), Some(at(1000)));
    let unsorted = run(&[page(&[("a", 20, false), ("b", 10, false)], 9)]);
    assert_eq!(unsorted.reached(), None);
}

#[test]
fn a_page_in_order_is_no_proof_that_the_server_sorts() {
    let told = |own: Option<&str>, seconds: &[i64]| {
        let records: Vec<_> = seconds.iter().map(|second| ("a", *second, false)).collect();
        let mut page = page(&records, 9);
        page.own = own.map(str::to_owned);
        run(&[page]).reached()
    };
    let sorted = Some("https://mis.example/fhir/Immunization?_sort=_lastUpdated&_count=2");
    let ignored = Some("https://mis.example/fhir/Immunization?_count=2");
    let other = Some("https://mis.example/fhir/Immunization?_count=2&_sort=-_lastUpdated");
    let silent = Some("https://mis.example/fhir?page=7");
    for (own, level, rising) in [
        (None, None, Some(at(20))),
        (silent, None, Some(at(20))),
        (sorted, Some(at(10)), Some(at(20))),
        (ignored, None, None),
        (other, None, None),
    ] {
        assert_eq!(told(own, &[10, 10]), level, "{own:?}");
        assert_eq!(told(own, &[10, 20]), rising, "{own:?}");
        assert_eq!(told(own, &[20, 10]), None, "{own:?}");
    }
    let mut level = page(&[("a", 10, false)], 9);
    let next = page(&[("b", 20, false), ("c", 20, false)], 9);
    let rose = run(&[level, next]);
    assert_eq!(rose.reached(), Some(at(20)), "from page to page");
    level = page(&[("a", 10, false), ("b", 20, false), ("c", 15, false)], 9);
    let mut begun = SearchRun::new(None, "/p", at(1000));
    begun.receive(&level);
    begun.note_handed_over(&level, 2, OVERLAP);
    assert_eq!(
        begun.reached(),
        None,
        "the rest of the page is out of order"
    );
}

#[test]
fn checkpoints_stay_few_and_keep_the_last() {
    let pages: Vec<_> = (0..500).map(|n| page(&[("a", n, false)], 500)).collect();
    let done = run(&pages);
    assert!(
        done.checkpoints.len() <= MAX_CHECKPOINTS,
        "{}",
        done.checkpoints.len()
    );
    let text = write_text(&done).unwrap();
    assert!(text.as_str().len() < 990, "{}", text.as_str().len());
}

#[test]
fn the_form_of_stored_cursors_stays() {
    let stored = r#"{"since":{"stamp":"2021-07-01T09:00:00Z"},"page":"/p","skip":0,
        "prefix":1,"pages":2,"started":"2021-07-01T10:00:00Z",
        "from":"2021-07-01T08:00:00Z","window":{"to":1625000000,"width":60},
        "begins_search":true,"latest":null,"last":null,"sorted":false,
        "changed":null,"shrunk":false,"total":3,"marks":[[10,20]],
        "circle":{"link":5,"content":6,"steps":0,"until":1,"repeated":0,"empty":0},
        "went_back":false}"#
        .replace("\n        ", "");
    let run: SearchRun = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string(&run).unwrap(), stored);
}

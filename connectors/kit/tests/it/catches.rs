//! A right connector passes every check; each wrong one is caught by the check of its MUST.

use std::collections::BTreeSet;

use chrono::DateTime;
use connector_kit::conformance::{MUSTS, Outcome, Row, Subject, now, verify};

use crate::connector::Mistake as M;
use crate::source::Memory;

mod right {
    use crate::source::Memory;

    connector_kit::conformance_tests!(async { Memory::new(None) });
}

/// Mistakes beside the MUST that they break.
const WRONG: &[(&str, &[M])] = &[
    ("reads_only", &[M::Writes]),
    ("write_access_is_reported", &[M::SaysNothingOfWriteAccess]),
    ("page_keeps_its_limit", &[M::PageOfOneMore]),
    (
        "page_keeps_its_limit_where_the_source_does_not",
        &[M::HandsOverWhatItIsGiven, M::DropsWhatIsOverTheLimit],
    ),
    ("page_is_repeatable", &[M::EmptyTheSecondTime]),
    ("run_skips_nothing", &[M::SkipsTheLastPage]),
    ("run_skips_no_equal_stamps", &[M::PagesByStampAlone]),
    ("run_skips_nothing_while_others_change", &[M::PagesByOffset]),
    (
        "run_ends_while_the_source_is_written",
        &[M::FollowsWhatIsWritten],
    ),
    (
        "resume_is_not_past_unread_records",
        &[M::ResumesAtTheNewest],
    ),
    ("resume_is_not_in_the_future", &[M::ResumesInTheFuture]),
    ("run_looks_back_over_the_overlap", &[M::ForgetsTheOverlap]),
    (
        "bad_record_holds_up_no_other",
        &[M::FailsForABadRow, M::DropsABadRow],
    ),
    ("identity_is_secret", &[M::IdentityInCursors, M::ReadsNames]),
    ("errors_quote_no_value", &[M::QuotesTheSource]),
    (
        "source_away_is_retry",
        &[M::EmptyPageForASourceAway, M::CallsAwayMisconfigured],
    ),
    ("access_refused_is_misconfigured", &[M::CallsRefusedRetry]),
    ("silent_source_is_given_up", &[M::HasNoTimeout]),
    ("dripping_source_is_given_up", &[M::HasNoTimeout]),
    ("huge_value_is_bounded", &[M::KeepsHugeValues]),
    ("truncated_answer_is_no_page", &[M::TakesTruncatedForWhole]),
    ("same_page_again_ends", &[M::TrustsPages]),
    ("pages_in_a_cycle_end", &[M::TrustsPages]),
    ("pages_without_end_end", &[M::CountsNoPages]),
    ("time_comes_from_the_request", &[M::LooksAtTheMachinesClock]),
    ("check_names_every_fault", &[M::StopsAtTheFirstFault]),
    (
        "keys_list_every_row",
        &[M::KeysSkipTheLastPage, M::KeysOnlyOnce],
    ),
    (
        "keys_list_every_row_while_others_change",
        &[M::KeysByOffset],
    ),
    ("row_has_one_id_and_one_stamp", &[M::KeysInWholeSeconds]),
    ("fetch_gives_unreadable_rows", &[M::FetchDropsABadRow]),
    (
        "fetch_leaves_out_only_what_is_gone",
        &[M::FetchFailsForWhatIsGone, M::FetchIgnoresIds],
    ),
    (
        "stamps_that_went_back_are_followed",
        &[
            M::IgnoresStampsThatWentBack,
            M::StaysAheadOfStampsThatWentBack,
        ],
    ),
];

#[tokio::test]
async fn every_wrong_connector_is_caught() {
    let listed: BTreeSet<_> = WRONG.iter().map(|(id, _)| *id).collect();
    let musts: BTreeSet<_> = MUSTS.iter().map(|must| must.id).collect();
    assert_eq!(listed, musts, "a wrong connector for every MUST");
    for (id, mistakes) in WRONG {
        let must = MUSTS.iter().find(|must| must.id == *id).unwrap();
        for mistake in *mistakes {
            let outcome = verify(must, &mut Memory::new(Some(*mistake))).await;
            assert!(
                matches!(outcome, Outcome::Broken(_)),
                "{id}: {mistake:?} passes: {outcome:?}"
            );
        }
    }
}

#[test]
fn the_documentation_names_every_must() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/connectors.md");
    let page = std::fs::read_to_string(path).unwrap();
    for must in MUSTS {
        assert!(page.contains(&format!("`{}`", must.id)), "{}", must.id);
    }
}

#[tokio::test]
async fn a_sample_is_by_default_of_the_first_records() {
    let mut subject = Memory::new(None);
    let row = |name: &str| Row {
        name: name.to_owned(),
        stamp: DateTime::UNIX_EPOCH,
        unreadable: false,
    };
    subject.put(&[row("a"), row("b"), row("c")]).await;
    let connector = subject.connector().await;
    let sample = connector.sample(connector.feeds()[0], now()).await;
    assert_eq!(sample.unwrap().len(), 3);
}

//! A folder that is not whole: nothing of it is read, and nothing is taken for gone.

use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use connector_kit::{Connector, Feed, SourceError};
use serde_json::json;

use super::export::{Export, Run, fetch, keys, run, run_at};
use crate::support::{dose, now, patient};

const FEED: Feed = Feed::Vaccinations;

fn export() -> Export {
    let mut export = Export::new();
    export.put("Patient.ndjson", &[patient("p", "112-233-445 95")]);
    export.put(
        "Immunization.ndjson",
        &[dose("a", "p"), dose("b", "p"), dose("c", "p")],
    );
    export
}

/// Words of a run's failure that is worth another try.
fn retry(run: Result<Run, SourceError>) -> String {
    match run.err() {
        Some(SourceError::Retry { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_just_changed_is_not_read_yet() {
    let export = export();
    let source = export.doses();
    let settle = TimeDelta::seconds(60);
    let changed: chrono::DateTime<chrono::Utc> = export.time().into();
    for early in [TimeDelta::zero(), settle - TimeDelta::milliseconds(1)] {
        let said = retry(run_at(&source, FEED, None, changed + early).await);
        assert!(
            said.contains("changed") && said.contains("settle_seconds"),
            "{said}"
        );
    }
    let whole = run_at(&source, FEED, None, changed + settle).await.unwrap();
    assert_eq!(whole.ids(), ["a", "b", "c"]);
    // A file that is none of those that are read, and the folder itself, count as well: something
    // is going on there.
    export.set_folder_time(now().into());
    assert!(run(&export.doses(), FEED, None).await.is_err());
}

#[tokio::test]
async fn a_time_in_the_future_is_settled_once_it_has_been_seen_to_stay() {
    let mut export = export();
    let future = SystemTime::from(now()) + Duration::from_secs(3600);
    export.set_time("Immunization.ndjson", future);
    let source = export.doses();
    let said = retry(run(&source, FEED, None).await);
    assert!(said.contains("lies in the future"), "{said}");
    let later = now() + TimeDelta::seconds(59);
    retry(run_at(&source, FEED, None, later).await);
    let later = now() + TimeDelta::seconds(60);
    let read = run_at(&source, FEED, None, later).await.unwrap();
    assert_eq!(read.ids(), ["a", "b", "c"]);
    export.put("Immunization.ndjson", &[dose("a", "p")]);
    export.set_time("Immunization.ndjson", future);
    retry(run_at(&source, FEED, None, later).await);
}

#[tokio::test]
async fn a_last_line_that_is_cut_off_stops_everything_and_one_without_an_end_nothing() {
    let mut export = export();
    let source = export.doses();
    let first = run(&source, FEED, None).await.unwrap();
    let lines = [dose("a", "p"), dose("b", "p")]
        .map(|dose| dose.to_string())
        .join("\n");
    export.put_text("Immunization.ndjson", &lines);
    let next = run(&source, FEED, first.stored.as_ref()).await.unwrap();
    assert_eq!(next.ids(), ["a", "b"], "no line feed ends the last line");
    for cut in [1, 10, lines.len() / 3] {
        export.put_text("Immunization.ndjson", &lines[..lines.len() - cut]);
        let said = retry(run(&source, FEED, next.stored.as_ref()).await);
        assert!(said.contains("Immunization.ndjson is not whole"), "{said}");
        for failure in [
            keys(&source).await.err(),
            fetch(&source, &["c"]).await.err(),
        ] {
            assert!(
                matches!(failure, Some(SourceError::Retry { .. })),
                "{failure:?}"
            );
        }
    }
    // So does a cut off file of patients.
    export.put_text("Immunization.ndjson", &lines);
    export.put_text("Patient.ndjson", r#"{"resourceType":"Patient","id":"p"#);
    let said = retry(run(&source, FEED, next.stored.as_ref()).await);
    assert!(said.contains("Patient.ndjson is not whole"), "{said}");
}

#[tokio::test]
async fn a_folder_without_the_files_of_a_feed_withdraws_nothing() {
    let mut export = export();
    let source = export.doses();
    run(&source, FEED, None).await.unwrap();
    export.remove("Immunization.ndjson");
    for empty in [false, true] {
        if empty {
            export.put_text("Immunization.ndjson", "");
        }
        let failures = [
            run(&source, FEED, None).await.err(),
            keys(&source).await.err(),
            fetch(&source, &["a"]).await.err(),
        ];
        for failure in failures {
            let Some(SourceError::Misconfigured { what, help }) = failure else {
                panic!("{failure:?}");
            };
            assert!(
                what.contains("no resource of the type Immunization"),
                "{what}"
            );
            assert!(help.contains("entered-in-error"), "{help}");
        }
    }
    // As the help says: the clinic has none any more.
    let mut last = dose("a", "p");
    last["status"] = json!("entered-in-error");
    export.put("Immunization.ndjson", &[last]);
    assert_eq!(keys(&source).await.unwrap().len(), 1);
    export.remove("Patient.ndjson");
    export.remove("Immunization.ndjson");
    let failure = run(&source, FEED, None).await.err().unwrap();
    assert!(
        failure.to_string().contains("no file of an export"),
        "{failure}"
    );
}

#[tokio::test]
async fn other_feeds_go_on_without_the_files_of_one() {
    let export = export();
    let source = export.connector(&json!({"feeds": ["vaccinations", "tests"]}));
    assert!(run(&source, Feed::Tests, None).await.is_err());
    assert_eq!(run(&source, FEED, None).await.unwrap().ids().len(), 3);
}

#[tokio::test]
async fn an_export_that_says_that_it_is_not_whole_is_not_read() {
    let mut export = export();
    let source = export.doses();
    let outcome = |severity: &str, code: &str| {
        json!({"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code,
            "diagnostics": "Kanareykina 112-233-445 95"}]})
    };
    export.put(
        "OperationOutcome.ndjson",
        &[outcome("information", "informational")],
    );
    assert_eq!(run(&source, FEED, None).await.unwrap().ids().len(), 3);
    export.put("OperationOutcome.ndjson", &[outcome("error", "exception")]);
    let failure = run(&source, FEED, None).await.err().unwrap().to_string();
    assert!(
        failure.contains("says in OperationOutcome.ndjson"),
        "{failure}"
    );
    assert!(
        !failure.contains("Kanareykina") && !failure.contains("112"),
        "{failure}"
    );
    let report = source.check(now()).await;
    assert!(!format!("{report:?}").contains("Kanareykina"), "{report:?}");
}

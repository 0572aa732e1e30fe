//! Lines that are no resources, and the bounds of those that are.

use connector_kit::{Connector, Feed, RecordStatus, SourceError};
use serde_json::json;

use super::export::{Export, fetch, keys, run, statuses};
use crate::support::{dose, now, patient};

const FEED: Feed = Feed::Vaccinations;
const MAX_LINE_BYTES: usize = 64 * 1024;

fn export(lines: &str) -> Export {
    let mut export = Export::new();
    export.put("Patient.ndjson", &[patient("p", "112-233-445 95")]);
    export.put_text("Immunization.ndjson", lines);
    export
}

#[tokio::test]
async fn a_line_that_is_no_resource_is_refused_and_the_others_go_on() {
    let a = dose("a", "p");
    let b = dose("b", "p");
    for bad in [
        "{\"resourceType\":",
        "no JSON",
        "[]",
        "null",
        "{}",
        "{\"resourceType\":7}",
    ] {
        let export = export(&format!("{a}\n{bad}\n{b}\n"));
        let source = export.doses();
        let found = run(&source, FEED, None).await.unwrap();
        let refused = found.ids()[0].to_owned();
        assert!(
            refused.starts_with('?') && found.ids()[1..] == ["a", "b"],
            "{bad}"
        );
        assert_eq!(
            statuses(&found.records),
            [
                RecordStatus::Unreadable,
                RecordStatus::Final,
                RecordStatus::Final
            ],
            "{bad}"
        );
        // It may be the line of any record that seems to be gone.
        for failure in [
            keys(&source).await.err(),
            fetch(&source, &["c"]).await.err(),
        ] {
            let Some(SourceError::Misconfigured { what, .. }) = failure else {
                panic!("{bad}: {failure:?}");
            };
            assert!(
                what.contains("1 lines of the files of Immunization"),
                "{what}"
            );
        }
        let known = fetch(&source, &["a", &refused]).await.unwrap();
        assert_eq!(known.len(), 2, "what is there can be fetched");
    }
}

#[tokio::test]
async fn bad_lines_of_other_types_disturb_nothing_and_a_file_of_nothing_else_everything() {
    let mut export = export(&format!("{}\n", dose("a", "p")));
    let encounter = json!({"resourceType": "Encounter", "id": "e"});
    export.put_text("Encounter.ndjson", &format!("{encounter}\n{{\"resou\n"));
    let source = export.doses();
    assert_eq!(run(&source, FEED, None).await.unwrap().ids(), ["a"]);
    assert_eq!(keys(&source).await.unwrap().len(), 1);
    export.put_text("Immunization.1.ndjson", "<html>\n<body>\n");
    let failure = run(&source, FEED, None).await.err().unwrap().to_string();
    assert!(
        failure.contains("no line of Immunization.1.ndjson"),
        "{failure}"
    );
    assert!(keys(&source).await.is_err());
}

#[tokio::test]
async fn marks_line_ends_and_blank_lines_do_not_matter() {
    let a = dose("a", "p");
    let b = dose("b", "p");
    let export = export(&format!("\u{feff}\r\n{a}\r\n\r\n  {b}  \r\n\r\n"));
    let found = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(found.ids(), ["a", "b"]);
    assert!(
        found
            .records
            .iter()
            .all(|record| record.status == RecordStatus::Final)
    );
}

#[tokio::test]
async fn a_line_of_just_the_limit_is_read_and_a_longer_one_refused() {
    let padded = |length: usize| {
        let mut line = dose("a", "p").to_string();
        line.pop();
        let padding = length - line.len() - r#","x":""}"#.len();
        let line = format!("{line},\"x\":\"{}\"}}", "y".repeat(padding));
        assert_eq!(line.len(), length);
        line
    };
    let source = |export: &Export| {
        export.connector(&json!({"feeds": ["vaccinations"], "max_line_bytes": MAX_LINE_BYTES}))
    };
    let b = dose("b", "p");
    let exact = export(&format!("{}\n{b}\n", padded(MAX_LINE_BYTES)));
    let found = run(&source(&exact), FEED, None).await.unwrap();
    assert_eq!(found.ids(), ["a", "b"]);
    let long = export(&format!("{}\n{b}\n", padded(MAX_LINE_BYTES + 1)));
    let found = run(&source(&long), FEED, None).await.unwrap();
    assert_eq!(
        statuses(&found.records),
        [RecordStatus::Unreadable, RecordStatus::Final]
    );
    assert!(keys(&source(&long)).await.is_err());
}

#[tokio::test]
async fn deep_nesting_and_wrong_shapes_are_refused_by_their_ids() {
    let mut deep = dose("a", "p").to_string();
    deep.pop();
    let deep = format!(
        "{deep},\"protocolApplied\":{}{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let mut shape = dose("b", "p");
    shape["occurrenceDateTime"] = json!({"day": 1});
    let mut nameless = dose("c", "p");
    nameless["id"] = json!(null);
    let export = export(&format!(
        "{deep}\n{shape}\n{nameless}\n{}\n",
        dose("d", "p")
    ));
    let source = export.doses();
    let found = run(&source, FEED, None).await.unwrap();
    assert!(found.ids()[0].starts_with('?') && found.ids()[1..] == ["a", "b", "d"]);
    assert_eq!(
        statuses(&found.records)[..3],
        [RecordStatus::Unknown; 3],
        "{:?}",
        found.ids()
    );
    assert_eq!(
        keys(&source).await.unwrap().len(),
        4,
        "all of them are there"
    );
}

#[tokio::test]
async fn settings_out_of_their_range_are_refused() {
    let refused = |settings: serde_json::Value| {
        let mut config = json!({"path": "x"});
        config
            .as_object_mut()
            .unwrap()
            .extend(settings.as_object().unwrap().clone());
        let config = serde_json::from_value(config).unwrap();
        let built = connector_fhir::FhirFolderConnector::new(&config, std::path::Path::new("/"));
        built.err().map(|error| error.to_string())
    };
    for (settings, word) in [
        (json!({"path": ""}), "path is empty"),
        (json!({"settle_seconds": 0}), "settle_seconds"),
        (json!({"settle_seconds": 86_401}), "from 1 to 86400"),
        (json!({"max_line_bytes": 65_535}), "max_line_bytes"),
        (json!({"feeds": []}), "feeds is empty"),
        (json!({"test_codes": ["|x"]}), "test_codes"),
        (
            json!({"feeds": ["tests"], "vaccine_codes": ["a"]}),
            "vaccine_codes has no effect",
        ),
        (
            json!({"identifier_systems": {"urn:a b": "snils"}}),
            "identifier_systems",
        ),
        (
            json!({"recovered_on": {"onset-plus-days": 366}}),
            "from 1 to 365",
        ),
    ] {
        let error = refused(settings.clone());
        assert!(
            error.as_ref().is_some_and(|error| error.contains(word)),
            "{settings}: {error:?}"
        );
    }
    for good in [
        json!({"settle_seconds": 1, "max_line_bytes": 65_536}),
        json!({"settle_seconds": 86_400, "max_line_bytes": 268_435_456}),
    ] {
        assert_eq!(refused(good.clone()), None, "{good}");
    }
}

#[tokio::test]
async fn more_ids_than_may_be_asked_for_are_refused() {
    let export = export(&format!("{}\n", dose("a", "p")));
    let ids = |count: usize| vec!["Immunization/a".to_owned(); count];
    let source = export.doses();
    assert_eq!(source.fetch(FEED, &ids(500), now()).await.unwrap().len(), 1);
    assert!(source.fetch(FEED, &ids(501), now()).await.is_err());
}

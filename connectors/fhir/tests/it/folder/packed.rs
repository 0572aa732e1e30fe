//! Files of a folder that are packed with gzip, and files that are cut off.

use std::io::Write as _;

use connector_kit::{Feed, SourceError};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::export::{Export, fetch, keys, run};
use crate::support::{dose, patient, values};

const FEED: Feed = Feed::Vaccinations;

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn lines(ids: &[&str]) -> String {
    ids.iter()
        .map(|id| format!("{}\r\n", dose(id, "p")))
        .collect()
}

fn with_patient() -> Export {
    let mut export = Export::new();
    let line = format!("\u{feff}{}\n", patient("p", "112-233-445 95"));
    export.put_bytes("Patient.ndjson.gz", &packed(&line));
    export
}

#[tokio::test]
async fn packed_files_are_read_as_the_others_are() {
    let mut export = with_patient();
    // Two members, one behind the other, as some tools write them; ids not in the file's order.
    let mut members = packed(&lines(&["e", "a", "d"]));
    members.extend(packed(&lines(&["c", "b"])));
    export.put_bytes("Immunization.ndjson.gz", &members);
    export.put_text("Immunization.2.ndjson", &lines(&["f"]));
    let source = export.doses();
    let read = run(&source, FEED, None).await.unwrap();
    assert_eq!(read.ids(), ["a", "b", "c", "d", "e", "f"]);
    assert!(
        read.records
            .iter()
            .all(|record| values(record) == ["112-233-445 95"])
    );
    assert_eq!(keys(&source).await.unwrap().len(), 6);
    let fetched = fetch(&source, &["e", "a"]).await.unwrap();
    assert_eq!(fetched.len(), 2);
    // A name without .gz, and a name with it that lies.
    export.remove("Immunization.ndjson.gz");
    export.put_bytes("Immunization.ndjson", &members);
    export.put_text("Immunization.3.ndjson.gz", &lines(&["g"]));
    let read = run(&export.doses(), FEED, None).await.unwrap();
    assert_eq!(read.ids(), ["a", "b", "c", "d", "e", "f", "g"]);
}

/// Of a packed file everything is missed that is missing, of a plain one a part of a line.
#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_never_read_as_a_whole_one() {
    let mut export = with_patient();
    let text = lines(&["a", "b"]);
    let whole = packed(&text);
    for cut in (0..whole.len()).step_by(3).chain([whole.len() - 1]) {
        export.put_bytes("Immunization.ndjson.gz", &whole[..cut]);
        let failure = run(&export.doses(), FEED, None).await.err();
        // Without any byte it is a file without lines, and the feed without a resource.
        let is_seen = match &failure {
            Some(SourceError::Retry { .. }) => cut > 0,
            Some(SourceError::Misconfigured { .. }) => cut == 0,
            None => false,
        };
        assert!(is_seen, "{cut} bytes: {failure:?}");
    }
    export.put_bytes("Immunization.ndjson.gz", &whole);
    assert_eq!(
        run(&export.doses(), FEED, None).await.unwrap().ids(),
        ["a", "b"]
    );
    export.remove("Immunization.ndjson.gz");

    let first = text.find('\n').unwrap();
    for cut in 1..text.len() {
        export.put_text("Immunization.ndjson", &text[..cut]);
        let ids = match run(&export.doses(), FEED, None).await {
            Ok(read) => read.ids().join(" "),
            Err(error) => {
                assert!(matches!(error, SourceError::Retry { .. }), "{cut}: {error}");
                continue;
            }
        };
        // Only where nothing but the end of a line is missing, or whole lines are.
        let is_between = (first - 1..=first + 1).contains(&cut);
        let is_at_end = cut >= text.len() - 2;
        let expected = if is_between { "a" } else { "a b" };
        assert!(
            (is_between || is_at_end) && ids == expected,
            "{cut} bytes: {ids}"
        );
    }
}

#[tokio::test]
async fn a_bomb_is_refused() {
    let mut export = with_patient();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blanks = vec![b' '; 1024 * 1024];
    for _ in 0..80 {
        encoder.write_all(&blanks).unwrap();
    }
    export.put_bytes("Immunization.ndjson.gz", &encoder.finish().unwrap());
    let failure = run(&export.doses(), FEED, None).await.err();
    let Some(SourceError::Misconfigured { what, .. }) = &failure else {
        panic!("{failure:?}");
    };
    assert!(what.contains("unpacks to more than"), "{what}");
}

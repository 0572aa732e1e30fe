//! Audit log of the portal: who ran it and how many requests it answered, and nothing of a citizen.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testbed::leak::Scanner;

use crate::browser::{citizen, post};
use crate::double::{Behaviour, Double};
use crate::leaks::CANARIES;
use crate::program::{Portal, configured, run};

/// Section that has a log written.
const SECTION: &str = "[audit]\nfolder = \"audit\"\n";

/// Files of the log, oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("audit")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    paths.sort();
    paths
}

/// Lines of the log, in the order of its files.
fn lines(folder: &Path) -> Vec<Value> {
    let paths = files(folder);
    let texts = paths
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let text: String = texts.collect();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Requests of all lines, by route and outcome.
fn number(lines: &[Value], route: &str, outcome: &str) -> u64 {
    let numbers = lines.iter().filter(|line| line["event"] == "hour");
    let numbers = numbers.map(|line| line["details"]["requests"][route][outcome].as_u64());
    numbers.map(Option::unwrap_or_default).sum()
}

#[tokio::test]
async fn a_run_is_written_down_with_its_numbers_and_without_a_citizen() {
    let double = Double::start(Behaviour::Entitled).await;
    let mut portal = Portal::at(&format!("http://127.0.0.1:{}", double.port), SECTION).await;
    for _ in 0..2 {
        let asked = post(portal.port, "/api/status", &citizen()).await;
        assert_eq!(asked.outcome(), "status");
    }
    let wrong = json!({ "document": "snils", "number": "501-377-206 45", "given_name": "Ольга",
        "family_name": "Орлова", "birth_date": "14.07.1990" });
    let refused = post(portal.port, "/api/codes", &wrong).await;
    assert_eq!(refused.outcome(), "fields");
    portal.page_with("/health/ready", "ready\n").await;
    assert_eq!(portal.terminate().await, Some(0));

    let folder = portal.folder.path();
    let lines = lines(folder);
    let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    // One line of requests, or two if an hour ended meanwhile.
    assert_eq!(
        (events[0], events[events.len() - 1]),
        (&json!("begun"), &json!("done"))
    );
    assert!(
        events[1..events.len() - 1]
            .iter()
            .all(|event| **event == "hour")
    );
    assert_eq!(lines[0]["details"]["command"], "run");
    assert!(lines[0]["details"]["account"]["user"]["id"].is_u64());
    assert_eq!(
        lines[1]["details"]["process"],
        lines[0]["details"]["process"]
    );
    assert_eq!(number(&lines, "/api/status", "answered"), 2);
    assert_eq!(number(&lines, "/api/codes", "fields"), 1);

    let scanner = Scanner::new(CANARIES);
    let (hits, read) = scanner.scan_folder(&folder.join("audit"));
    assert!(read > 500, "{read} bytes");
    assert_eq!(hits, []);

    let (code, printed) = run(folder, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("head: "), "{printed}");
    let path = folder.to_owned();
    let checked = tokio::task::spawn_blocking(move || run(&path, &["check"]));
    let (code, printed) = checked.await.unwrap();
    assert!(
        printed.contains("each after the one before"),
        "{code:?} {printed}"
    );

    let oldest = &files(folder)[0];
    let text = std::fs::read_to_string(oldest).unwrap();
    std::fs::write(oldest, text.replacen("begun", "began", 1)).unwrap();
    let (code, printed) = run(folder, &["audit", "verify"]);
    assert_eq!(code, Some(65), "{printed}");
    let (code, printed) = run(folder, &["run"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("nothing was done"), "{printed}");
}

#[test]
fn without_its_first_line_nothing_is_served_and_without_a_section_there_is_no_log() {
    let (folder, ..) = configured("http://127.0.0.1:9", SECTION);
    std::fs::write(folder.path().join("audit"), "a file in the way").unwrap();
    let (code, printed) = run(folder.path(), &["run"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("nothing was done"), "{printed}");
    let (folder, ..) = configured("http://127.0.0.1:9", "");
    let (code, printed) = run(folder.path(), &["audit", "verify"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("there is no [audit]"), "{printed}");
    let (folder, ..) = configured("http://127.0.0.1:9", "[audit]\nfolder = \"\"\n");
    let (code, printed) = run(folder.path(), &["check"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("audit.folder is empty"), "{printed}");
}

//! Audit log of the gateway's commands: two lines for each, and nothing done without the first.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testbed::fhir::FhirServer;

use crate::cli::{json, told};
use crate::support::{City, Clinic, Running, eventually, fhir_source};
use crate::whole::fill_fhir;

/// Clinic with an audit log, and its system.
struct Audited {
    clinic: Clinic,
    _server: FhirServer,
}

impl Audited {
    async fn new() -> Self {
        let server = FhirServer::start().await.expect("an FHIR server");
        fill_fhir(&server);
        let queue = "[queue.directory]\npath = \"queue\"\n";
        let source = fhir_source(&server.base_url());
        let section = "[audit]\nfolder = \"audit\"\n";
        Self {
            clinic: Clinic::new(&City::new(), queue, &source, section),
            _server: server,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.clinic.folder.path().join(name)
    }

    /// Does a command, which ends with this code and says this.
    fn does(&self, arguments: &[&str], code: i32, phrases: &[&str]) -> String {
        told(&self.clinic.program(arguments), code, phrases)
    }

    /// Files of the log, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("audit")).expect("the log");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_log = |path: &PathBuf| path.extension().is_some_and(|it| it == "jsonl");
        let mut files: Vec<_> = paths.filter(is_log).collect();
        files.sort();
        files
    }

    fn text(&self) -> String {
        let files = self.files().into_iter();
        files
            .map(|path| fs::read_to_string(path).expect("a file of the log"))
            .collect()
    }

    /// Event, command and exit code of each line.
    fn lines(&self) -> Vec<String> {
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("a line is JSON");
            let details = &line["details"];
            let code = details["exit_code"].as_u64();
            let code = code.map(|code| format!(" {code}")).unwrap_or_default();
            let word = |value: &Value| value.as_str().expect("a word").to_owned();
            format!(
                "{} {}{code}",
                word(&line["event"]),
                word(&details["command"])
            )
        };
        self.text().lines().map(line).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_leaves_two_lines_without_content_that_verify_checks() {
    let audited = Audited::new().await;
    let shared = audited.path("shared").display().to_string();
    audited.does(&["sync"], 0, &[]);
    let preview = ["preview", "clinic", "--from-start", "--json"];
    let records = json(&audited.clinic.program(&preview));
    audited.does(&["dead-letters", "list"], 0, &[]);
    audited.does(&["keys", "share", "--out", &shared], 0, &[]);
    audited.does(&["keys", "share", "--out", &shared], 78, &[]);
    // These change nothing and show no single record.
    audited.does(&["keys", "show"], 0, &[]);
    audited.does(&["accept-state"], 0, &[]);
    audited.does(&["check", "--offline"], 0, &["audit log: 10 lines"]);
    let expected = [
        "begun sync",
        "done sync 0",
        "begun preview",
        "done preview 0",
        "begun dead-letters list",
        "done dead-letters list 0",
        "begun keys share",
        "done keys share 0",
        "begun keys share",
        "failed keys share 78",
    ];
    assert_eq!(audited.lines(), expected);
    let text = audited.text();
    assert!(text.contains("\"new\":"), "the counts of the pass: {text}");
    let records = records.as_array().expect("a list");
    assert!(!records.is_empty());
    for record in records {
        let id = record["record_id_here"].as_str().expect("an id");
        assert!(!text.contains(&format!("\"{id}\"")), "{id}: {text}");
    }
    let verified = audited.does(&["audit", "verify"], 0, &["10 lines, each after"]);
    let head = verified
        .lines()
        .find_map(|line| line.strip_prefix("head: "));
    let head = head.expect("the head");
    let newest = audited.files().pop().expect("a file");
    let whole = fs::read_to_string(&newest).expect("the log");
    let end = whole.trim_end().rfind('\n').expect("more than a line") + 1;
    fs::write(&newest, &whole[..end]).expect("a line is cut off");
    audited.does(&["audit", "verify"], 0, &["9 lines"]);
    audited.does(
        &["audit", "verify", "--head", head],
        65,
        &["ends with line 9"],
    );
    let changed = whole.replacen("\"done\"", "\"failed\"", 1);
    fs::write(&newest, changed).expect("a line is changed");
    audited.does(&["audit", "verify"], 65, &["one of the two was changed"]);
    audited.does(&["sync"], 78, &["nothing was done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_line_nothing_is_done() {
    let audited = Audited::new().await;
    let shared = audited.path("shared").display().to_string();
    fs::write(audited.path("audit"), "a file in the way").expect("a file");
    for command in [
        &["sync"][..],
        &["run"],
        &["keys", "share", "--out", &shared],
    ] {
        audited.does(command, 78, &["nothing was done"]);
    }
    audited.does(&["check", "--offline"], 78, &["ERROR", "audit"]);
    assert!(
        !audited.path("state/outbox.db").exists(),
        "no state was made"
    );
    assert!(!audited.path("shared").exists(), "no keys were handed out");
    fs::remove_file(audited.path("audit")).expect("it is in the way no more");
    audited.does(&["sync"], 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_beside_the_daemon_write_the_same_log() {
    let audited = Audited::new().await;
    let daemon = audited.clinic.command(&["run"]);
    let mut daemon = Running::start(daemon, &audited.path("log"));
    eventually("the daemon runs", 30, async || {
        daemon
            .log()
            .contains("the gateway is running")
            .then_some(())
    })
    .await;
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| audited.does(&["dead-letters", "list"], 0, &[]));
        }
    });
    assert_eq!(daemon.terminate().await, Some(0));
    let lines = audited.lines();
    assert_eq!(lines.first().expect("a line"), "begun run");
    assert_eq!(lines.last().expect("a line"), "done run 0");
    let count = |line: &str| lines.iter().filter(|it| *it == line).count();
    assert_eq!(count("begun dead-letters list"), 2);
    assert_eq!(count("done dead-letters list 0"), 2);
    audited.does(&["audit", "verify"], 0, &["6 lines, each after"]);
}

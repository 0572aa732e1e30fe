//! Tests of a command between its two lines.

use std::fs;
use std::path::PathBuf;

use audit::verify;
use clock::ManualClock;
use serde_json::Value;
use tokio::runtime::Builder;

use super::*;

const NOON: &str = "2026-12-04T12:00:00Z";

fn log_folder(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("audit")
}

fn run(
    folder: Option<PathBuf>,
    name: Option<&'static str>,
    work: impl AsyncFnOnce(&mut Counts) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let clock = ManualClock::at(NOON.parse().expect("a time"));
    let command = AuditedCommand {
        folder,
        name,
        clock: &clock,
    };
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(command.run(work))
}

fn lines(folder: &tempfile::TempDir) -> Vec<Value> {
    let path = log_folder(folder).join("audit-2026-12.jsonl");
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

#[test]
fn a_command_stands_between_two_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let seen = run(Some(log_folder(&folder)), Some("show"), async |counts| {
        assert_eq!(lines(&folder).len(), 1, "the first line comes first");
        counts.note("subjects", 2);
        Ok(())
    });
    seen.expect("it is done");
    let lines = lines(&folder);
    let [begun, done] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(begun["event"], "begun");
    assert_eq!(begun["details"]["command"], "show");
    assert!(begun["details"]["account"]["user"]["id"].is_u64());
    assert!(begun["details"].get("counts").is_none());
    assert_eq!(done["event"], "done");
    assert_eq!(done["details"]["begun"], 1);
    assert_eq!(done["details"]["exit_code"], 0);
    assert_eq!(done["details"]["counts"]["subjects"], 2);
    assert_eq!(done["details"]["process"], begun["details"]["process"]);
}

#[test]
fn a_failure_is_written_with_its_code_and_without_its_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let fail = |failure: fn(String) -> Failure| {
        let ended = run(Some(log_folder(&folder)), Some("show"), async |_| {
            Err(failure("of hmac/snils/1/abcd".to_owned()))
        });
        ended.expect_err("it failed").exit_code()
    };
    assert_eq!(fail(Failure::Later), 1);
    assert_eq!(fail(Failure::Look), 65);
    let lines = lines(&folder);
    let ends = [&lines[1], &lines[3]];
    assert_eq!(ends.map(|line| &line["event"]), ["failed", "done"]);
    assert_eq!(ends[1]["details"]["exit_code"], 65);
    assert!(!format!("{lines:?}").contains("abcd"), "{lines:?}");
    verify(&log_folder(&folder), None).expect("the log is whole");
}

#[test]
fn without_its_first_line_nothing_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(log_folder(&folder), "a file in the way").expect("a file");
    let ended = run(Some(log_folder(&folder)), Some("show"), async |_| {
        panic!("it is not begun")
    });
    let failure = ended.expect_err("there is no log");
    assert_eq!(failure.exit_code(), 78);
    assert!(failure.message().contains("nothing was done"), "{failure}");
}

#[test]
fn a_line_that_is_missing_at_the_end_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run(Some(log_folder(&folder)), Some("show"), async |_| {
        fs::remove_dir_all(log_folder(&folder)).expect("it is there");
        fs::write(log_folder(&folder), "a file in the way").expect("a file");
        Ok(())
    });
    let failure = ended.expect_err("it could not be written down");
    assert!(failure.message().contains("it was done"), "{failure}");
}

#[test]
fn without_a_log_or_a_name_the_work_is_done_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    run(None, Some("show"), async |_| Ok(())).expect("there is no log");
    run(Some(log_folder(&folder)), None, async |_| Ok(())).expect("it is not written down");
    assert!(!log_folder(&folder).exists());
}

#[test]
fn a_look_tells_of_a_log_that_is_to_be_made_and_of_one_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = look(&log_folder(&folder)).expect("it can be made");
    assert!(made.contains("is made at the first"), "{made}");
    run(Some(log_folder(&folder)), Some("show"), async |_| Ok(())).expect("it is done");
    let told = look(&log_folder(&folder)).expect("it is whole");
    assert_eq!(told, "2 lines, each after the one before");
    let path = log_folder(&folder).join("audit-2026-12.jsonl");
    let text = fs::read_to_string(&path).expect("the log");
    fs::write(&path, text.replacen("begun", "done", 1)).expect("it is changed");
    assert_eq!(
        look(&log_folder(&folder)).expect_err("damage").exit_code(),
        78
    );
}

//! Tests of appending: modes, months, torn lines, one writer or several.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::files;
use crate::{MAX_EVENT_BYTES, MAX_LINE_BYTES, MAX_TORN_FILES, TORN_EVENT};

const NOON: &str = "2026-12-04T12:00:00Z";

fn log_folder(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("log")
}

/// Writes bytes after the newest line, as a crash leaves them.
fn tear(folder: &tempfile::TempDir, bytes: &[u8]) {
    let path = log_folder(folder).join(DECEMBER);
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn last_line(folder: &tempfile::TempDir) -> serde_json::Value {
    let text = fs::read_to_string(log_folder(folder).join(DECEMBER)).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_line_says_number_time_event_details_and_the_digest_of_the_line_before() {
    let (folder, _) = nine_lines();
    let path = log_folder(&folder).join(OCTOBER);
    let text = fs::read_to_string(path).unwrap();
    let first = text.lines().next().unwrap();
    let zeros = "00".repeat(32);
    let expected = format!(
        r#"{{"sequence":1,"time":"2026-10-01T12:00:00.000Z","event":"test","details":{{"day":"01"}},"previous":"{zeros}"}}"#
    );
    assert_eq!(first, expected);
    let digest = Head::EMPTY.after(first.as_bytes()).digest;
    assert!(text.lines().nth(1).unwrap().contains(&hex::encode(digest)));
}

#[test]
fn folder_and_files_are_for_their_owner_alone() {
    let (folder, _) = nine_lines();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let log = log_folder(&folder);
    assert_eq!(mode(log.clone()), 0o700);
    for name in [OCTOBER, NOVEMBER, DECEMBER, "lock"] {
        assert_eq!(mode(log.join(name)), 0o600, "{name}");
    }
    fs::set_permissions(&log, Permissions::from_mode(0o750)).unwrap();
    let error = Log::open(&log, at(NOON)).unwrap_err();
    assert!(matches!(error, AuditError::TooOpen { mode: 0o750, .. }));
}

#[test]
fn a_clock_that_goes_back_stays_in_the_newest_file() {
    let (folder, _) = nine_lines();
    let mut log = Log::open(&log_folder(&folder), at("2026-10-05T00:00:00Z")).unwrap();
    log.append(at("2026-10-05T00:00:00Z"), "back", &json!({}))
        .unwrap();
    assert_eq!(last_line(&folder)["event"], "back");
    assert_eq!(check(&folder, Some(log.head())).unwrap(), 10);
}

#[test]
fn one_process_writes_a_log() {
    let (folder, _) = nine_lines();
    let first = Log::open(&log_folder(&folder), at(NOON)).unwrap();
    let second = Log::open(&log_folder(&folder), at(NOON));
    assert!(matches!(second, Err(AuditError::InUse { .. })));
    // Whoever only reads may do so meanwhile.
    assert_eq!(check(&folder, None).unwrap(), 9);
    drop(first);
    Log::open(&log_folder(&folder), at(NOON)).unwrap();
}

#[test]
fn a_torn_line_is_cut_into_a_file_of_its_own_and_noted() {
    let (folder, head) = nine_lines();
    tear(&folder, b"{\"sequence\":10,\"ti");
    let verified = verify(&log_folder(&folder), Some(head)).unwrap();
    assert_eq!((verified.lines, verified.torn_bytes), (9, 18));
    let log = Log::open(&log_folder(&folder), at(NOON)).unwrap();
    assert_eq!(log.head().sequence, 10);
    let note = last_line(&folder);
    assert_eq!(note["event"], TORN_EVENT);
    assert_eq!(note["details"], json!({ "files": ["torn-10-1.bytes"] }));
    let cut = fs::read(log_folder(&folder).join("torn-10-1.bytes")).unwrap();
    assert_eq!(cut, b"{\"sequence\":10,\"ti");
    assert_eq!(check(&folder, Some(head)).unwrap(), 10);
    drop(log);
    let again = Log::open(&log_folder(&folder), at(NOON)).unwrap();
    assert_eq!(again.head().sequence, 10, "it is noted once");
}

#[test]
fn a_crash_between_the_cut_and_its_note_leaves_the_note_to_the_next_start() {
    let (folder, _) = nine_lines();
    fs::write(log_folder(&folder).join("torn-10-1.bytes"), "cut").unwrap();
    tear(&folder, b"\0\0\0");
    Log::open(&log_folder(&folder), at(NOON)).unwrap();
    let files = json!(["torn-10-1.bytes", "torn-10-2.bytes"]);
    assert_eq!(last_line(&folder)["details"]["files"], files);
}

#[test]
fn cut_lines_have_a_limit() {
    let (folder, _) = nine_lines();
    let name = |count: usize| log_folder(&folder).join(format!("torn-10-{count}.bytes"));
    for count in 1..=MAX_TORN_FILES {
        fs::write(name(count), "cut").unwrap();
    }
    tear(&folder, b"torn");
    let error = Log::open(&log_folder(&folder), at(NOON)).unwrap_err();
    assert!(matches!(error, AuditError::TooManyTorn { .. }));
    fs::remove_file(name(MAX_TORN_FILES)).unwrap();
    Log::open(&log_folder(&folder), at(NOON)).unwrap();
}

#[test]
fn damage_other_than_a_torn_line_is_not_repaired() {
    let (folder, _) = nine_lines();
    tear(&folder, b"no line\n");
    let error = Log::open(&log_folder(&folder), at(NOON)).unwrap_err();
    assert!(matches!(error, AuditError::Damaged { line: 4, .. }));
}

#[test]
fn what_a_failed_write_left_is_removed_before_the_next_line() {
    let (folder, _) = nine_lines();
    let mut log = Log::open(&log_folder(&folder), at(NOON)).unwrap();
    tear(&folder, b"half a li");
    log.mark_untidy();
    log.append(at(NOON), "test", &json!({})).unwrap();
    assert_eq!(check(&folder, Some(log.head())).unwrap(), 10);
}

#[test]
fn events_and_lines_have_limits_at_their_edges() {
    let (folder, _) = nine_lines();
    let mut log = Log::open(&log_folder(&folder), at(NOON)).unwrap();
    for event in ["", "Event", "two words", &"e".repeat(MAX_EVENT_BYTES + 1)] {
        let refused = log.append(at(NOON), event, &json!({}));
        assert!(matches!(refused, Err(AuditError::Unfit)), "{event}");
    }
    log.append(at(NOON), &"e".repeat(MAX_EVENT_BYTES), &json!({}))
        .unwrap();
    let before = fs::read(log_folder(&folder).join(DECEMBER)).unwrap().len();
    log.append(at(NOON), "test", &"").unwrap();
    let bare = fs::read(log_folder(&folder).join(DECEMBER)).unwrap().len() - before - 1;
    let longest = "x".repeat(MAX_LINE_BYTES - bare);
    let refused = log.append(at(NOON), "test", &format!("{longest}x"));
    assert!(matches!(refused, Err(AuditError::Unfit)));
    log.append(at(NOON), "test", &longest).unwrap();
    assert_eq!(check(&folder, Some(log.head())).unwrap(), 12);
}

#[test]
fn several_processes_write_one_log_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_folder(&folder);
    let write = |writer: u64| {
        for line in 0..5 {
            let details = json!({ "writer": writer, "line": line });
            append_shared(&path, at(NOON), "test", &details).unwrap();
        }
    };
    std::thread::scope(|threads| {
        for writer in 0..3 {
            threads.spawn({
                let write = &write;
                move || write(writer)
            });
        }
    });
    assert_eq!(check(&folder, None).unwrap(), 15);
    assert_eq!(last_line(&folder)["sequence"], 15);
}

#[test]
fn a_turn_is_waited_for_and_not_for_ever() {
    let (folder, _) = nine_lines();
    let path = log_folder(&folder);
    let held = Log::open(&path, at(NOON)).unwrap();
    let limit = Duration::from_millis(50);
    let error = files::lock_in_turn(&path, limit).unwrap_err();
    assert!(matches!(error, AuditError::Busy { .. }) && error.may_pass());
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| append_shared(&path, at(NOON), "test", &json!({})));
        drop(held);
        assert_eq!(waiting.join().unwrap().unwrap().sequence, 10);
    });
}

#[test]
fn what_root_writes_belongs_to_the_owner_of_the_folder() {
    let (folder, _) = nine_lines();
    let log = log_folder(&folder);
    // Any account will do where the test may choose; else the folder's is this one.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&log, Some(12_345), Some(12_345)).unwrap();
    }
    tear(&folder, b"torn");
    append_shared(&log, at("2027-01-01T00:00:00Z"), "test", &json!({})).unwrap();
    let owner = |path: PathBuf| fs::metadata(path).unwrap().uid();
    for name in ["lock", "torn-10-1.bytes", "audit-2027-01.jsonl"] {
        assert_eq!(owner(log.join(name)), owner(log.clone()), "{name}");
    }
}

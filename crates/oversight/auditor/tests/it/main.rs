//! Tests of the program `auditor`: it opens what is asked for, and notes it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use contract::Version;
use escrow::{
    Account, AuditorKey, AuditorPublicKey, BatchName, Entry, RecordList, StatedRecord, Writer,
};

const ROOMY: u64 = 1 << 30;

/// Code, output and errors of a run in a folder.
struct Ended {
    code: Option<i32>,
    printed: String,
    said: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_auditor"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        printed: String::from_utf8(output.stdout).unwrap(),
        said: String::from_utf8(output.stderr).unwrap(),
    }
}

fn open(folder: &Path, account: &str, out: &str) -> Ended {
    open_of(folder, ["relay", "registry"], account, out)
}

/// Opens what lies in these folders of a relay and a registry.
fn open_of(folder: &Path, [relay, registry]: [&str; 2], account: &str, out: &str) -> Ended {
    let arguments = [
        "open",
        "--key",
        "key",
        "--relay",
        relay,
        "--registry",
        registry,
        "--account",
        account,
        "--from",
        "2026-11-02",
        "--to",
        "2026-11-03",
        "--reason",
        "case 17",
        "--out",
        out,
    ];
    run(folder, &arguments)
}

fn stated(record: u8) -> StatedRecord {
    StatedRecord {
        record: [record; 32],
        version: Version::new(u64::from(record)).unwrap(),
    }
}

/// Folder of a relay and a registry, with the key that opens them.
struct Laid {
    folder: tempfile::TempDir,
    public: AuditorPublicKey,
}

impl Laid {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = run(folder.path(), &["keys", "new", "--out", "key"]);
        assert_eq!(made.code, Some(0), "{}", made.said);
        let public = made.printed.lines().last().unwrap();
        let public = AuditorPublicKey::from_text(public).unwrap();
        Self { folder, public }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, folder: &str, day: u32, entry: Entry) {
        let mut writer = Writer::open(&self.path(folder), &self.public, ROOMY).unwrap();
        let at = format!("2026-11-{day:02}T12:00:00Z").parse().unwrap();
        writer.append(at, &[entry]).unwrap();
    }

    fn sent(&self, day: u32, account: &str, batch: u8) {
        let entry = Entry::SentBy {
            account: Account::new(account).unwrap(),
            batch: BatchName::of(&[batch]),
        };
        self.write("relay", day, entry);
    }

    fn stated(&self, day: u32, batch: u8, records: &[u8]) {
        let entry = Entry::Stated {
            batch: BatchName::of(&[batch]),
            records: records.iter().map(|record| stated(*record)).collect(),
        };
        self.write("registry", day, entry);
    }

    fn list(&self, name: &str) -> RecordList {
        RecordList::from_text(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }
}

/// Batches of the account: 1 before the period, 2 and 3 in it (3 arrives later), 4 never arrives, 5
/// was copied from another, 6 is after it. 7 is another's, and 1 is sent again in the period.
fn month() -> Laid {
    let laid = Laid::new();
    for (day, account, batch) in [
        (1, "clinic-12", 1),
        (2, "clinic-12", 1),
        (2, "clinic-12", 2),
        (2, "clinic-12", 2),
        (3, "clinic-12", 3),
        (3, "clinic-12", 4),
        (2, "polyclinic", 5),
        (3, "clinic-12", 5),
        (4, "clinic-12", 6),
        (2, "polyclinic", 7),
    ] {
        laid.sent(day, account, batch);
    }
    laid.stated(1, 1, &[1]);
    laid.stated(2, 2, &[20, 21]);
    laid.stated(9, 3, &[30, 20]);
    for batch in [5, 6, 7] {
        laid.stated(4, batch, &[batch]);
    }
    laid
}

#[test]
fn the_list_is_of_the_account_and_the_period_and_of_nothing_else() {
    let laid = month();
    let opened = open(laid.folder.path(), "clinic-12", "list");
    assert_eq!(opened.code, Some(0), "{}{}", opened.printed, opened.said);
    assert_eq!(
        laid.list("list").records(),
        [stated(20), stated(21), stated(30)]
    );
    let expected = [
        "batches sent in the period: 3",
        "records stated in them: 3",
        "in the queue): 1",
        "for the first time: 1",
        "name both): 1",
    ];
    for line in expected {
        assert!(opened.printed.contains(line), "{line}\n{}", opened.printed);
    }
    let text = fs::read_to_string(laid.path("list")).unwrap();
    let log = fs::read_dir(laid.path("audit")).unwrap();
    let log: String = log
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for told in [&opened.printed, &opened.said, &text, &log] {
        assert!(!told.contains("polyclinic") && !told.contains("cgak1"));
    }
    assert!(!text.contains("clinic-12"));
    assert!(log.contains("case 17") && log.contains("clinic-12") && log.contains("\"records\":3"));
    let mode = |name| fs::metadata(laid.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key"), mode("list")), (0o600, 0o600));
    let verified = run(laid.folder.path(), &["audit", "verify"]);
    assert!(verified.code == Some(0) && verified.printed.contains("2 lines"));

    // Of both accounts, the batch that both sent is opened.
    let arguments = [
        "open",
        "--key",
        "key",
        "--relay",
        "relay",
        "--registry",
        "registry",
        "--account",
        "clinic-12",
        "--account",
        "polyclinic",
        "--from",
        "2026-11-02",
        "--to",
        "2026-11-03",
        "--reason",
        "both",
        "--out",
        "both",
    ];
    assert_eq!(run(laid.folder.path(), &arguments).code, Some(0));
    let both = [5, 7, 20, 21, 30].map(stated);
    assert_eq!(laid.list("both").records(), both);
}

#[test]
fn what_is_missing_or_wrong_is_said_and_no_opening_is_without_its_line() {
    let laid = month();
    let folder = laid.folder.path();
    for (arguments, code, said) in [
        (vec!["open"], 2, "--reason"),
        (vec!["keys", "new", "--out", "key"], 78, "exists already"),
        (vec!["keys", "show", "--key", "relay"], 78, "relay"),
    ] {
        let ended = run(folder, &arguments);
        assert_eq!(ended.code, Some(code), "{}", ended.said);
        assert!(ended.said.contains(said), "{}", ended.said);
    }
    let shown = run(folder, &["keys", "show", "--key", "key"]);
    assert_eq!(shown.printed.trim(), laid.public.to_text());
    let unknown = open(folder, "nobody", "none");
    assert_eq!(unknown.code, Some(65), "{}", unknown.said);
    for said in ["batches sent in the period: 0", "compare its name"] {
        assert!(unknown.printed.contains(said), "{}", unknown.printed);
    }
    assert_eq!(laid.list("none").records(), []);
    let again = open(folder, "nobody", "none");
    assert_eq!(again.code, Some(78), "{}", again.said);

    for (folders, said) in [
        (["registry", "registry"], "was laid down by a registry"),
        (["relay", "relay"], "was laid down by a relay"),
    ] {
        let swapped = open_of(folder, folders, "clinic-12", "swapped");
        assert_eq!(swapped.code, Some(78), "{}", swapped.said);
        assert!(swapped.said.contains(said), "{}", swapped.said);
    }

    // A file that was cut off in a block, or whose end a crash has torn.
    let whole = open(folder, "clinic-12", "whole");
    assert_eq!(whole.code, Some(0), "{}", whole.said);
    let file = fs::read_dir(laid.path("registry")).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let blocks = fs::read(&file).unwrap();
    fs::write(&file, [&blocks[..], b"torn"].concat()).unwrap();
    let torn = open(folder, "clinic-12", "torn");
    assert_eq!(torn.code, Some(65), "{}", torn.said);
    assert!(
        torn.printed.contains("compare its length"),
        "{}",
        torn.printed
    );
    assert_eq!(laid.list("torn").records(), laid.list("whole").records());
    fs::write(&file, blocks).unwrap();

    // A folder that another key opens: the list is written, and that it is short is said.
    fs::write(laid.path("other"), "").unwrap();
    let key = AuditorKey::generate();
    let mut writer = Writer::open(&laid.path("registry"), &key.public(), ROOMY).unwrap();
    let entry = Entry::Stated {
        batch: BatchName::of(&[4]),
        records: vec![stated(4)],
    };
    writer
        .append("2026-11-03T12:00:00Z".parse().unwrap(), &[entry])
        .unwrap();
    let short = open(folder, "clinic-12", "short");
    assert_eq!(short.code, Some(65), "{}", short.said);
    assert!(
        short.printed.contains("sealed to another key"),
        "{}",
        short.printed
    );
    fs::remove_dir_all(laid.path("relay")).unwrap();
    assert_eq!(open(folder, "clinic-12", "gone").code, Some(78));
    let verified = run(folder, &["audit", "verify"]);
    assert!(
        verified.printed.contains("11 lines"),
        "{}",
        verified.printed
    );
    // A changed line is found.
    let file = fs::read_dir(laid.path("audit")).unwrap();
    let file = file
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some())
        .unwrap();
    let changed = fs::read_to_string(&file)
        .unwrap()
        .replacen("case 17", "case 18", 1);
    fs::write(&file, changed).unwrap();
    assert_eq!(run(folder, &["audit", "verify"]).code, Some(65));
}

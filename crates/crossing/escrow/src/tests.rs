//! Tests of folders: what is appended is read back, and nothing else tells anything.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};
use contract::Version;
use proptest::prelude::*;

use crate::key::checksum;
use crate::{
    Account, AuditorKey, AuditorPublicKey, BLOCK_BYTES, BatchName, Entry, EscrowError, KeyError,
    MAX_ACCOUNT_BYTES, ReadSummary, Reader, StatedRecord, UnreadableKind, Writer,
};

const ROOMY: u64 = 1 << 30;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn noon() -> DateTime<Utc> {
    at("2026-11-30T12:00:00Z")
}

fn sent_by(account: &str, batch: &[u8]) -> Entry {
    Entry::SentBy {
        account: Account::new(account).unwrap(),
        batch: BatchName::of(batch),
    }
}

fn stated(batch: &[u8], count: usize) -> Entry {
    let records = (0..count).map(|number| StatedRecord {
        record: *BatchName::of(&number.to_be_bytes()).as_bytes(),
        version: Version::new(number as u64 + 1).unwrap(),
    });
    Entry::Stated {
        batch: BatchName::of(batch),
        records: records.collect(),
    }
}

struct Folder {
    key: AuditorKey,
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self {
            key: AuditorKey::generate(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("escrow")
    }

    fn writer(&self, max_bytes: u64) -> Writer {
        Writer::open(&self.path(), &self.key.public(), max_bytes).unwrap()
    }

    fn read_with(&self, key: &AuditorKey) -> (Vec<(NaiveDate, Entry)>, ReadSummary) {
        let mut entries = Vec::new();
        let summary = Reader::new(&self.path(), key)
            .read(|day, entry| entries.push((day, entry)))
            .unwrap();
        (entries, summary)
    }

    /// Entries, without their days, where everything can be read.
    fn read(&self) -> Vec<Entry> {
        let (entries, summary) = self.read_with(&self.key);
        assert_eq!(summary.unreadable, []);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// Joins the parts that an entry of many records is read back in.
fn joined(entries: Vec<Entry>) -> Vec<Entry> {
    let mut whole: Vec<Entry> = Vec::new();
    for entry in entries {
        match (whole.last_mut(), entry) {
            (
                Some(Entry::Stated { batch, records }),
                Entry::Stated {
                    batch: same,
                    records: more,
                },
            ) if *batch == same => records.extend(more),
            (_, entry) => whole.push(entry),
        }
    }
    whole
}

#[test]
fn entries_are_read_back_with_their_day() {
    let folder = Folder::new();
    let mut writer = folder.writer(ROOMY);
    let longest = "ü".repeat(MAX_ACCOUNT_BYTES / 2);
    let first = [sent_by(&longest, b"1"), stated(b"1", 0), stated(b"2", 3)];
    writer.append(at("2026-11-30T23:59:59Z"), &first).unwrap();
    let second = [sent_by("a", b"3")];
    writer.append(at("2026-12-01T00:00:00Z"), &second).unwrap();

    let (entries, summary) = folder.read_with(&folder.key);
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let days: Vec<NaiveDate> = entries.iter().map(|(day, _)| *day).collect();
    let november = day("2026-11-30");
    assert_eq!(days, [november, november, november, day("2026-12-01")]);
    let read: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(read, [first.as_slice(), second.as_slice()].concat());
    assert_eq!((summary.files, summary.blocks), (2, 2));
    assert_eq!(summary.unreadable, []);
    // Old days can be destroyed by their names.
    assert!(
        folder.files()[0]
            .to_string_lossy()
            .contains("escrow-2026-11-30-")
    );
}

#[test]
fn nothing_readable_is_on_the_disk_and_sizes_are_equal() {
    let folder = Folder::new();
    let mut sizes = HashSet::new();
    for (account, records) in [("a", 0), ("city-hospital-number-12", 40)] {
        let mut writer = folder.writer(ROOMY);
        let entries = [sent_by(account, b"batch"), stated(b"batch", records)];
        writer.append(noon(), &entries).unwrap();
    }
    let name = BatchName::of(b"batch");
    for path in folder.files() {
        let bytes = fs::read(&path).unwrap();
        sizes.insert(bytes.len());
        let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
        assert!(!has(b"hospital") && !has(name.as_bytes()));
        assert!(!has(&[0; 12]), "padding is sealed, too");
    }
    assert_eq!(sizes, HashSet::from([BLOCK_BYTES]));
}

#[test]
fn another_key_opens_nothing_and_that_is_said() {
    let folder = Folder::new();
    folder
        .writer(ROOMY)
        .append(noon(), &[sent_by("a", b"1")])
        .unwrap();
    let (entries, summary) = folder.read_with(&AuditorKey::generate());
    assert!(entries.is_empty());
    assert_eq!(
        summary.unreadable[0].kind,
        UnreadableKind::OtherKey { block: 1 }
    );
}

#[test]
fn a_torn_end_and_a_damaged_block_hide_nothing() {
    let folder = Folder::new();
    let mut writer = folder.writer(ROOMY);
    for number in 0..3_u8 {
        writer.append(noon(), &[sent_by("a", &[number])]).unwrap();
    }
    let path = folder.files().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[BLOCK_BYTES + 2000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    // The process was killed in the middle of a write, and another one goes on.
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[7; 100]).unwrap();
    folder
        .writer(ROOMY)
        .append(noon(), &[sent_by("b", b"later")])
        .unwrap();

    let (entries, summary) = folder.read_with(&folder.key);
    let read: HashSet<String> = entries.iter().map(|(_, entry)| key_of(entry)).collect();
    let expected = [
        sent_by("a", &[0]),
        sent_by("a", &[2]),
        sent_by("b", b"later"),
    ];
    assert_eq!(read, expected.iter().map(key_of).collect());
    let kinds: Vec<UnreadableKind> = summary.unreadable.iter().map(|part| part.kind).collect();
    let damaged = UnreadableKind::Damaged { block: 2 };
    assert_eq!(kinds, [damaged, UnreadableKind::TornEnd { bytes: 100 }]);
}

fn key_of(entry: &Entry) -> String {
    match entry {
        Entry::SentBy { account, batch } => format!("{} {batch:?}", account.as_str()),
        Entry::Stated { batch, .. } => format!("{batch:?}"),
    }
}

#[test]
fn files_of_several_writers_do_not_meet() {
    let folder = Folder::new();
    let mut one = folder.writer(ROOMY);
    let mut two = folder.writer(ROOMY);
    for number in 0..4_u8 {
        one.append(noon(), &[sent_by("a", &[number])]).unwrap();
        two.append(noon(), &[sent_by("b", &[number])]).unwrap();
    }
    assert_eq!(folder.files().len(), 2);
    assert_eq!(folder.read().len(), 8);
}

#[test]
fn the_folder_takes_its_largest_size_and_no_block_more() {
    let folder = Folder::new();
    let mut writer = folder.writer(2 * BLOCK_BYTES as u64);
    writer.append(noon(), &[sent_by("a", b"1")]).unwrap();
    writer.append(noon(), &[sent_by("a", b"2")]).unwrap();
    for _ in 0..2 {
        let error = writer.append(noon(), &[sent_by("a", b"3")]).unwrap_err();
        assert!(matches!(error, EscrowError::FolderFull { .. }), "{error}");
        assert!(error.may_pass());
    }
    assert_eq!(folder.read().len(), 2);
    // Another writer counts what is there.
    let error = folder
        .writer(2 * BLOCK_BYTES as u64)
        .append(noon(), &[sent_by("b", b"3")]);
    assert!(matches!(error, Err(EscrowError::FolderFull { .. })));
    // An old day is destroyed, and it goes on: at the latest with the next file.
    fs::remove_file(folder.files().remove(0)).unwrap();
    writer.append(noon(), &[sent_by("a", b"3")]).unwrap();
    assert_eq!(folder.read(), [sent_by("a", b"3")]);
}

/// What is written to a removed file would be on no disk.
#[test]
fn a_file_that_was_removed_is_not_written_to() {
    let folder = Folder::new();
    let mut writer = folder.writer(ROOMY);
    writer.append(noon(), &[sent_by("a", b"1")]).unwrap();
    fs::remove_file(folder.files().remove(0)).unwrap();
    writer.append(noon(), &[sent_by("a", b"2")]).unwrap();
    assert_eq!(folder.read(), [sent_by("a", b"2")]);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_and_nothing_is_lost_after_it() {
    let folder = Folder::new();
    let mut writer = folder.writer(ROOMY);
    let moved = folder.folder.path().join("moved");
    fs::rename(folder.path(), &moved).unwrap();
    let error = writer.append(noon(), &[sent_by("a", b"1")]).unwrap_err();
    assert!(matches!(error, EscrowError::Io { .. }) && !error.may_pass());
    fs::rename(&moved, folder.path()).unwrap();
    writer.append(noon(), &[sent_by("a", b"1")]).unwrap();
    assert_eq!(folder.read().len(), 1);
}

#[test]
fn a_folder_that_others_may_enter_is_refused_and_a_strange_file_is_named() {
    let folder = Folder::new();
    folder.writer(ROOMY);
    fs::write(folder.path().join("escrow-2026-11-30.sealed"), "x").unwrap();
    let (_, summary) = folder.read_with(&folder.key);
    assert_eq!(summary.unreadable[0].kind, UnreadableKind::Strange);
    set_mode(&folder.path(), 0o750);
    let error = Writer::open(&folder.path(), &folder.key.public(), ROOMY).unwrap_err();
    assert!(matches!(error, EscrowError::TooOpen { mode: 0o750, .. }));
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn names_of_accounts_are_bounded() {
    for name in ["a", "clinic 12", &"x".repeat(MAX_ACCOUNT_BYTES)] {
        assert_eq!(Account::new(name).unwrap().as_str(), name);
    }
    for name in ["", "a\nb", &"x".repeat(MAX_ACCOUNT_BYTES + 1)] {
        assert!(Account::new(name).is_err());
    }
    assert_eq!(format!("{:?}", Account::new("a").unwrap()), "Account(…)");
}

#[test]
fn keys_are_read_as_they_are_written() {
    let key = AuditorKey::generate();
    let again = AuditorKey::from_text(&key.to_text()).unwrap();
    assert_eq!(again.public(), key.public());
    let text = key.public().to_text();
    assert_eq!(AuditorPublicKey::from_text(&text), Ok(key.public()));
    assert_eq!(
        AuditorPublicKey::from_text(&text[..40]),
        Err(KeyError::Length { characters: 47 })
    );
    for place in 6..text.len() {
        for other in ["*", "A", "z"] {
            let mut mistyped = text.clone();
            mistyped.replace_range(place..=place, other);
            let read = AuditorPublicKey::from_text(&mistyped);
            let expected = match mistyped == text {
                true => Ok(key.public()),
                false => Err(KeyError::Characters),
            };
            assert_eq!(read, expected, "{place} {other}");
        }
    }
    // A point that cannot keep a secret.
    let mut zero = vec![0; 32];
    zero.extend(checksum(&[0; 32]));
    let zero = format!("cgav1:{}", URL_SAFE_NO_PAD.encode(zero));
    assert_eq!(AuditorPublicKey::from_text(&zero), Err(KeyError::Value));
    let private = AuditorKey::from_text(&text.into()).unwrap_err();
    assert!(matches!(
        private,
        KeyError::Prefix {
            prefix: "cgak1:",
            ..
        }
    ));
    assert!(!format!("{key:?}").contains("cgak1"));
}

prop_compose! {
    fn any_entry()(kind in any::<bool>(), batch in any::<u8>(), name in "[a-z]{1,64}", count in 0..250_usize) -> Entry {
        if kind { sent_by(&name, &[batch]) } else { stated(&[batch], count) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is appended in whatever portions comes back whole and in order.
    #[test]
    fn all_entries_come_back(portions in prop::collection::vec(prop::collection::vec(any_entry(), 0..12), 1..5)) {
        let folder = Folder::new();
        let mut writer = folder.writer(ROOMY);
        for portion in &portions {
            writer.append(noon(), portion).unwrap();
        }
        let expected: Vec<Entry> = portions.into_iter().flatten().collect();
        prop_assert_eq!(joined(folder.read()), joined(expected));
        for path in folder.files() {
            prop_assert_eq!(fs::metadata(path).unwrap().len() % BLOCK_BYTES as u64, 0);
        }
    }

    /// A file that is cut anywhere loses only what stood behind the cut.
    #[test]
    fn a_cut_file_keeps_its_whole_blocks(cut in 0..4 * BLOCK_BYTES as u64) {
        let folder = Folder::new();
        let mut writer = folder.writer(ROOMY);
        let entries: Vec<Entry> = (0..4_u8).map(|number| sent_by("a", &[number])).collect();
        for entry in &entries {
            writer.append(noon(), std::slice::from_ref(entry)).unwrap();
        }
        let path = folder.files().remove(0);
        OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
        let (read, summary) = folder.read_with(&folder.key);
        let whole = usize::try_from(cut).unwrap() / BLOCK_BYTES;
        let read: Vec<Entry> = read.into_iter().map(|(_, entry)| entry).collect();
        prop_assert_eq!(read, &entries[..whole]);
        prop_assert_eq!(summary.unreadable.len(), usize::from(cut % BLOCK_BYTES as u64 > 0));
    }
}

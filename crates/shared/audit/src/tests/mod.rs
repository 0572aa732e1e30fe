//! Tests of the log and of what its check finds.

mod damage;
mod writing;

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::{AuditError, Damage, Head, Log, append_shared, verify};

pub(super) const OCTOBER: &str = "audit-2026-10.jsonl";
pub(super) const NOVEMBER: &str = "audit-2026-11.jsonl";
pub(super) const DECEMBER: &str = "audit-2026-12.jsonl";

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Log of three lines in each of three months, and its head.
pub(super) fn nine_lines() -> (tempfile::TempDir, Head) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&folder.path().join("log"), at("2026-10-01T00:00:00Z")).unwrap();
    for month in ["10", "11", "12"] {
        for day in ["01", "02", "03"] {
            let now = at(&format!("2026-{month}-{day}T12:00:00Z"));
            log.append(now, "test", &json!({ "day": day })).unwrap();
        }
    }
    (folder, log.head())
}

pub(super) fn check(folder: &tempfile::TempDir, kept: Option<Head>) -> Result<u64, AuditError> {
    verify(&folder.path().join("log"), kept).map(|verified| verified.lines)
}

/// Damage that the check finds, with the file and the line of it.
pub(super) fn found(folder: &tempfile::TempDir, kept: Option<Head>) -> (String, u64, Damage) {
    match check(folder, kept) {
        Err(AuditError::Damaged { file, line, damage }) => {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            (name, line, damage)
        }
        other => panic!("{other:?}"),
    }
}

/// Changes the text of a file of the log.
pub(super) fn change(folder: &Path, name: &str, change: impl FnOnce(Vec<String>) -> Vec<String>) {
    let path = folder.join("log").join(name);
    let text = fs::read_to_string(&path).unwrap();
    let lines = change(text.lines().map(str::to_owned).collect());
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&path, text).unwrap();
}

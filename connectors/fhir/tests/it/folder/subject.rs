//! An export's folder as a subject of the conformance suite.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use connector_kit::Connector;
use connector_kit::conformance::{
    BIRTH_DATE, FAMILY_NAME, Hostility, QUOTED_WORD, Row, SNILS, Subject, VACCINE_CODE,
};
use serde_json::{Value, json};

use super::export::Export;

/// Files that rows are spread over.
const FILES: usize = 3;
/// Size of a row that is longer than `max_line_bytes` allows a line to be.
const HUGE_BYTES: usize = 200_000;

/// A clinic's export.
pub(crate) struct FolderSubject {
    export: Export,
    rows: BTreeMap<String, Row>,
    hostility: Option<Hostility>,
    feeds: &'static [&'static str],
}

impl FolderSubject {
    pub(crate) fn start() -> Self {
        let mut subject = Self {
            export: Export::new(),
            rows: BTreeMap::new(),
            hostility: None,
            feeds: &["vaccinations"],
        };
        let patient = json!({"resourceType": "Patient", "id": "p",
            "name": [{"family": FAMILY_NAME}], "birthDate": BIRTH_DATE,
            "identifier": [{"system": crate::support::SNILS, "value": SNILS}]});
        subject.export.put("Patient.ndjson", &[patient]);
        subject.write((0..FILES).collect());
        subject
    }

    /// Writes files anew, with what the hostility makes of them.
    fn write(&mut self, files: BTreeSet<usize>) {
        let middle = self.rows.keys().nth(self.rows.len() / 2).cloned();
        let is_of = |hostility| self.hostility == Some(hostility);
        let mut texts = BTreeMap::new();
        for file in files {
            let mut lines = Vec::new();
            for row in self.rows.values().filter(|row| file_of(&row.name) == file) {
                let is_middle = middle.as_ref() == Some(&row.name);
                let mut resource = resource(row);
                if is_middle && is_of(Hostility::Huge) {
                    resource["note"] = json!([{"text": "a".repeat(HUGE_BYTES)}]);
                }
                lines.push(if is_middle && is_of(Hostility::QuotesValues) {
                    format!("{resource} {QUOTED_WORD} of {FAMILY_NAME}, {SNILS}")
                } else {
                    resource.to_string()
                });
            }
            // A clinic gives other vaccines as well; this one is not asked for.
            lines.push(influenza(file).to_string());
            let mut text = lines.join("\n");
            if is_of(Hostility::Truncated) {
                text.truncate(text.len() - 20);
            }
            texts.insert(name_of(file), text);
        }
        for (name, text) in texts {
            self.export.put_text(&name, &text);
        }
    }

    fn write_all(&mut self) {
        self.write((0..FILES).collect());
    }
}

fn file_of(name: &str) -> usize {
    name.bytes().map(usize::from).sum::<usize>() % FILES
}

fn name_of(file: usize) -> String {
    format!("Immunization.{file:03}.ndjson")
}

fn resource(row: &Row) -> Value {
    let date = if row.unreadable {
        "2021-02-30"
    } else {
        "2021-06-01"
    };
    json!({"resourceType": "Immunization", "id": row.name, "status": "completed",
        "meta": {"lastUpdated": row.stamp.to_rfc3339()},
        "vaccineCode": {"coding": [
            {"system": "http://hl7.org/fhir/sid/cvx", "code": VACCINE_CODE}]},
        "patient": {"reference": "Patient/p"}, "occurrenceDateTime": date})
}

fn influenza(file: usize) -> Value {
    json!({"resourceType": "Immunization", "id": format!("influenza-{file}"),
        "status": "completed", "patient": {"reference": "Patient/p"},
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}]}})
}

#[async_trait(?Send)]
impl Subject for FolderSubject {
    async fn reset(&mut self) {
        *self = Self::start();
    }

    async fn connector(&self) -> Box<dyn Connector> {
        let settings = json!({
            "feeds": self.feeds, "max_line_bytes": 64 * 1024, "vaccine_codes": [VACCINE_CODE],
        });
        Box::new(self.export.connector(&settings))
    }

    async fn put(&mut self, rows: &[Row]) {
        for row in rows {
            self.rows.insert(row.name.clone(), row.clone());
        }
        self.write(rows.iter().map(|row| file_of(&row.name)).collect());
    }

    async fn delete(&mut self, names: &[String]) {
        for name in names {
            self.rows.remove(name);
        }
        self.write(names.iter().map(|name| file_of(name)).collect());
    }

    async fn contents(&mut self) -> String {
        let entries = fs::read_dir(self.export.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let shown = |path: &std::path::PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            format!(
                "{path:?} {:?} {text}",
                fs::metadata(path).unwrap().modified()
            )
        };
        files.iter().map(shown).collect()
    }

    async fn begin(&mut self, hostility: Hostility) {
        self.hostility = Some(hostility);
        let moved = self.export.path().with_extension("away");
        match hostility {
            Hostility::Away => fs::rename(self.export.path(), moved).unwrap(),
            Hostility::Refused => {
                let link = self.export.path().join("Immunization.003.ndjson");
                symlink("/etc/hostname", link).unwrap();
            }
            Hostility::Truncated | Hostility::Huge | Hostility::QuotesValues => self.write_all(),
            _ => panic!("declared as impossible"),
        }
    }

    async fn end(&mut self) {
        let ended = self.hostility.take();
        match ended {
            Some(Hostility::Away) => {
                let moved = self.export.path().with_extension("away");
                fs::rename(moved, self.export.path()).unwrap();
            }
            Some(Hostility::Refused) => self.export.remove("Immunization.003.ndjson"),
            Some(_) => self.write_all(),
            None => {}
        }
    }

    async fn misconfigure(&mut self) -> [String; 2] {
        self.feeds = &["vaccinations", "tests", "recoveries"];
        ["Observation", "Condition"].map(|kind| format!("no resource of the type {kind}"))
    }

    fn cannot(&self, hostility: Hostility) -> Option<&'static str> {
        match hostility {
            Hostility::WriteAccess => Some("files are opened read-only, whoever may write them"),
            Hostility::Silent | Hostility::Dripping => {
                Some("no network lies before a file; the bound on every answer has its own test")
            }
            Hostility::IgnoresPageSize
            | Hostility::SamePageAgain
            | Hostility::PagesInCycle
            | Hostility::PagesWithoutEnd => {
                Some("a folder makes no pages: the connector's own index does")
            }
            _ => None,
        }
    }

    fn record_id(&self, name: &str) -> String {
        format!("Immunization/{name}")
    }

    fn overlap(&self) -> TimeDelta {
        TimeDelta::minutes(5)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }
}

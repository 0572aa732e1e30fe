//! The testbed's FHIR server as a subject of the conformance suite.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::Connector;
use connector_kit::conformance::{
    BIRTH_DATE, FAMILY_NAME, Hostility, QUOTED_WORD, Row, SNILS, Subject, VACCINE_CODE, now,
};
use serde_json::{Value, json};
use testbed::fhir::{EndlessPages, Exports, FhirServer, ServerFault};
use testbed::proxy::TcpProxy;

use crate::support::connector;

/// Stamp of the only patient, before those of all rows.
const PATIENT_STAMP: &str = "2021-01-01T00:00:00Z";
/// Size of a row that is larger than `max_body_bytes` allows a whole answer to be.
const HUGE_BYTES: usize = 200_000;
/// Timeouts that no pause of a busy machine reaches.
const PATIENT_SECONDS: u32 = 60;

/// Kinds of server, which differ in their paging and in how they misbehave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Page links stand for the result as it was at the first page. Its clock is years ahead.
    Snapshots,
    /// Page links are offsets into a result that is made afresh for every page. Its clock is that
    /// of the last change.
    Offsets,
    /// As [`Server::Snapshots`]; loads are bulk exports in files of two lines.
    Exporting,
    /// Page links as of [`Server::Snapshots`], in the order of ids whatever order is asked for.
    Unsorted,
}

/// A clinic's server, and the line to it.
pub(crate) struct FhirSubject {
    kind: Server,
    server: FhirServer,
    line: TcpProxy,
    rows: BTreeMap<String, Row>,
    feeds: &'static [&'static str],
    /// Seconds that a connector waits for a connection and for an answer.
    timeout_seconds: u32,
}

impl FhirSubject {
    pub(crate) async fn start(kind: Server) -> Self {
        let server = FhirServer::start().await.unwrap();
        let line = TcpProxy::start(server.port()).await.unwrap();
        if kind == Server::Offsets {
            server.page_by_offset();
        }
        if kind == Server::Unsorted {
            server.ignore_sort();
        }
        if kind == Server::Exporting {
            server.set_exports(Some(Exports {
                lines_per_file: 2,
                ..Exports::default()
            }));
        }
        let patient = json!({"resourceType": "Patient", "id": "p",
            "name": [{"family": FAMILY_NAME}], "birthDate": BIRTH_DATE,
            "identifier": [{"system": crate::support::SNILS, "value": SNILS}]});
        server.put(patient, PATIENT_STAMP);
        let subject = Self {
            kind,
            server,
            line,
            rows: BTreeMap::new(),
            feeds: &["vaccinations"],
            timeout_seconds: PATIENT_SECONDS,
        };
        subject.set_clock();
        subject
    }

    /// Sets the clock of a server with offsets to the last change that is not in the future.
    fn set_clock(&self) {
        if self.kind == Server::Offsets {
            let stamps = self.rows.values().map(|row| row.stamp);
            let last = stamps.filter(|stamp| *stamp <= now()).max();
            let start: DateTime<Utc> = PATIENT_STAMP.parse().unwrap();
            self.server.set_clock(Some(last.unwrap_or(start)));
        }
    }

    fn put_resource(&self, row: &Row, note: Option<String>) {
        let mut resource = resource(row);
        if let Some(note) = note {
            resource["note"] = json!([{"text": note}]);
        }
        self.server.put(resource, &row.stamp.to_rfc3339());
    }

    /// The row in the middle, which a hostility may change.
    fn middle_row(&self) -> &Row {
        self.rows.values().nth(self.rows.len() / 2).unwrap()
    }
}

fn resource(row: &Row) -> Value {
    let date = if row.unreadable {
        "2021-02-30"
    } else {
        "2021-06-01"
    };
    json!({"resourceType": "Immunization", "id": row.name, "status": "completed",
        "vaccineCode": {"coding": [
            {"system": "http://hl7.org/fhir/sid/cvx", "code": VACCINE_CODE}]},
        "patient": {"reference": "Patient/p"}, "occurrenceDateTime": date})
}

#[async_trait(?Send)]
impl Subject for FhirSubject {
    async fn reset(&mut self) {
        *self = Self::start(self.kind).await;
    }

    async fn shorten_timeouts(&mut self) {
        self.timeout_seconds = 1;
    }

    async fn connector(&self) -> Box<dyn Connector> {
        let first_load = if self.kind == Server::Exporting {
            "system-export"
        } else {
            "search"
        };
        let settings = json!({
            "first_load": first_load, "feeds": self.feeds, "overlap_seconds": self.overlap().num_seconds(),
            "request_timeout_seconds": self.timeout_seconds,
            "connect_timeout_seconds": self.timeout_seconds,
            "max_body_bytes": 64 * 1024,
        });
        let base_url = format!("http://127.0.0.1:{}/fhir", self.line.port());
        Box::new(connector(&base_url, settings))
    }

    async fn put(&mut self, rows: &[Row]) {
        for row in rows {
            self.put_resource(row, None);
            self.rows.insert(row.name.clone(), row.clone());
        }
        self.set_clock();
    }

    async fn delete(&mut self, names: &[String]) {
        for name in names {
            self.rows.remove(name);
            self.server.delete("Immunization", name);
        }
    }

    async fn contents(&mut self) -> String {
        let mut contents = self.server.contents();
        for request in self.server.requests() {
            if !request.starts_with("GET ") && !request.starts_with("DELETE /fhir/export-jobs/") {
                contents.push_str(&request);
            }
        }
        contents
    }

    async fn begin(&mut self, hostility: Hostility) {
        let is_crude = self.kind == Server::Offsets;
        let refuse = |status, words: String| {
            let retry_after_seconds = None;
            self.server.set_fault(Some(ServerFault::Status {
                status,
                retry_after_seconds,
                words,
            }));
        };
        match hostility {
            Hostility::WriteAccess => panic!("a FHIR server does not say what an account may do"),
            Hostility::Away => self.line.cut(),
            Hostility::Refused => refuse(if is_crude { 401 } else { 403 }, String::new()),
            Hostility::Silent => self.line.stall(),
            Hostility::Dripping => self.line.limit(Some(1)),
            Hostility::Truncated => self.server.set_fault(Some(ServerFault::Truncated)),
            Hostility::Huge if is_crude => {
                self.server
                    .set_fault(Some(ServerFault::Oversize(HUGE_BYTES)));
            }
            Hostility::Huge => {
                let note = "a".repeat(HUGE_BYTES);
                self.put_resource(self.middle_row(), Some(note));
            }
            Hostility::IgnoresPageSize => self.server.ignore_parameter("_count"),
            Hostility::SamePageAgain => self.server.endless_pages(Some(EndlessPages::SamePage)),
            Hostility::PagesInCycle => self.server.endless_pages(Some(EndlessPages::Cycle)),
            Hostility::PagesWithoutEnd if is_crude => {
                self.server.endless_pages(Some(EndlessPages::Empty));
            }
            Hostility::PagesWithoutEnd => self.server.endless_pages(Some(EndlessPages::NewLinks)),
            Hostility::QuotesValues => refuse(
                if is_crude { 500 } else { 400 },
                format!("{QUOTED_WORD} of {FAMILY_NAME}, {SNILS}"),
            ),
        }
    }

    async fn end(&mut self) {
        self.line.restore();
        self.line.limit(None);
        self.server.set_fault(None);
        self.server.endless_pages(None);
        for row in self.rows.values() {
            self.put_resource(row, None);
        }
    }

    async fn misconfigure(&mut self) -> [String; 2] {
        self.feeds = &["vaccinations", "tests", "recoveries"];
        self.server.refuse_parameter("Observation?code");
        self.server.refuse_parameter("Condition?code");
        [
            "tests: searching Observation".to_owned(),
            "recoveries: searching Condition".to_owned(),
        ]
    }

    fn cannot(&self, hostility: Hostility) -> Option<&'static str> {
        (hostility == Hostility::WriteAccess)
            .then_some("FHIR has no way to ask what an account may do, short of trying to write")
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

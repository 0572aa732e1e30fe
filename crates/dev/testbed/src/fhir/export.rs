//! Bulk exports (`$export`): jobs, their status, their files.

use super::answer::{self, RequestProblem};
use super::query::Params;
use super::store::{ResourceStore, TYPES};
use axum::body::Body;
use axum::http::{HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

/// Path of the jobs below the base address.
const JOBS: &str = "export-jobs";

/// Way in which a server exports.
#[derive(Clone, Debug)]
pub struct Exports {
    /// Times that a job's status says that the server is at work, before the job is done.
    pub polls: usize,
    /// Value of the Retry-After header meanwhile.
    pub retry_after_seconds: Option<u64>,
    /// Most lines of a file.
    pub lines_per_file: usize,
    /// Files are sent compressed.
    pub gzip: bool,
    /// The manifest says how many lines a file has.
    pub counts: bool,
    /// Lines of a file with outcomes, where there are any.
    pub outcomes: Vec<Value>,
    /// Resources (`TYPE/ID`) that are said to be deleted.
    pub deleted: Vec<String>,
    /// Text put behind the lines of every file.
    pub trailer: String,
    /// The manifest says that files need no login.
    pub open_files: bool,
    /// Moment that the manifest tells; `None`: the job's beginning.
    pub shows: Option<String>,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            polls: 0,
            retry_after_seconds: None,
            lines_per_file: 1000,
            gzip: false,
            counts: true,
            outcomes: Vec::new(),
            deleted: Vec::new(),
            trailer: String::new(),
            open_files: false,
            shows: None,
        }
    }
}

/// The exports of a server.
#[derive(Default)]
pub(super) struct ExportServer {
    /// Way in which exports are made; `None`: not at all.
    pub setting: Option<Exports>,
    /// Jobs that nobody has deleted.
    pub jobs: HashMap<String, BegunExport>,
    /// Number of jobs that were begun.
    begun: u64,
}

/// An export, as of its beginning.
pub(super) struct BegunExport {
    polls_left: usize,
    shows: String,
    files: BTreeMap<String, ExportedFile>,
}

/// Lines of a type, and the manifest's list that names them.
struct ExportedFile {
    list: &'static str,
    kind: String,
    lines: Vec<String>,
}

/// True for a path that begins an export: `$export`, `Patient/$export`, `Group/ID/$export`.
pub(super) fn is_kick_off(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["$export"] | ["Patient", "$export"] | ["Group", _, "$export"]
    )
}

/// True for the path of a job.
pub(super) fn is_job(parts: &[&str]) -> bool {
    matches!(parts, [JOBS, _])
}

impl ExportServer {
    /// Begins an export of the types that `_type` names.
    pub(super) fn kick_off(
        &mut self,
        store: &ResourceStore,
        now: DateTime<Utc>,
        base: &str,
        params: &Params,
    ) -> Result<Response, RequestProblem> {
        let Some(exports) = &self.setting else {
            return Err(RequestProblem::new(404, "not-supported", "no exports"));
        };
        let types = params.iter().find(|(name, _)| name == "_type");
        let types = types.map_or_else(|| TYPES.join(","), |(_, types)| types.clone());
        let now = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        let job = BegunExport {
            polls_left: exports.polls,
            shows: exports.shows.clone().unwrap_or(now),
            files: exports.files(store, &types),
        };
        let id = format!("job-{}", self.begun);
        self.begun += 1;
        let status = format!("{base}/{JOBS}/{id}");
        self.jobs.insert(id, job);
        Ok(HttpResponse::builder()
            .status(202)
            .header(header::CONTENT_LOCATION, status)
            .body(Body::empty())
            .expect("the address has no control characters"))
    }

    /// Answers a request for a job or one of its files; `None` for another path.
    pub(super) fn answer(
        &mut self,
        base: &str,
        parts: &[&str],
        deletes: bool,
    ) -> Option<Result<Response, RequestProblem>> {
        let found = match parts {
            [JOBS, id] if deletes => self.jobs.remove(*id).map(|_| empty(202)),
            [JOBS, id] => self.status(base, id),
            [JOBS, id, name] => self.file(id, name),
            _ => return None,
        };
        Some(found.ok_or_else(|| RequestProblem::new(404, "not-found", "no such export")))
    }

    fn status(&mut self, base: &str, id: &str) -> Option<Response> {
        let exports = self.setting.as_ref()?;
        let job = self.jobs.get_mut(id)?;
        if job.polls_left > 0 {
            job.polls_left -= 1;
            let mut response = empty(202);
            let headers = response.headers_mut();
            headers.insert("x-progress", HeaderValue::from_static("47% of Ivanov"));
            if let Some(seconds) = exports.retry_after_seconds {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            return Some(response);
        }
        let mut manifest = json!({
            "transactionTime": job.shows,
            "request": format!("{base}/$export"),
            "requiresAccessToken": !exports.open_files,
            "output": [], "deleted": [], "error": []});
        for (name, file) in &job.files {
            let url = format!("{base}/{JOBS}/{id}/{name}");
            let mut listed = json!({"type": file.kind, "url": url});
            if exports.counts {
                listed["count"] = json!(file.lines.len());
            }
            if let Some(list) = manifest[file.list].as_array_mut() {
                list.push(listed);
            }
        }
        Some(answer::json(200, &manifest))
    }

    fn file(&self, id: &str, name: &str) -> Option<Response> {
        let exports = self.setting.as_ref()?;
        let file = self.jobs.get(id)?.files.get(name)?;
        let text = format!("{}\n{}", file.lines.join("\n"), exports.trailer);
        let response = HttpResponse::builder()
            .status(200)
            .header(header::CONTENT_TYPE, "application/fhir+ndjson");
        let response = if exports.gzip {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(text.as_bytes()).expect("memory takes it");
            let packed = packed.finish().expect("memory takes it");
            response
                .header(header::CONTENT_ENCODING, "gzip")
                .body(Body::from(packed))
        } else {
            response.body(Body::from(text))
        };
        Some(response.expect("the headers are constant"))
    }
}

impl Exports {
    /// The files of an export of these types, as of now, by their names.
    fn files(&self, store: &ResourceStore, types: &str) -> BTreeMap<String, ExportedFile> {
        let mut files = BTreeMap::new();
        let mut add = |name: String, list, kind: &str, lines: Vec<String>| {
            let kind = kind.to_owned();
            files.insert(name, ExportedFile { list, kind, lines });
        };
        for kind in types.split(',') {
            let of_type = store.of_type(kind);
            let lines: Vec<String> = of_type.map(|stored| stored.resource.to_string()).collect();
            for (number, lines) in lines.chunks(self.lines_per_file.max(1)).enumerate() {
                add(format!("{kind}-{number}"), "output", kind, lines.to_vec());
            }
        }
        if !self.outcomes.is_empty() {
            let lines = self.outcomes.iter().map(Value::to_string).collect();
            add("outcomes".into(), "error", "OperationOutcome", lines);
        }
        if !self.deleted.is_empty() {
            let urls = self.deleted.iter();
            let entries: Vec<Value> = urls
                .map(|url| json!({"request": {"method": "DELETE", "url": url}}))
                .collect();
            let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
            add(
                "deleted".into(),
                "deleted",
                "Bundle",
                vec![bundle.to_string()],
            );
        }
        files
    }
}

fn empty(status: u16) -> Response {
    HttpResponse::builder()
        .status(status)
        .body(Body::empty())
        .expect("the status is valid")
}

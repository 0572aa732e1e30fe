//! Bulk exports (`$export`): jobs, their status, their files.

use super::answer::{self, RequestProblem};
use super::query::Params;
use super::state::ServerState;
use super::store::TYPES;
use axum::body::Body;
use axum::http::{HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use chrono::SecondsFormat;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;

/// Path of the jobs below the base address.
const JOBS: &str = "export-jobs";

/// How a server exports.
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

/// An export, as of its beginning.
pub(super) struct ExportJob {
    polls_left: usize,
    shows: String,
    /// Files by their names: type and lines.
    files: BTreeMap<String, ExportedFile>,
}

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

/// Begins an export of the types that `_type` names.
pub(super) fn kick_off(
    state: &mut ServerState,
    base: &str,
    params: &Params,
) -> Result<Response, RequestProblem> {
    let Some(exports) = state.exports.clone() else {
        return Err(RequestProblem::new(404, "not-supported", "no exports"));
    };
    let of = |name: &str| params.iter().find(|(known, _)| known == name);
    let types = of("_type").map_or_else(|| TYPES.join(","), |(_, types)| types.clone());
    let mut files = BTreeMap::new();
    for kind in types.split(',') {
        let lines: Vec<String> = state
            .store
            .of_type(kind)
            .map(|stored| stored.resource.to_string())
            .collect();
        for (number, lines) in lines.chunks(exports.lines_per_file.max(1)).enumerate() {
            let lines = lines.to_vec();
            files.insert(
                format!("{kind}-{number}"),
                ExportedFile {
                    list: "output",
                    kind: kind.to_owned(),
                    lines,
                },
            );
        }
    }
    if !exports.outcomes.is_empty() {
        let lines = exports.outcomes.iter().map(Value::to_string).collect();
        let kind = "OperationOutcome".to_owned();
        let list = "error";
        files.insert("outcomes".into(), ExportedFile { list, kind, lines });
    }
    if !exports.deleted.is_empty() {
        let entries: Vec<Value> = exports
            .deleted
            .iter()
            .map(|url| json!({"request": {"method": "DELETE", "url": url}}))
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        let lines = vec![bundle.to_string()];
        let kind = "Bundle".to_owned();
        let list = "deleted";
        files.insert("deleted".into(), ExportedFile { list, kind, lines });
    }
    let now = state.now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let job = ExportJob {
        polls_left: exports.polls,
        shows: exports.shows.unwrap_or(now),
        files,
    };
    let id = format!("job-{}", state.jobs_begun);
    state.jobs_begun += 1;
    let status = format!("{base}/{JOBS}/{id}");
    state.jobs.insert(id, job);
    Ok(HttpResponse::builder()
        .status(202)
        .header(header::CONTENT_LOCATION, status)
        .body(Body::empty())
        .expect("the address has no control characters"))
}

/// Answers a request for a job or one of its files; `None` for another path.
pub(super) fn answer(
    state: &mut ServerState,
    base: &str,
    parts: &[&str],
    deletes: bool,
) -> Option<Result<Response, RequestProblem>> {
    let gone = || RequestProblem::new(404, "not-found", "no such export");
    match parts {
        [JOBS, id] if deletes => Some(match state.jobs.remove(*id) {
            Some(_) => Ok(empty(202)),
            None => Err(gone()),
        }),
        [JOBS, id] => Some(status(state, base, id).ok_or_else(gone)),
        [JOBS, id, name] => Some(file(state, id, name).ok_or_else(gone)),
        _ => None,
    }
}

fn status(state: &mut ServerState, base: &str, id: &str) -> Option<Response> {
    let exports = state.exports.clone()?;
    let job = state.jobs.get_mut(id)?;
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
        let mut listed = json!({"type": file.kind, "url": format!("{base}/{JOBS}/{id}/{name}")});
        if exports.counts {
            listed["count"] = json!(file.lines.len());
        }
        if let Some(list) = manifest[file.list].as_array_mut() {
            list.push(listed);
        }
    }
    Some(answer::json(200, &manifest))
}

fn file(state: &ServerState, id: &str, name: &str) -> Option<Response> {
    let exports = state.exports.as_ref()?;
    let file = state.jobs.get(id)?.files.get(name)?;
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

fn empty(status: u16) -> Response {
    HttpResponse::builder()
        .status(status)
        .body(Body::empty())
        .expect("the status is valid")
}

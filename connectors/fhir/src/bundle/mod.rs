//! Parsing of a search answer: the records, the patients that came along, the link onwards.

pub(crate) mod deletions;

use std::collections::{HashMap, HashSet, hash_map};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::date;
use crate::ids::is_fhir_id;
use crate::model::{Bundle, Head, Link};
use crate::outcome::{self, Weight};

/// Longest resource id taken over; FHIR R4 allows 64.
const MAX_ID_BYTES: usize = 128;

/// Help for a server that answers with a complaint that will not pass.
const OUTCOME_HELP: &str =
    "compare the server's search parameters with this source's settings, and its account's rights";

/// A page as the server sends it.
#[derive(Default)]
pub(crate) struct ServerPage {
    /// Resources of the type that was asked for, in the server's order.
    pub matches: Vec<Resource>,
    /// Patients in the page that were included.
    pub patients: Vec<PatientEntry>,
    /// The link to the next page, as written.
    pub next: Option<String>,
    /// The page's own address, as the server writes it.
    pub own: Option<String>,
    /// Number of matches that the server counts, if it does.
    pub total: Option<u64>,
    /// True if a resource of another type came along that is neither a Patient nor said to be
    /// included.
    pub has_others: bool,
}

/// A match; its content is still unparsed.
pub(crate) struct Resource {
    /// `Type/id`; without a usable id `Type/?` and something that tells the resource from others
    /// of its page.
    pub record_id: String,
    /// The usable id, if there is one.
    pub id: Option<String>,
    /// The entry's address.
    pub full_url: Option<String>,
    /// `meta.lastUpdated`.
    pub stamp: Option<DateTime<Utc>>,
    /// The record id rests on the resource's content, so that all of that is needed.
    pub is_named_by_content: bool,
    /// True if `meta.versionId` says that this is the first version.
    pub is_first_version: bool,
    /// The resource.
    pub json: Box<RawValue>,
}

impl Resource {
    /// `meta.lastUpdated` as the gateway compares it: microseconds since 1970.
    pub(crate) fn stamp_micros(&self) -> Option<i64> {
        self.stamp.map(|stamp| stamp.timestamp_micros())
    }
}

/// A Patient, still unparsed.
pub(crate) struct PatientEntry {
    pub id: Option<String>,
    pub full_url: Option<String>,
    pub json: Box<RawValue>,
}

impl From<Resource> for PatientEntry {
    fn from(resource: Resource) -> Self {
        Self {
            id: resource.id,
            full_url: resource.full_url,
            json: resource.json,
        }
    }
}

/// Takes a search answer apart. A resource of the wrong shape stays in; an answer of the wrong
/// shape is an error.
pub(crate) fn parse(body: &[u8], resource_type: &str) -> Result<ServerPage, SourceError> {
    let head: Head = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    if head.resource_type == "OperationOutcome" {
        return Err(complaint(body));
    }
    if head.resource_type != "Bundle" {
        return Err(not_a_bundle());
    }
    let bundle: Bundle = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    let own = bundle.link.iter().find(|link| link.relation == "self");
    let mut page = ServerPage {
        own: own.map(|link| link.url.clone()),
        next: next_link(bundle.link),
        total: bundle.total,
        ..ServerPage::default()
    };
    let mut positions = HashMap::new();
    for entry in bundle.entry {
        let Some(json) = entry.resource else { continue };
        let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
        let id = usable_id(&head.id);
        match head.resource_type.as_str() {
            Some("OperationOutcome") => check_outcome(json.get().as_bytes(), resource_type)?,
            Some("Patient") if resource_type != "Patient" => {
                page.patients.push(PatientEntry {
                    id,
                    full_url: entry.full_url,
                    json,
                });
            }
            Some(other) if other != resource_type => {
                if entry.search.mode == "match" {
                    return Err(other_type(resource_type));
                }
                page.has_others |= entry.search.mode != "include" && entry.search.mode != "outcome";
            }
            // A resource without a type cannot be told from a match: it is kept, to be refused
            // visibly.
            _ => keep_newest(
                &mut page.matches,
                &mut positions,
                resource(resource_type, &head, id, entry.full_url, json),
            ),
        }
    }
    Ok(page)
}

/// Takes a resource of an export; none for an `OperationOutcome`, which is judged as among the
/// entries of a page.
///
/// # Errors
/// [`SourceError::Misconfigured`] for a resource of another type.
pub(crate) fn exported(
    json: Box<RawValue>,
    resource_type: &str,
) -> Result<Option<Resource>, SourceError> {
    let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
    match head.resource_type.as_str() {
        Some("OperationOutcome") => {
            check_outcome(json.get().as_bytes(), resource_type).map(|()| None)
        }
        Some(other) if other != resource_type => Err(SourceError::misconfigured(
            format!(
                "a file of {resource_type} in the FHIR server's bulk export has resources of \
                 another type"
            ),
            "have its export mended, or write first_load = \"search\"",
        )),
        _ => {
            let id = usable_id(&head.id);
            Ok(Some(resource(resource_type, &head, id, None, json)))
        }
    }
}

/// A page of the history of a type.
#[derive(Default)]
pub(crate) struct HistoryPage {
    /// Ids of the resources that were deleted, each once, in the server's order.
    pub deleted: Vec<String>,
    /// The link to the next page, as written.
    pub next: Option<String>,
}

/// Takes a page of the history of a type apart, or a Bundle of an export's deletions: only
/// deletions of that type are read.
pub(crate) fn parse_history(body: &[u8], kind: &str) -> Result<HistoryPage, SourceError> {
    let head: Head = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    if head.resource_type == "OperationOutcome" {
        return Err(complaint(body));
    }
    if head.resource_type != "Bundle" {
        return Err(not_a_bundle());
    }
    let bundle: Bundle = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    let mut history = HistoryPage {
        next: next_link(bundle.link),
        ..HistoryPage::default()
    };
    let mut known = HashSet::new();
    for entry in bundle.entry {
        if let Some(json) = &entry.resource {
            let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
            if head.resource_type == "OperationOutcome" {
                check_outcome(json.get().as_bytes(), kind)?;
            }
        }
        if entry.request.method != "DELETE" {
            continue;
        }
        let address = entry.request.url.as_str().or(entry.full_url.as_deref());
        let id = address.and_then(|address| {
            let address = address.split("/_history").next()?;
            let mut parts = address.rsplit('/');
            let id = parts.next();
            id.filter(|_| parts.next().is_none_or(|part| part == kind))
        });
        if let Some(id) = id.filter(|id| is_fhir_id(id))
            && known.insert(id.to_owned())
        {
            history.deleted.push(id.to_owned());
        }
    }
    Ok(history)
}

fn next_link(links: Vec<Link>) -> Option<String> {
    let mut links = links.into_iter();
    links
        .find(|link| link.relation == "next")
        .map(|link| link.url)
}

fn resource(
    resource_type: &str,
    head: &Head,
    id: Option<String>,
    full_url: Option<String>,
    json: Box<RawValue>,
) -> Resource {
    let (name, is_named_by_content) = match &id {
        Some(id) => (id.clone(), false),
        None => {
            let name = SubstituteName::of(&head.id, full_url.as_deref(), &json);
            (format!("?{}", name.text), name.is_by_content)
        }
    };
    Resource {
        record_id: format!("{resource_type}/{name}"),
        id,
        full_url,
        stamp: head.meta["lastUpdated"].as_str().and_then(date::instant),
        is_named_by_content,
        is_first_version: head.meta["versionId"] == "1",
        json,
    }
}

/// Keeps a match once a page: of a resource that is there twice, the newest.
pub(crate) fn keep_newest(
    matches: &mut Vec<Resource>,
    positions: &mut HashMap<String, usize>,
    resource: Resource,
) {
    match positions.entry(resource.record_id.clone()) {
        hash_map::Entry::Vacant(position) => {
            position.insert(matches.len());
            matches.push(resource);
        }
        hash_map::Entry::Occupied(position) => {
            let known = &mut matches[*position.get()];
            if known.stamp < resource.stamp {
                *known = resource;
            }
        }
    }
}

/// Parses the answer to a read by id; returns `None` for another resource, or none at all.
pub(crate) fn parse_read(body: &[u8], resource_type: &str) -> Option<Resource> {
    let json: Box<RawValue> = serde_json::from_slice(body).ok()?;
    let head: Head = serde_json::from_str(json.get()).ok()?;
    let id = usable_id(&head.id)?;
    (head.resource_type == resource_type)
        .then(|| resource(resource_type, &head, Some(id), None, json))
}

/// A resource that stands by itself, as on a line of a file. One without a usable id is named by
/// its content.
pub(crate) fn alone(json: Box<RawValue>, resource_type: &str) -> Resource {
    let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
    let id = usable_id(&head.id);
    resource(resource_type, &head, id, None, json)
}

/// Error for a server that answers a search with something else.
pub(crate) fn other_type(resource_type: &str) -> SourceError {
    SourceError::misconfigured(
        format!(
            "the FHIR server answers a search for {resource_type} with resources of another type"
        ),
        "have the server's search mended, or base_url corrected",
    )
}

/// Logs an OperationOutcome among the entries that is a remark; refuses the answer where the
/// outcome says that it is not whole.
///
/// An outcome that misses a Patient is a remark: that record is refused visibly, and must not hold
/// up all the others.
fn check_outcome(outcome: &[u8], resource_type: &str) -> Result<(), SourceError> {
    let words = outcome::describe(outcome).unwrap_or_default();
    let what = || format!("the FHIR server says that its answer is not whole: {words}");
    match outcome::weight(outcome) {
        Weight::Lasting if resource_type == "Patient" && outcome::only_misses(outcome) => Ok(()),
        Weight::Remark => {
            tracing::warn!(
                outcome = words,
                "the FHIR server adds a remark to its answer"
            );
            Ok(())
        }
        Weight::Passing => Err(SourceError::retry(what())),
        Weight::Lasting => Err(SourceError::misconfigured(what(), OUTCOME_HELP)),
    }
}

/// The id as text; some servers write their key as a JSON number.
pub(crate) fn usable_id(id: &Value) -> Option<String> {
    match id {
        Value::String(id) => is_id(id).then(|| id.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// Name of a resource without a usable id, so that two refusals are not taken for one: the end of
/// its address, or a fingerprint of the id it has, else of its content.
struct SubstituteName {
    text: String,
    is_by_content: bool,
}

impl SubstituteName {
    fn of(id: &Value, full_url: Option<&str>, json: &RawValue) -> Self {
        if let Some(tail) = full_url
            .and_then(|url| url.rsplit(['/', ':']).next())
            .filter(|tail| is_id(tail))
        {
            return Self {
                text: tail.to_owned(),
                is_by_content: false,
            };
        }
        let (text, is_by_content) = match id {
            Value::String(id) if !id.trim().is_empty() => (id.as_str(), false),
            _ => (json.get(), true),
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self {
            text: format!("{:016x}", hasher.finish()),
            is_by_content,
        }
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && !id.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// Error for a search or a history that is answered with an OperationOutcome alone.
fn complaint(body: &[u8]) -> SourceError {
    let said = outcome::describe(body)
        .map(|words| format!(" (it says: {words})"))
        .unwrap_or_default();
    let what = format!("the FHIR server answers with a complaint instead of a Bundle{said}");
    match outcome::weight(body) {
        Weight::Passing => SourceError::retry(what),
        Weight::Remark | Weight::Lasting => SourceError::misconfigured(what, OUTCOME_HELP),
    }
}

fn not_a_bundle() -> SourceError {
    SourceError::misconfigured(
        "the FHIR server's answer to a search is no FHIR Bundle",
        "check that base_url is a FHIR R4 base address, and the server's health",
    )
}

#[cfg(test)]
mod tests;

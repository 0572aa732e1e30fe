//! One search answer, taken apart: the records, the patients that came along, the link onwards.

use std::collections::{HashMap, hash_map};
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::date;
use crate::model::{Bundle, Head};
use crate::outcome::{self, Weight};

/// Longest resource id taken over; FHIR R4 allows 64.
const MAX_ID_BYTES: usize = 128;

/// What to do about a server that answers with a complaint that will not pass.
const OUTCOME_HELP: &str =
    "compare the server's search parameters with this source's settings, and its account's rights";

/// One page as the server sends it.
pub(crate) struct ServerPage {
    /// Resources of the type that was asked for, in the server's order.
    pub matches: Vec<Resource>,
    /// Patients in the page that were included.
    pub patients: Vec<PatientEntry>,
    /// The link to the next page, as written.
    pub next: Option<String>,
    /// How many matches the server counts, if it does.
    pub total: Option<u64>,
    /// Whether a resource of another type came along that is neither a Patient nor said to be
    /// included.
    pub has_others: bool,
}

/// One match; its content is still unparsed.
pub(crate) struct Resource {
    /// `Type/id`; without a usable id `Type/?` and what tells the resource from others of its page.
    pub record_id: String,
    /// Its usable id.
    pub id: Option<String>,
    /// The entry's address.
    pub full_url: Option<String>,
    /// `meta.lastUpdated`.
    pub stamp: Option<DateTime<Utc>>,
    /// Its record id rests on its content, so that it needs all of that.
    pub is_named_by_content: bool,
    /// `meta.versionId` says that this is the first version.
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

/// One Patient, still unparsed.
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
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let head: Head = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    if head.resource_type == "OperationOutcome" {
        let said = outcome::words(body)
            .map(|words| format!(" (it says: {words})"))
            .unwrap_or_default();
        let what =
            format!("the FHIR server answers a search with a complaint instead of a Bundle{said}");
        return Err(match outcome::weight(body) {
            Weight::Passing => SourceError::retry(what),
            Weight::Remark | Weight::Lasting => SourceError::misconfigured(what, OUTCOME_HELP),
        });
    }
    if head.resource_type != "Bundle" {
        return Err(not_a_bundle());
    }
    let bundle: Bundle = serde_json::from_slice(body).map_err(|_| not_a_bundle())?;
    let next = bundle
        .link
        .into_iter()
        .find(|link| link.relation == "next")
        .map(|link| link.url);
    let mut page = ServerPage {
        matches: Vec::new(),
        patients: Vec::new(),
        next,
        total: bundle.total,
        has_others: false,
    };
    let mut places = HashMap::new();
    for entry in bundle.entry {
        let Some(json) = entry.resource else { continue };
        let head: Head = serde_json::from_str(json.get()).unwrap_or_default();
        let id = usable_id(&head.id);
        match head.resource_type.as_str() {
            Some("OperationOutcome") => heed(json.get().as_bytes(), resource_type)?,
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
            _ => keep(
                &mut page.matches,
                &mut places,
                resource(resource_type, &head, id, entry.full_url, json),
            ),
        }
    }
    Ok(page)
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
            let (name, by_content) = makeshift(&head.id, full_url.as_deref(), &json);
            (format!("?{name}"), by_content)
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
fn keep(matches: &mut Vec<Resource>, places: &mut HashMap<String, usize>, resource: Resource) {
    match places.entry(resource.record_id.clone()) {
        hash_map::Entry::Vacant(place) => {
            place.insert(matches.len());
            matches.push(resource);
        }
        hash_map::Entry::Occupied(place) => {
            let known = &mut matches[*place.get()];
            if known.stamp < resource.stamp {
                *known = resource;
            }
        }
    }
}

/// One resource, as a read by its id answers; `None` where it is another one, or none at all.
pub(crate) fn parse_read(body: &[u8], resource_type: &str) -> Option<Resource> {
    let body = std::str::from_utf8(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()?;
    let json: Box<RawValue> = serde_json::from_str(body).ok()?;
    let head: Head = serde_json::from_str(json.get()).ok()?;
    let id = usable_id(&head.id)?;
    (head.resource_type == resource_type)
        .then(|| resource(resource_type, &head, Some(id), None, json))
}

/// The server answers a search with something else.
pub(crate) fn other_type(resource_type: &str) -> SourceError {
    SourceError::misconfigured(
        format!(
            "the FHIR server answers a search for {resource_type} with resources of another type"
        ),
        "have the server's search mended, or base_url corrected",
    )
}

/// An OperationOutcome among the entries: a remark, or the reason why the answer is not whole.
///
/// One that misses a Patient is a remark: that record is refused visibly, and must not hold up all
/// the others.
fn heed(outcome: &[u8], resource_type: &str) -> Result<(), SourceError> {
    let words = outcome::words(outcome).unwrap_or_default();
    let what = || format!("the FHIR server says that its answer to a search is not whole: {words}");
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
fn usable_id(id: &Value) -> Option<String> {
    match id {
        Value::String(id) => is_id(id).then(|| id.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

/// What a resource without a usable id goes by, so that two refusals are not taken for one: the end
/// of its address, or a fingerprint of the id it has, else of its content.
///
/// The second part is true where it took the content.
fn makeshift(id: &Value, full_url: Option<&str>, json: &RawValue) -> (String, bool) {
    if let Some(tail) = full_url
        .and_then(|url| url.rsplit(['/', ':']).next())
        .filter(|tail| is_id(tail))
    {
        return (tail.to_owned(), false);
    }
    let mut hasher = DefaultHasher::new();
    let by_content = match id {
        Value::String(id) if !id.trim().is_empty() => {
            id.hash(&mut hasher);
            false
        }
        _ => {
            json.get().hash(&mut hasher);
            true
        }
    };
    (format!("{:016x}", hasher.finish()), by_content)
}

fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && !id.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn not_a_bundle() -> SourceError {
    SourceError::misconfigured(
        "the FHIR server's answer to a search is no FHIR Bundle",
        "check that base_url is a FHIR R4 base address, and the server's health",
    )
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;

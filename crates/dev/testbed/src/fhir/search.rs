//! Search: filters, order, included resources, pages.

use super::answer::{self, Problem, outcome};
use super::query::{DateTest, Params, encode, has_coding};
use super::store::{Held, Result as Found};
use super::{DEFAULT_PAGE, Endless, Paging, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// The parameter of a page link: an opaque token and a place.
pub(super) const PAGE_PARAM: &str = "_page";
/// The parameter of a page link without a token: a place in a search made afresh.
const OFFSET_PARAM: &str = "_offset";

/// The search parameters of a type, with FHIR's types.
pub(super) fn parameters(kind: &str) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![("_id", "token"), ("_lastUpdated", "date")];
    match kind {
        "Immunization" => {
            all.extend([
                ("vaccine-code", "token"),
                ("status", "token"),
                ("patient", "reference"),
            ]);
        }
        "Observation" => all.extend([
            ("code", "token"),
            ("status", "token"),
            ("patient", "reference"),
        ]),
        "Condition" => all.extend([("code", "token"), ("patient", "reference")]),
        _ => {}
    }
    all
}

/// The references that `_include` follows. All of them lead to the patient.
pub(super) fn includes(kind: &str) -> &'static [&'static str] {
    match kind {
        "Immunization" => &["patient"],
        "Observation" | "Condition" => &["patient", "subject"],
        _ => &[],
    }
}

/// The orders known; the id settles equal stamps in all of them.
const SORTS: [&str; 3] = ["_lastUpdated", "-_lastUpdated", "_lastUpdated,_id"];

/// What one search asks for.
struct Search {
    filters: Vec<Filter>,
    sort: Option<bool>,
    count: usize,
    include: bool,
    total_only: bool,
    elements: Vec<String>,
    offset: usize,
    used: String,
}

enum Filter {
    Ids(Vec<String>),
    Updated(DateTest),
    Coding(&'static str, String),
    Status(Vec<String>),
    Patients(Vec<String>),
}

impl Filter {
    fn matches(&self, held: &Held) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&held.id),
            Self::Updated(test) => test.matches(held.last_updated),
            Self::Coding(field, tokens) => has_coding(&held.resource[field], tokens),
            Self::Patients(wanted) => ["patient", "subject"]
                .iter()
                .filter_map(|field| held.resource[field]["reference"].as_str())
                .any(|reference| {
                    wanted
                        .iter()
                        .any(|id| reference.strip_prefix("Patient/") == Some(id))
                }),
            Self::Status(wanted) => wanted
                .iter()
                .any(|status| held.resource["status"] == status.as_str()),
        }
    }
}

/// `GET /TYPE?…`: the first page.
pub(super) fn run(
    state: &mut State,
    base: &str,
    kind: &str,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let strict = headers
        .get("prefer")
        .is_some_and(|prefer| prefer.as_bytes() == b"handling=strict");
    let search = read(state, kind, params, strict)?;
    let mut matches: Vec<Held> = state.store.of_type(kind).cloned().collect();
    matches.retain(|held| search.filters.iter().all(|filter| filter.matches(held)));
    if search.total_only {
        let link = format!("{base}/{kind}?{}", search.used);
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": matches.len(),
            "link": [{"relation": "self", "url": link}]});
        return Ok(answer::json(200, &bundle));
    }
    if let Some(descending) = search.sort {
        matches.sort_by(|one, two| (one.last_updated, &one.id).cmp(&(two.last_updated, &two.id)));
        if descending {
            matches.reverse();
        }
    }
    let included = matches
        .iter()
        .map(|held| patient_of(state, held, search.include))
        .collect();
    let found = Found {
        kind: kind.to_owned(),
        matches,
        count: search.count,
        elements: search.elements,
        included,
        used: search.used,
    };
    Ok(show(state, base, &Arc::new(found), None, search.offset))
}

/// `GET /?_page=TOKEN.PLACE`: a later page of the same result.
pub(super) fn page(state: &mut State, base: &str, params: &Params) -> Result<Response, Problem> {
    let expired = || Problem::new(410, "not-found", "this page link has expired: search again");
    let value = params
        .iter()
        .find(|(name, _)| name == PAGE_PARAM)
        .map_or("", |(_, value)| value);
    let (token, place) = value.split_once('.').ok_or_else(expired)?;
    let place: usize = place.parse().map_err(|_| expired())?;
    let found = state
        .store
        .pages
        .iter()
        .find(|(known, _)| known == token)
        .ok_or_else(expired)?;
    let found = Arc::clone(&found.1);
    Ok(show(state, base, &found, Some(token), place))
}

fn read(state: &State, kind: &str, params: &Params, strict: bool) -> Result<Search, Problem> {
    let mut search = Search {
        filters: Vec::new(),
        sort: None,
        count: DEFAULT_PAGE,
        include: false,
        total_only: false,
        elements: Vec::new(),
        offset: 0,
        used: String::new(),
    };
    let known = parameters(kind);
    for (name, value) in params {
        if named(&state.refused, kind, name, value) {
            return Err(Problem::new(
                400,
                "not-supported",
                format!("refused search parameter {name}"),
            ));
        }
        let listed = known.iter().any(|(known, _)| known == name);
        let used = match name.as_str() {
            _ if named(&state.ignored, kind, name, value) => false,
            "_id" if !state.id_lists => search.push(Filter::Ids(vec![value.clone()])),
            "_id" => search.push(Filter::Ids(list(value))),
            "_lastUpdated" => search.push(Filter::Updated(DateTest::parse(value)?)),
            "vaccine-code" if listed => search.push(Filter::Coding("vaccineCode", value.clone())),
            "code" if listed => search.push(Filter::Coding("code", value.clone())),
            "patient" if listed => {
                let id = |text: String| {
                    text.strip_prefix("Patient/")
                        .map_or(text.clone(), str::to_owned)
                };
                search.push(Filter::Patients(list(value).into_iter().map(id).collect()))
            }
            "status" if listed => search.push(Filter::Status(list(value))),
            "_sort" if state.sort && SORTS.contains(&value.as_str()) => {
                search.sort = Some(value.starts_with('-'));
                true
            }
            "_count" => {
                search.count = value
                    .parse()
                    .map_err(|_| Problem::new(400, "value", "_count takes a number"))?;
                search.total_only |= search.count == 0;
                true
            }
            "_summary" if value == "count" => {
                search.total_only = true;
                true
            }
            "_include" if state.include => {
                let wanted = includes(kind).iter().any(|name| {
                    let plain = format!("{kind}:{name}");
                    *value == plain || *value == format!("{plain}:Patient")
                });
                search.include |= wanted;
                wanted
            }
            "_elements" => {
                search.elements = list(value);
                true
            }
            // Not used up: the link to the next page has another one.
            OFFSET_PARAM => {
                search.offset = value.parse().unwrap_or_default();
                continue;
            }
            "_format" => true,
            _ => false,
        };
        if used {
            let join = if search.used.is_empty() { "" } else { "&" };
            search.used += &format!("{join}{}={}", encode(name), encode(value));
        } else if strict {
            return Err(Problem::new(
                400,
                "not-supported",
                format!("unsupported search parameter {name}"),
            ));
        }
    }
    search.count = search.count.min(state.page_limit);
    Ok(search)
}

/// Whether a list that a test gave names this parameter.
fn named(list: &[String], kind: &str, name: &str, value: &str) -> bool {
    list.iter().any(|listed| {
        let listed = match listed.split_once('?') {
            Some((of, listed)) if of == kind => listed,
            Some(_) => return false,
            None => listed,
        };
        listed == name || listed.split_once('=') == Some((name, value))
    })
}

impl Search {
    /// Adds a condition; true, as it was used.
    fn push(&mut self, filter: Filter) -> bool {
        self.filters.push(filter);
        true
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

fn patient_of(state: &State, held: &Held, include: bool) -> Vec<Arc<Value>> {
    let fields = ["patient", "subject"].iter().filter(|_| include);
    fields
        .filter_map(|field| {
            state
                .store
                .resolve(held.resource[field]["reference"].as_str()?)
        })
        .collect()
}

/// One page as a Bundle; keeps the result when there is a next one.
fn show(
    state: &mut State,
    base: &str,
    found: &Arc<Found>,
    token: Option<&str>,
    place: usize,
) -> Response {
    let end = (place + found.count).min(found.matches.len());
    let place = place.min(end);
    let mut entries = Vec::new();
    let mut seen = BTreeSet::new();
    let entry = |resource: &Value, mode: &str| {
        let kind = resource["resourceType"].as_str();
        let id = resource["id"].as_str();
        let url = format!(
            "{base}/{}/{}",
            kind.unwrap_or_default(),
            id.unwrap_or_default()
        );
        json!({"fullUrl": url, "resource": resource, "search": {"mode": mode}})
    };
    entries.extend(
        found.matches[place..end]
            .iter()
            .map(|held| entry(&subset(held, &found.elements), "match")),
    );
    for resource in found.included[place..end].iter().flatten() {
        if seen.insert(resource["id"].to_string()) {
            entries.push(entry(resource, "include"));
        }
    }
    if found.matches.is_empty() {
        let note = outcome("information", "informational", "nothing matches");
        entries.push(json!({"resource": note, "search": {"mode": "outcome"}}));
    }
    let mut links =
        vec![json!({"relation": "self", "url": format!("{base}/{}?{}", found.kind, found.used)})];
    let next = match state.endless {
        _ if end < found.matches.len() => Some((end, String::new())),
        None => None,
        Some(Endless::SamePage) => Some((place, String::new())),
        Some(Endless::Circle) => Some((0, String::new())),
        Some(Endless::NewLinks) => {
            state.turns += 1;
            Some((place, format!("&_turn={}", state.turns)))
        }
    };
    if let Some((place, mark)) = next {
        let url = match state.paging {
            Paging::Offset => format!(
                "{base}/{}?{}&{OFFSET_PARAM}={place}{mark}",
                found.kind, found.used
            ),
            Paging::Snapshot => {
                let token = token.map_or_else(|| new_token(state, found), str::to_owned);
                format!("{base}/?{PAGE_PARAM}={token}.{place}{mark}")
            }
        };
        links.push(json!({"relation": "next", "url": url}));
    }
    let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": found.matches.len(),
        "link": links, "entry": entries});
    answer::json(200, &bundle)
}

/// A resource with only the elements asked for, and tagged as such (FHIR R4, `_elements`).
fn subset(held: &Held, elements: &[String]) -> Value {
    if elements.is_empty() {
        return (*held.resource).clone();
    }
    let mut subset =
        json!({"resourceType": held.resource["resourceType"], "id": held.resource["id"]});
    for name in elements {
        subset[name] = held.resource[name].clone();
    }
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    subset["meta"]["tag"] = json!([{"system": system, "code": "SUBSETTED"}]);
    subset
}

fn new_token(state: &mut State, found: &Arc<Found>) -> String {
    let token = format!("{:016x}", RandomState::new().build_hasher().finish());
    state.store.keep(token.clone(), Arc::clone(found));
    token
}

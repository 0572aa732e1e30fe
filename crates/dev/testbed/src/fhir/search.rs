//! Search: from parameters to a result, and from a result to its pages.

use super::answer::{self, RequestProblem};
use super::bundle::{OFFSET_PARAM, PAGE_PARAM, page_response};
use super::cache::Asked;
use super::parameters::{includes, parameters};
use super::query::{DateTest, Params, encode, has_coding};
use super::state::{DEFAULT_PAGE_LIMIT, ServerState};
use super::store::{SearchResult, StoredResource};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// Resources on a page when the client names no `_count`.
const DEFAULT_PAGE: usize = 20;
/// Elements that may refer to a patient.
const PATIENT_FIELDS: [&str; 2] = ["patient", "subject"];

/// The orders known; the id settles equal stamps in all of them.
const SORTS: [&str; 3] = ["_lastUpdated", "-_lastUpdated", "_lastUpdated,_id"];

/// A search, read from its parameters.
struct Search {
    filters: Vec<SearchFilter>,
    /// Order by stamp, `true` for descending; `None`: by id.
    sort: Option<bool>,
    count: usize,
    include: bool,
    total_only: bool,
    elements: Vec<String>,
    offset: usize,
    /// The parameters that were used, as a query.
    used: String,
}

enum SearchFilter {
    Ids(Vec<String>),
    Updated(DateTest),
    Coding(&'static str, String),
    Status(Vec<String>),
    /// References to patients, as resources may write them.
    Patients(Vec<String>),
    /// The same, of the links of a Patient.
    Links(Vec<String>),
}

impl SearchFilter {
    fn matches(&self, stored: &StoredResource) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&stored.id),
            Self::Updated(test) => stored.last_updated.is_some_and(|stamp| test.matches(stamp)),
            Self::Coding(field, tokens) => has_coding(&stored.resource[field], tokens),
            Self::Patients(wanted) => PATIENT_FIELDS
                .iter()
                .filter_map(|field| stored.resource[field]["reference"].as_str())
                .any(|reference| wanted.iter().any(|wanted| reference == wanted)),
            Self::Links(wanted) => {
                let links = stored.resource["link"]
                    .as_array()
                    .map_or(&[][..], Vec::as_slice);
                links
                    .iter()
                    .filter_map(|link| link["other"]["reference"].as_str())
                    .any(|reference| wanted.iter().any(|wanted| reference == wanted))
            }
            Self::Status(wanted) => wanted
                .iter()
                .any(|status| stored.resource["status"] == status.as_str()),
        }
    }
}

/// Answers `GET /TYPE?…`: the first page of a search.
pub(super) fn first_page(
    state: &mut ServerState,
    base: &str,
    kind: &str,
    params: &Params,
    asked: &Asked<'_>,
) -> Result<Response, RequestProblem> {
    let now = state.now();
    if !asked.wants_fresh()
        && let Some(result) = state
            .cache
            .as_ref()
            .and_then(|cache| cache.find(asked.address, now))
    {
        return Ok(page_response(state, base, &result, None, 0));
    }
    let strict = asked
        .headers
        .get("prefer")
        .is_some_and(|prefer| prefer.as_bytes() == b"handling=strict");
    let search = Search::read(state, kind, params, strict)?;
    let mut matches: Vec<StoredResource> = state.store.of_type(kind).cloned().collect();
    matches.retain(|stored| search.filters.iter().all(|filter| filter.matches(stored)));
    matches.retain(|stored| !state.forbids(kind, Some(&stored.id)));
    matches.retain(|stored| !state.unlisted.contains(&format!("{kind}/{}", stored.id)));
    if search.total_only {
        let link = format!("{base}/{kind}?{}", search.used);
        let bundle = json!({"resourceType": "Bundle", "type": "searchset", "total": matches.len(),
            "link": [{"relation": "self", "url": link}]});
        return Ok(answer::json(200, &bundle));
    }
    if let Some(descending) = search.sort.or(state.newest_first.then_some(true)) {
        sort(&mut matches, descending);
    }
    let included = matches
        .iter()
        .map(|stored| patients_of(state, stored, search.include))
        .collect();
    let result = SearchResult {
        kind: kind.to_owned(),
        matches,
        count: search.count,
        elements: search.elements,
        included,
        used: search.used,
    };
    let result = Arc::new(result);
    if let Some(cache) = &mut state.cache {
        cache.keep(asked.address, now, &result);
    }
    Ok(page_response(state, base, &result, None, search.offset))
}

/// Sorts by stamp. Those without one come last, as databases do it.
fn sort(matches: &mut [StoredResource], descending: bool) {
    let key = |stored: &StoredResource| {
        let stamp = stored.last_updated;
        (stamp.is_none(), stamp, stored.id.clone())
    };
    matches.sort_by_key(key);
    if descending {
        matches.reverse();
    }
}

/// Answers `GET /?_page=TOKEN.POSITION`: a later page of the same result.
pub(super) fn later_page(
    state: &mut ServerState,
    base: &str,
    params: &Params,
) -> Result<Response, RequestProblem> {
    let expired =
        || RequestProblem::new(410, "not-found", "this page link has expired: search again");
    let value = params
        .iter()
        .find(|(name, _)| name == PAGE_PARAM)
        .map_or("", |(_, value)| value);
    let (token, position) = value.split_once('.').ok_or_else(expired)?;
    let position: usize = position.parse().map_err(|_| expired())?;
    let result = state
        .store
        .pages
        .iter()
        .find(|(known, _)| known == token)
        .ok_or_else(expired)?;
    let result = Arc::clone(&result.1);
    Ok(page_response(state, base, &result, Some(token), position))
}

impl Search {
    fn read(
        state: &ServerState,
        kind: &str,
        params: &Params,
        strict: bool,
    ) -> Result<Self, RequestProblem> {
        let mut search = Self {
            filters: Vec::new(),
            sort: None,
            count: DEFAULT_PAGE,
            include: false,
            total_only: false,
            elements: Vec::new(),
            offset: 0,
            used: String::new(),
        };
        for (name, value) in params {
            if lists(&state.refused, kind, name, value) {
                return Err(RequestProblem::new(
                    400,
                    "not-supported",
                    format!("refused search parameter {name}"),
                ));
            }
            // Not used up: the link to the next page has another one.
            if name == OFFSET_PARAM && !lists(&state.ignored, kind, name, value) {
                search.offset = value.parse().unwrap_or_default();
                continue;
            }
            let used = !lists(&state.ignored, kind, name, value)
                && search.apply(state, kind, name, value)?;
            if used {
                let join = if search.used.is_empty() { "" } else { "&" };
                search.used += &format!("{join}{}={}", encode(name), encode(value));
            } else if strict {
                return Err(RequestProblem::new(
                    400,
                    "not-supported",
                    format!("unsupported search parameter {name}"),
                ));
            }
        }
        let page_limit = state.page_limit.unwrap_or(DEFAULT_PAGE_LIMIT);
        search.count = search.count.min(page_limit);
        Ok(search)
    }

    /// Applies a parameter; returns false for one that is not supported.
    fn apply(
        &mut self,
        state: &ServerState,
        kind: &str,
        name: &str,
        value: &str,
    ) -> Result<bool, RequestProblem> {
        let is_known = parameters(kind).iter().any(|(known, _)| *known == name);
        match name {
            "_id" if state.ignores_id_lists => {
                self.filters.push(SearchFilter::Ids(vec![value.to_owned()]))
            }
            "_id" => self.filters.push(SearchFilter::Ids(list(value))),
            "_lastUpdated" => self
                .filters
                .push(SearchFilter::Updated(DateTest::parse(value)?)),
            "vaccine-code" if is_known => {
                self.filters
                    .push(SearchFilter::Coding("vaccineCode", value.to_owned()));
            }
            "code" if is_known => self
                .filters
                .push(SearchFilter::Coding("code", value.to_owned())),
            "patient" if is_known => self
                .filters
                .push(SearchFilter::Patients(patient_references(state, value))),
            "link" if is_known => self
                .filters
                .push(SearchFilter::Links(patient_references(state, value))),
            "status" if is_known => self.filters.push(SearchFilter::Status(list(value))),
            "_sort" if !state.ignores_sort && SORTS.contains(&value) => {
                self.sort = Some(value.starts_with('-'));
            }
            "_count" => {
                self.count = value
                    .parse()
                    .map_err(|_| RequestProblem::new(400, "value", "_count takes a number"))?;
                self.total_only |= self.count == 0;
            }
            "_summary" if value == "count" => self.total_only = true,
            "_include" if !state.ignores_include && is_include(kind, value) => self.include = true,
            "_elements" => self.elements = list(value),
            "_format" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn is_include(kind: &str, value: &str) -> bool {
    includes(kind).iter().any(|name| {
        let plain = format!("{kind}:{name}");
        value == plain || value == format!("{plain}:Patient")
    })
}

/// Returns whether a list that a test gave names this parameter.
fn lists(list: &[String], kind: &str, name: &str, value: &str) -> bool {
    list.iter().any(|listed| {
        let listed = match listed.split_once('?') {
            Some((of, listed)) if of == kind => listed,
            Some(_) => return false,
            None => listed,
        };
        listed == name || listed.split_once('=') == Some((name, value))
    })
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

/// The references that a list of ids or references stands for, with the server's own address and
/// without.
fn patient_references(state: &ServerState, value: &str) -> Vec<String> {
    let bases = state.link_base.iter().map(|base| format!("{base}/"));
    let bases: Vec<String> = bases.chain([String::new()]).collect();
    value
        .split(',')
        .map(|text| text.strip_prefix("Patient/").unwrap_or(text))
        .flat_map(|id| bases.iter().map(move |base| format!("{base}Patient/{id}")))
        .collect()
}

/// Patients that a resource refers to; none where they are not to be included.
fn patients_of(state: &ServerState, stored: &StoredResource, include: bool) -> Vec<Arc<Value>> {
    let fields = PATIENT_FIELDS.iter().filter(|_| include);
    fields
        .filter_map(|field| {
            state
                .store
                .resolve(stored.resource[field]["reference"].as_str()?)
        })
        .filter(|patient| !state.forbids("Patient", patient["id"].as_str()))
        .collect()
}

//! A page of a search result as a Bundle, with the link to the next one.

use super::answer::{self, outcome};
use super::state::{EndlessPages, ServerState};
use super::store::{SearchResult, StoredResource};
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// Name of the parameter of a page link: an opaque token and a position.
pub(super) const PAGE_PARAM: &str = "_page";
/// Name of the parameter of a page link without a token: a position in a search made afresh.
pub(super) const OFFSET_PARAM: &str = "_offset";

/// The page at a position of a result; keeps the result when there is a next one.
pub(super) fn page_response(
    state: &mut ServerState,
    base: &str,
    result: &Arc<SearchResult>,
    token: Option<&str>,
    position: usize,
) -> Response {
    let end = (position.saturating_add(result.count)).min(result.matches.len());
    let begin = position.min(end);
    let own = format!("{base}/{}?{}", result.kind, result.used);
    let mut links = vec![json!({"relation": "self", "url": own})];
    if let Some(url) = next_link(state, base, result, token, position, end) {
        links.push(json!({"relation": "next", "url": url}));
    }
    let bundle = json!({"resourceType": "Bundle", "type": "searchset",
        "total": result.matches.len(), "link": links, "entry": entries(base, result, begin, end)});
    answer::json(200, &bundle)
}

/// Entries of a page: matches, the resources included with them, and a remark where nothing
/// matches.
fn entries(base: &str, result: &SearchResult, begin: usize, end: usize) -> Vec<Value> {
    let mut entries: Vec<Value> = result.matches[begin..end]
        .iter()
        .map(|stored| entry(base, &subset(stored, &result.elements), "match"))
        .collect();
    let mut seen = BTreeSet::new();
    for resource in result.included[begin..end].iter().flatten() {
        if seen.insert(resource["id"].to_string()) {
            entries.push(entry(base, resource, "include"));
        }
    }
    if result.matches.is_empty() {
        let remark = outcome("information", "informational", "nothing matches");
        entries.push(json!({"resource": remark, "search": {"mode": "outcome"}}));
    }
    entries
}

fn entry(base: &str, resource: &Value, mode: &str) -> Value {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    let id = resource["id"].as_str().unwrap_or_default();
    let url = format!("{base}/{kind}/{id}");
    json!({"fullUrl": url, "resource": resource, "search": {"mode": mode}})
}

/// The link from the page at a position, which ends before `end`, to the next one.
fn next_link(
    state: &mut ServerState,
    base: &str,
    result: &Arc<SearchResult>,
    token: Option<&str>,
    position: usize,
    end: usize,
) -> Option<String> {
    let count = result.matches.len();
    let next = match state.endless {
        _ if end < count => end,
        None => return None,
        Some(EndlessPages::SamePage | EndlessPages::NewLinks) => position.min(end),
        Some(EndlessPages::Cycle) => 0,
        Some(EndlessPages::Empty) => count,
    };
    let mut distinct = String::new();
    if end >= count
        && matches!(
            state.endless,
            Some(EndlessPages::NewLinks | EndlessPages::Empty)
        )
    {
        state.new_links += 1;
        distinct = format!("&_turn={}", state.new_links);
    }
    Some(if state.pages_by_offset {
        format!(
            "{base}/{}?{}&{OFFSET_PARAM}={next}{distinct}",
            result.kind, result.used
        )
    } else {
        let token = token.map_or_else(|| new_token(state, result), str::to_owned);
        format!("{base}/?{PAGE_PARAM}={token}.{next}{distinct}")
    })
}

/// A resource with only the elements asked for, and tagged as such (FHIR R4, `_elements`).
fn subset(stored: &StoredResource, elements: &[String]) -> Value {
    if elements.is_empty() {
        return (*stored.resource).clone();
    }
    let mut subset =
        json!({"resourceType": stored.resource["resourceType"], "id": stored.resource["id"]});
    for name in elements {
        subset[name] = stored.resource[name].clone();
    }
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    subset["meta"]["tag"] = json!([{"system": system, "code": "SUBSETTED"}]);
    subset
}

fn new_token(state: &mut ServerState, result: &Arc<SearchResult>) -> String {
    let token = format!("{:016x}", RandomState::new().build_hasher().finish());
    state.store.keep(token.clone(), Arc::clone(result));
    token
}

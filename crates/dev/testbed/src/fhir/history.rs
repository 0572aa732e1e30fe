//! History of a type: `GET /TYPE/_history`, with `_since` and `_count`, newest first.

use super::answer::{self, RequestProblem};
use super::bundle::OFFSET_PARAM;
use super::query::{Params, encode};
use super::state::{DEFAULT_PAGE_LIMIT, ServerState};
use super::store::Version;
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Answers a page of the versions that resources of a type had, deletions among them.
pub(super) fn page(
    state: &ServerState,
    base: &str,
    kind: &str,
    params: &Params,
) -> Result<Response, RequestProblem> {
    let of = |name: &str| params.iter().find(|(known, _)| known == name);
    let wrong = || RequestProblem::new(400, "value", "_since takes an instant with a zone");
    let since = of("_since")
        .map(|(_, text)| text.parse::<DateTime<Utc>>().map_err(|_| wrong()))
        .transpose()?;
    let number = |name| of(name).and_then(|(_, text)| text.parse::<usize>().ok());
    let limit = state.page_limit.unwrap_or(DEFAULT_PAGE_LIMIT);
    let count = number("_count").unwrap_or(limit).clamp(1, limit);
    let offset = number(OFFSET_PARAM).unwrap_or(0);
    let mut versions: Vec<&Version> = state
        .store
        .history
        .iter()
        .filter(|version| version.kind == kind && since.is_none_or(|since| version.at >= since))
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.at));
    let shown: Vec<Value> = versions
        .iter()
        .skip(offset)
        .take(count)
        .map(|version| entry(base, version))
        .collect();
    let mut links = Vec::new();
    if offset + count < versions.len() {
        let since =
            of("_since").map_or_else(String::new, |(_, text)| format!("_since={}&", encode(text)));
        let next = offset + count;
        let url = format!("{base}/{kind}/_history?{since}_count={count}&{OFFSET_PARAM}={next}");
        links.push(json!({"relation": "next", "url": url}));
    }
    let bundle = json!({"resourceType": "Bundle", "type": "history", "total": versions.len(),
        "link": links, "entry": shown});
    Ok(answer::json(200, &bundle))
}

fn entry(base: &str, version: &Version) -> Value {
    let Version { kind, id, at, .. } = version;
    let method = if version.resource.is_some() {
        "PUT"
    } else {
        "DELETE"
    };
    let modified = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut entry = json!({"fullUrl": format!("{base}/{kind}/{id}"),
        "request": {"method": method, "url": format!("{kind}/{id}")},
        "response": {"status": "200", "lastModified": modified}});
    if let Some(resource) = &version.resource {
        entry["resource"] = (**resource).clone();
    }
    entry
}

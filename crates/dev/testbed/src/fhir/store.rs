//! The resources held, and the page links that are open.

use super::answer::RequestProblem;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The resource types held.
pub const TYPES: [&str; 4] = ["Condition", "Immunization", "Observation", "Patient"];
/// Open page links kept; the oldest expire first.
const PAGES_KEPT: usize = 1_000;

/// A resource, as it is now.
#[derive(Clone)]
pub(super) struct StoredResource {
    pub id: String,
    pub last_updated: DateTime<Utc>,
    pub resource: Arc<Value>,
}

/// A search result as it was when its first page was asked for.
pub(super) struct SearchResult {
    pub kind: String,
    pub matches: Vec<StoredResource>,
    pub count: usize,
    /// Elements asked for; empty: all.
    pub elements: Vec<String>,
    /// Included resources by match, in the same order.
    pub included: Vec<Vec<Arc<Value>>>,
    /// Query of the parameters that were used, for the self link.
    pub used: String,
}

/// Resources by type and id, each with its last version; `None` for one that was deleted.
pub(super) type Resources = BTreeMap<(String, String), (u64, Option<StoredResource>)>;

#[derive(Default)]
pub(super) struct ResourceStore {
    pub resources: Resources,
    /// Results by token.
    pub pages: VecDeque<(String, Arc<SearchResult>)>,
}

impl ResourceStore {
    pub(super) fn put(&mut self, mut resource: Value, last_updated: &str) {
        let kind = resource["resourceType"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(
            TYPES.contains(&kind.as_str()),
            "resourceType must be one of {TYPES:?}"
        );
        let id = resource["id"]
            .as_str()
            .expect("the resource needs an id")
            .to_owned();
        let instant = DateTime::parse_from_rfc3339(last_updated)
            .expect("last_updated must be a FHIR instant");
        let slot = self
            .resources
            .entry((kind, id.clone()))
            .or_insert((0, None));
        slot.0 += 1;
        resource["meta"]["versionId"] = json!(slot.0.to_string());
        resource["meta"]["lastUpdated"] = json!(last_updated);
        slot.1 = Some(StoredResource {
            id,
            last_updated: instant.to_utc(),
            resource: Arc::new(resource),
        });
    }

    pub(super) fn delete(&mut self, kind: &str, id: &str) -> bool {
        let slot = self.resources.get_mut(&(kind.to_owned(), id.to_owned()));
        slot.is_some_and(|slot| slot.1.take().is_some())
    }

    pub(super) fn read(&self, kind: &str, id: &str) -> Result<&Value, RequestProblem> {
        match self.resources.get(&(kind.to_owned(), id.to_owned())) {
            Some((_, Some(stored))) => Ok(&stored.resource),
            Some((_, None)) => Err(RequestProblem::new(
                410,
                "deleted",
                "the resource was deleted",
            )),
            None => Err(RequestProblem::new(404, "not-found", "no such resource")),
        }
    }

    /// The resource that a literal reference `TYPE/ID` points to, also when it is given as a URL.
    pub(super) fn resolve(&self, reference: &str) -> Option<Arc<Value>> {
        let mut parts = reference.rsplit('/');
        let id = parts.next()?;
        let kind = parts.next()?;
        let slot = self.resources.get(&(kind.to_owned(), id.to_owned()))?;
        slot.1.as_ref().map(|stored| Arc::clone(&stored.resource))
    }

    /// All resources of a type, by id.
    pub(super) fn of_type(&self, kind: &str) -> impl Iterator<Item = &StoredResource> {
        self.resources
            .iter()
            .filter(move |((of, _), _)| of == kind)
            .filter_map(|(_, slot)| slot.1.as_ref())
    }

    /// Keeps a result for its next pages.
    pub(super) fn keep(&mut self, token: String, result: Arc<SearchResult>) {
        if self.pages.len() == PAGES_KEPT {
            self.pages.pop_front();
        }
        self.pages.push_back((token, result));
    }
}

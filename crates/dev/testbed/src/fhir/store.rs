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
    /// `None` for a resource that came without a stamp.
    pub last_updated: Option<DateTime<Utc>>,
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

/// A version that a resource had, or its deletion.
#[derive(Clone)]
pub(super) struct Version {
    pub kind: String,
    pub id: String,
    pub at: DateTime<Utc>,
    /// `None` for a deletion.
    pub resource: Option<Arc<Value>>,
}

#[derive(Default)]
pub(super) struct ResourceStore {
    pub resources: Resources,
    /// Versions of all resources, oldest first.
    pub history: Vec<Version>,
    /// Results by token.
    pub pages: VecDeque<(String, Arc<SearchResult>)>,
}

impl ResourceStore {
    /// Creates or replaces a resource; without `last_updated` it gets no `meta`.
    pub(super) fn put(&mut self, mut resource: Value, last_updated: Option<&str>) {
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
        let instant = last_updated.map(|text| {
            DateTime::parse_from_rfc3339(text)
                .expect("last_updated must be a FHIR instant")
                .to_utc()
        });
        let slot = self
            .resources
            .entry((kind.clone(), id.clone()))
            .or_insert((0, None));
        slot.0 += 1;
        if last_updated.is_some() {
            resource["meta"]["versionId"] = json!(slot.0.to_string());
            resource["meta"]["lastUpdated"] = json!(last_updated);
        }
        let resource = Arc::new(resource);
        slot.1 = Some(StoredResource {
            id: id.clone(),
            last_updated: instant,
            resource: Arc::clone(&resource),
        });
        self.history.push(Version {
            kind,
            id,
            at: instant.unwrap_or_default(),
            resource: Some(resource),
        });
    }

    pub(super) fn delete(&mut self, kind: &str, id: &str, at: DateTime<Utc>) -> bool {
        let slot = self.resources.get_mut(&(kind.to_owned(), id.to_owned()));
        let existed = slot.is_some_and(|slot| slot.1.take().is_some());
        if existed {
            self.history.push(Version {
                kind: kind.to_owned(),
                id: id.to_owned(),
                at,
                resource: None,
            });
        }
        existed
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

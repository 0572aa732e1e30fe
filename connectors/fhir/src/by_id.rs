//! `fetch`: records by their ids, as they are now.
//!
//! A record counts as gone only when its own address says so (404 or 410), or when a search for its
//! one id finds nothing although the address shows it with other codes. A search alone proves
//! nothing: its answer may be an old one, or its index may lag behind.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Feed, SourceError, verify_fetch_count};

use crate::bundle::{self, PatientEntry, Resource, ServerPage};
use crate::config::Include;
use crate::fact::{self, resource_type};
use crate::ids::is_fhir_id;
use crate::query::MAX_BATCH;
use crate::records;
use crate::refusal::{Ask, HttpRefusal};
use crate::session::FhirSession;

/// Bytes of ids in one search, before percent-encoding: addresses beyond 8000 are refused by many
/// servers.
const MAX_ID_LIST_BYTES: usize = 1500;

/// Resources found for some ids.
#[derive(Default)]
struct Found {
    matches: Vec<Resource>,
    patients: Vec<PatientEntry>,
    /// Some were read by their addresses, so that no server could include their patients.
    by_address: bool,
}

/// The records with these ids, as they are now; those that are gone are left out.
///
/// # Errors
/// As of [`verify_fetch_count`], and as for a page.
pub(crate) async fn fetch(
    session: &FhirSession,
    feed: Feed,
    record_ids: &[String],
    now: DateTime<Utc>,
) -> Result<Vec<ClinicRecord>, SourceError> {
    verify_fetch_count(record_ids)?;
    let prefix = format!("{}/", resource_type(feed));
    // `?` stands where a resource has no id to ask by.
    let ids: BTreeSet<String> = record_ids
        .iter()
        .filter_map(|id| id.strip_prefix(&prefix))
        .filter(|id| !id.is_empty() && !id.starts_with('?'))
        .map(str::to_owned)
        .collect();
    let (plain, odd): (BTreeSet<_>, BTreeSet<_>) = ids.into_iter().partition(|id| is_fhir_id(id));
    let search = IdSearch { session, feed, now };
    let mut records = Vec::new();
    for batch in batches(plain) {
        let found = search.read_batch(&batch).await?;
        records.extend(search.records(found).await?);
    }
    // An id that is none of FHIR's could change a search.
    for id in odd {
        let found = search.read_address(&id).await?;
        records.extend(search.records(found).await?);
    }
    Ok(records)
}

/// A search for records of one feed by their ids.
struct IdSearch<'a> {
    session: &'a FhirSession,
    feed: Feed,
    now: DateTime<Utc>,
}

impl IdSearch<'_> {
    async fn records(&self, found: Found) -> Result<Vec<ClinicRecord>, SourceError> {
        let range = 0..found.matches.len();
        let reads_patients = found.by_address || self.session.config.include != Include::Always;
        let mut page = ServerPage {
            matches: found.matches,
            patients: found.patients,
            ..ServerPage::default()
        };
        let feed = self.feed;
        records::of_page(
            self.session,
            feed,
            &mut page,
            range,
            reads_patients,
            self.now,
        )
        .await
    }

    /// Reads ids together, then alone those that were not found, then by their addresses where the
    /// server cannot search for ids.
    async fn read_batch(&self, ids: &[String]) -> Result<Found, SourceError> {
        let limits = &self.session.limits;
        let mut found = Found::default();
        let together = ids.len() > 1 && !limits.ids_one_by_one.is_known();
        if together
            && !limits.ids_by_address.is_known()
            && let Some(answer) = self.search(ids).await?
        {
            found = answer;
        }
        let known: HashSet<String> = found
            .matches
            .iter()
            .filter_map(|found| found.id.clone())
            .collect();
        let mut found_alone = 0;
        let mut example = None;
        for id in ids.iter().filter(|id| !known.contains(*id)) {
            let alone = self.read_alone(id, together).await?;
            if !alone.matches.is_empty() {
                found_alone += 1;
                example = example.or(Some(id));
            }
            found.by_address |= alone.by_address;
            found.matches.extend(alone.matches);
            found.patients.extend(alone.patients);
        }
        // One that was created in between proves nothing; half of them may.
        if together
            && found_alone * 2 > ids.len()
            && let Some(example) = example
            && self.is_found_only_alone(example, ids).await?
        {
            tracing::info!(
                "the FHIR server does not search for several ids at once; they are read one by one"
            );
            limits.ids_one_by_one.learn();
        }
        Ok(found)
    }

    /// True if a search finds an id by itself and not among the others: an index that lags behind
    /// finds it in neither way. By itself first: an index that catches up in between then shows
    /// itself by the second search.
    async fn is_found_only_alone(&self, id: &String, ids: &[String]) -> Result<bool, SourceError> {
        for (asked, expected) in [(std::slice::from_ref(id), true), (ids, false)] {
            if self.session.limits.ids_by_address.is_known() {
                return Ok(false);
            }
            let Some(answer) = self.search(asked).await? else {
                return Ok(false);
            };
            let mut matches = answer.matches.iter();
            if matches.any(|found| found.id.as_ref() == Some(id)) != expected {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads one record. `was_searched`: a search with this id among others did not find it.
    async fn read_alone(&self, id: &String, was_searched: bool) -> Result<Found, SourceError> {
        let can_search = || !self.session.limits.ids_by_address.is_known();
        if !was_searched
            && can_search()
            && let Some(found) = self.search(std::slice::from_ref(id)).await?
            && !found.matches.is_empty()
        {
            return Ok(found);
        }
        let is_ours = match self.resource_at(id).await? {
            AddressAnswer::Gone => return Ok(Found::default()),
            AddressAnswer::Found(resource) => {
                let found = Found::at_address(*resource);
                // Without a search for ids nobody asks for codes either.
                if !can_search() || self.has_feed_code(&found) {
                    return Ok(found);
                }
                None
            }
            AddressAnswer::Unsupported(error) => Some(error),
        };
        if !can_search() {
            return is_ours.map_or_else(|| Ok(Found::default()), Err);
        }
        // Codes that differ may still be the feed's by rules of the server.
        let found = self.search(std::slice::from_ref(id)).await?;
        Ok(found.unwrap_or_default())
    }

    /// True if a record's own codes make it one of the feed.
    fn has_feed_code(&self, found: &Found) -> bool {
        let rules = self.session.mapping_rules();
        found.matches.iter().all(|resource| {
            let mapped = fact::map(self.feed, resource.json.get(), rules);
            self.session
                .queries
                .asks_for(self.feed, mapped.fact.codings())
        })
    }

    /// Searches for ids; returns `None` where the server cannot do so.
    async fn search(&self, ids: &[String]) -> Result<Option<Found>, SourceError> {
        let mut answer = self.all_pages(ids, self.session.asks_for_includes()).await;
        if answer.as_ref().is_err_and(HttpRefusal::is_of_parameter)
            && self.session.may_drop_include()
        {
            answer = self.all_pages(ids, false).await;
        }
        let why = match answer {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => "ignores",
            Err(refused) if refused.is_unsupported() => "refuses",
            Err(refused) => return Err(refused.error),
        };
        tracing::info!(
            why,
            "the FHIR server does not search for ids; records are read by their addresses"
        );
        self.session.limits.ids_by_address.learn();
        Ok(None)
    }

    /// All pages of a search for ids; `None` where the answer holds others than those asked for.
    async fn all_pages(&self, ids: &[String], include: bool) -> Result<Option<Found>, HttpRefusal> {
        let session = self.session;
        let resource = resource_type(self.feed);
        let mut found = Found::default();
        let mut url = session.queries.of_ids(self.feed, ids, include);
        let mut ask = Ask::Search(resource);
        for _ in 0..=ids.len() {
            let fetched = session.get_page(url, ask, self.now).await?;
            let next = session.next_address(&fetched);
            for resource in fetched.page.matches {
                let Some(id) = &resource.id else {
                    return Ok(None);
                };
                if ids.contains(id) {
                    found.add(resource);
                } else if !ids.iter().any(|asked| asked.eq_ignore_ascii_case(id)) {
                    return Ok(None);
                }
            }
            found.patients.extend(fetched.page.patients);
            let Some(next) = next? else {
                return Ok(Some(found));
            };
            url = next;
            ask = Ask::NextPage(resource);
        }
        Err(SourceError::misconfigured(
            "the FHIR server's pages of a search for ids do not end",
            "have the server's paging mended",
        )
        .into())
    }

    /// A record by its address; none where it is gone.
    async fn read_address(&self, id: &str) -> Result<Found, SourceError> {
        match self.resource_at(id).await? {
            AddressAnswer::Found(resource) => Ok(Found::at_address(*resource)),
            AddressAnswer::Gone => Ok(Found::default()),
            AddressAnswer::Unsupported(error) => Err(error),
        }
    }

    async fn resource_at(&self, id: &str) -> Result<AddressAnswer, SourceError> {
        let resource = resource_type(self.feed);
        let Some(url) = self.session.queries.read(resource, id) else {
            return Ok(AddressAnswer::Gone);
        };
        let ask = Ask::Read(resource);
        let reply = match self.session.http.get(url, ask, self.now).await {
            Ok(reply) => reply,
            Err(refused) if refused.is_gone() => return Ok(AddressAnswer::Gone),
            Err(refused) if refused.is_unsupported() => {
                return Ok(AddressAnswer::Unsupported(refused.error));
            }
            Err(refused) => return Err(refused.error),
        };
        let read = bundle::parse_read(&reply.body, resource);
        match read.and_then(|read| read.id.clone().map(|own| (read, own))) {
            Some((read, own)) if own == id => Ok(AddressAnswer::Found(Box::new(read))),
            // The id of another record where case counts, as it does in FHIR.
            Some((_, own)) if own.eq_ignore_ascii_case(id) => Ok(AddressAnswer::Gone),
            _ => Err(SourceError::misconfigured(
                format!("the FHIR server answers a read of {resource} with something else"),
                "check that base_url is a FHIR R4 base address, and the server's health",
            )),
        }
    }
}

/// Answer to a read of a record's own address.
enum AddressAnswer {
    Found(Box<Resource>),
    /// The server says that there is no such record, or no longer.
    Gone,
    /// The server does not read by address.
    Unsupported(SourceError),
}

impl Found {
    fn at_address(resource: Resource) -> Self {
        Self {
            matches: vec![resource],
            by_address: true,
            ..Self::default()
        }
    }

    /// Adds a resource once, the newest of several: pages may overlap.
    fn add(&mut self, resource: Resource) {
        match self
            .matches
            .iter_mut()
            .find(|known| known.id == resource.id)
        {
            Some(known) if known.stamp < resource.stamp => *known = resource,
            Some(_) => {}
            None => self.matches.push(resource),
        }
    }
}

/// Ids in groups that fit into an address.
fn batches(ids: BTreeSet<String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for id in ids {
        bytes += id.len() + 1;
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH && bytes <= MAX_ID_LIST_BYTES => batch.push(id),
            _ => {
                bytes = id.len() + 1;
                batches.push(vec![id]);
            }
        }
    }
    batches
}

//! `fetch`: records by their ids, as they are now.
//!
//! A record counts as gone only when it was asked for alone: by a search for its one id, or by its
//! address.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Feed, MAX_FETCH_IDS, SourceError};

use crate::bundle::{self, PatientEntry, Resource, ServerPage};
use crate::config::Include;
use crate::connector::FhirConnector;
use crate::fact::resource_type;
use crate::http::{Ask, Refusal};
use crate::patients::is_fhir_id;
use crate::query::MAX_BATCH;

/// Bytes of ids in one search, before percent-encoding: addresses beyond 8000 are refused by many
/// servers.
const MAX_ID_LIST_BYTES: usize = 1500;

/// What was found of some ids.
#[derive(Default)]
struct Found {
    matches: Vec<Resource>,
    patients: Vec<PatientEntry>,
    /// Some were read by their addresses, so that no server could include their patients.
    by_address: bool,
}

impl FhirConnector {
    pub(crate) async fn fetch_by_id(
        &self,
        feed: Feed,
        record_ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        if record_ids.len() > MAX_FETCH_IDS {
            return Err(SourceError::misconfigured(
                format!("{} records were asked for at once", record_ids.len()),
                format!("ask for at most {MAX_FETCH_IDS}"),
            ));
        }
        let prefix = format!("{}/", resource_type(feed));
        // `?` stands where a resource has no id to ask by.
        let ids: BTreeSet<String> = record_ids
            .iter()
            .filter_map(|id| id.strip_prefix(&prefix))
            .filter(|id| !id.is_empty() && !id.starts_with('?'))
            .map(str::to_owned)
            .collect();
        let (plain, odd): (BTreeSet<_>, BTreeSet<_>) =
            ids.into_iter().partition(|id| is_fhir_id(id));
        let mut records = Vec::new();
        for batch in batches(plain) {
            let found = self.read_batch(feed, &batch, now).await?;
            records.extend(self.found_records(feed, found, now).await?);
        }
        // An id that is none of FHIR's could change a search.
        for id in odd {
            let matches = self
                .read_address(feed, &id, now)
                .await?
                .into_iter()
                .collect();
            let found = Found {
                matches,
                by_address: true,
                ..Found::default()
            };
            records.extend(self.found_records(feed, found, now).await?);
        }
        Ok(records)
    }

    async fn found_records(
        &self,
        feed: Feed,
        found: Found,
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let until = found.matches.len();
        let reads_patients = found.by_address || self.config.include != Include::Include;
        let mut page = ServerPage {
            matches: found.matches,
            patients: found.patients,
            next: None,
            total: None,
            has_others: false,
        };
        self.records((feed, now), &mut page, 0..until, reads_patients)
            .await
    }

    /// Together, then alone what was not among them, then by its address where the server cannot
    /// search for ids.
    async fn read_batch(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Found, SourceError> {
        let mut found = Found::default();
        let together = ids.len() > 1 && !knows(&self.learned.ids_one_by_one);
        if together
            && !knows(&self.learned.ids_by_address)
            && let Some(answer) = self.search_ids(feed, ids, now).await?
        {
            found = answer;
        }
        let known: HashSet<String> = found
            .matches
            .iter()
            .filter_map(|found| found.id.clone())
            .collect();
        let mut found_alone = 0;
        for id in ids.iter().filter(|id| !known.contains(*id)) {
            let alone = self.read_alone(feed, id, now).await?;
            found_alone += alone.matches.len();
            found.by_address |= alone.by_address;
            found.matches.extend(alone.matches);
            found.patients.extend(alone.patients);
        }
        // One that was created in between proves nothing; half of them do.
        if together && found_alone * 2 > ids.len() && !knows(&self.learned.ids_by_address) {
            tracing::info!(
                "the FHIR server does not search for several ids at once; they are read one by one"
            );
            self.learned.ids_one_by_one.store(true, Ordering::Relaxed);
        }
        Ok(found)
    }

    async fn read_alone(
        &self,
        feed: Feed,
        id: &String,
        now: DateTime<Utc>,
    ) -> Result<Found, SourceError> {
        if !knows(&self.learned.ids_by_address)
            && let Some(found) = self.search_ids(feed, std::slice::from_ref(id), now).await?
        {
            return Ok(found);
        }
        let matches = self
            .read_address(feed, id, now)
            .await?
            .into_iter()
            .collect();
        Ok(Found {
            matches,
            by_address: true,
            ..Found::default()
        })
    }

    /// `None` where the server does not search for ids.
    async fn search_ids(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Option<Found>, SourceError> {
        let mut answer = self
            .follow_ids(feed, ids, self.asks_for_includes(), now)
            .await;
        let may_be_the_include = self.config.include == Include::Auto && self.asks_for_includes();
        if may_be_the_include
            && matches!(
                answer,
                Err(Refusal {
                    status: Some(400 | 422),
                    ..
                })
            )
        {
            answer = self.follow_ids(feed, ids, false, now).await;
        }
        let why = match answer {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => "ignores",
            Err(Refusal {
                status: Some(400 | 405 | 422 | 501),
                ..
            }) => "refuses",
            Err(refused) => return Err(refused.error),
        };
        tracing::info!(
            why,
            "the FHIR server does not search for ids; records are read by their addresses"
        );
        self.learned.ids_by_address.store(true, Ordering::Relaxed);
        Ok(None)
    }

    /// All pages of a search for ids; `None` where the answer holds others than those asked for.
    async fn follow_ids(
        &self,
        feed: Feed,
        ids: &[String],
        include: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<Found>, Refusal> {
        let resource = resource_type(feed);
        let mut found = Found::default();
        let mut url = self.queries.of_ids(feed, ids, include);
        let mut ask = Ask::Search(resource);
        for _ in 0..=ids.len() {
            let fetched = self.get_page(url.clone(), ask, resource, now).await?;
            for resource in fetched.page.matches {
                let Some(id) = &resource.id else {
                    return Ok(None);
                };
                if ids.contains(id) {
                    found.take_in(resource);
                } else if !ids.iter().any(|asked| asked.eq_ignore_ascii_case(id)) {
                    return Ok(None);
                }
            }
            found.patients.extend(fetched.page.patients);
            let Some(link) = fetched.page.next else {
                return Ok(Some(found));
            };
            url = self.queries.follow(&url, &link)?;
            ask = Ask::NextPage;
        }
        Err(SourceError::misconfigured(
            "the FHIR server's pages of a search for ids do not end",
            "have the server's paging mended",
        )
        .into())
    }

    /// A record by its address; `None` where it is gone.
    async fn read_address(
        &self,
        feed: Feed,
        id: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Resource>, SourceError> {
        let resource = resource_type(feed);
        let Some(url) = self.queries.read(feed, id) else {
            return Ok(None);
        };
        let reply = match self.http.get(url, Ask::Read(resource), now).await {
            Ok(reply) => reply,
            Err(Refusal {
                status: Some(404 | 410),
                ..
            }) => return Ok(None),
            Err(refused) => return Err(refused.error),
        };
        let read = bundle::parse_read(&reply.body, resource);
        match read.and_then(|read| read.id.clone().map(|own| (read, own))) {
            Some((read, own)) if own == id => Ok(Some(read)),
            // The id of another record where case counts, as it does in FHIR.
            Some((_, own)) if own.eq_ignore_ascii_case(id) => Ok(None),
            _ => Err(SourceError::misconfigured(
                format!("the FHIR server answers a read of {resource} with something else"),
                "check that base_url is a FHIR R4 base address, and the server's health",
            )),
        }
    }
}

impl Found {
    /// Once each: pages may overlap.
    fn take_in(&mut self, resource: Resource) {
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

fn knows(learned: &AtomicBool) -> bool {
    learned.load(Ordering::Relaxed)
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

//! `keys`: the ids and stamps of a feed's records, by the windows of a [`KeySweep`].

use std::collections::{BTreeSet, HashMap};

use az::SaturatingAs;
use connector_kit::{KeysPage, KeysRequest, RecordKey, SourceError};

use crate::bundle::{self, Resource};
use crate::config::Include;
use crate::cursor::{read_text, write_text};
use crate::fact::{self, resource_type};
use crate::patients::patient_id;
use crate::query::{KeySearchForm, Queries};
use crate::refusal::{Ask, HttpRefusal};
use crate::session::{FetchedPage, FhirSession};
use crate::sweep::{ArrivedPage, KeySweep, KeysStep};
use crate::{subjects, unstamped};

/// Server pages read for one page of keys: most bring some, but a window may be too large or empty.
const MAX_REQUESTS: u32 = 50;

pub(crate) async fn list(
    session: &FhirSession,
    request: &KeysRequest,
) -> Result<KeysPage, SourceError> {
    let mut sweep: KeySweep = match &request.after {
        Some(cursor) => read_text(cursor)?,
        None => KeySweep::new(session.limits.of(request.feed).unstamped.is_known()),
    };
    sweep.resume(request.now);
    let lister = KeyLister { session, request };
    for _ in 0..MAX_REQUESTS {
        match lister.sweep_page(&mut sweep).await? {
            KeysStep::End(keys) => {
                return Ok(KeysPage {
                    keys,
                    next: None,
                    surprise: None,
                });
            }
            KeysStep::Go(keys) if keys.is_empty() => {}
            KeysStep::Go(keys) => {
                return Ok(KeysPage {
                    keys,
                    next: Some(write_text(&sweep)?),
                    surprise: None,
                });
            }
        }
    }
    Ok(KeysPage {
        keys: Vec::new(),
        next: Some(write_text(&sweep)?),
        surprise: None,
    })
}

/// A request for a page of keys, and the session that answers it.
struct KeyLister<'a> {
    session: &'a FhirSession,
    request: &'a KeysRequest,
}

impl KeyLister<'_> {
    /// Reads one server page of the sweep.
    async fn sweep_page(&self, sweep: &mut KeySweep) -> Result<KeysStep, SourceError> {
        let session = self.session;
        let resource = resource_type(self.request.feed);
        let now = self.request.now;
        let fetched = match &sweep.link {
            None => self.first_page(sweep).await?,
            Some(link) => {
                let url = session.address_of(link)?;
                let ask = Ask::NextPage(resource);
                match session.get_page(url, ask, now).await {
                    Ok(fetched) => fetched,
                    // The window's pages are listed again.
                    Err(refused) if ask.is_expired(&refused) => {
                        sweep.again()?;
                        return Ok(KeysStep::Go(Vec::new()));
                    }
                    Err(refused) => return Err(refused.error),
                }
            }
        };
        if fetched.page.has_others {
            return Err(bundle::other_type(resource));
        }
        let next = session.next_address(&fetched)?;
        if sweep.is_undecided() && next.is_some() {
            let feed = self.request.feed;
            unstamped::count_anew(session, feed, now).await;
            if session.limits.of(feed).unstamped.is_known() {
                // No window of time holds them.
                *sweep = KeySweep::new(true);
                return Ok(KeysStep::Go(Vec::new()));
            }
        }
        let step = sweep.receive(&ArrivedPage {
            page: &fetched.page,
            next: next.as_ref().map(Queries::path),
            path: Queries::path(&fetched.url),
            limit: self.request.limit.max(1).saturating_as(),
            max_pages: session.config.max_pages,
            now: fetched.date.unwrap_or(now),
        })?;
        Ok(match step {
            KeysStep::Go(keys) => KeysStep::Go(self.look_at_subjects(&fetched, keys).await?),
            KeysStep::End(keys) => KeysStep::End(self.look_at_subjects(&fetched, keys).await?),
        })
    }

    /// Takes the stamps off the keys of records whose patients are gone, so that these records are
    /// read again: they themselves have not changed.
    async fn look_at_subjects(
        &self,
        fetched: &FetchedPage,
        mut keys: Vec<RecordKey>,
    ) -> Result<Vec<RecordKey>, SourceError> {
        let session = self.session;
        if keys.is_empty() || session.config.include == Include::Always {
            return Ok(keys);
        }
        let rules = session.mapping_rules();
        let addresses = session.addresses();
        let subject_of = |resource: &Resource| {
            let mapped = fact::map(self.request.feed, resource.json.get(), rules);
            patient_id(&mapped.subject, &addresses).map(str::to_owned)
        };
        let subjects: HashMap<&str, String> = fetched
            .page
            .matches
            .iter()
            .filter_map(|resource| Some((resource.record_id.as_str(), subject_of(resource)?)))
            .collect();
        let named = keys
            .iter()
            .filter_map(|key| subjects.get(key.record_id.as_str()));
        let ids: BTreeSet<String> = named.cloned().collect();
        let missing = subjects::missing(session, ids, self.request.now).await?;
        if !missing.is_empty() {
            for key in &mut keys {
                let subject = subjects.get(key.record_id.as_str());
                if subject.is_some_and(|subject| missing.contains(subject)) {
                    key.stamp = None;
                }
            }
        }
        Ok(keys)
    }

    /// The first page of the sweep's window. A server that refuses what only keys ask for is asked
    /// again without.
    async fn first_page(&self, sweep: &KeySweep) -> Result<FetchedPage, SourceError> {
        let keys_are_plain = &self.session.limits.keys_are_plain;
        let is_plain = keys_are_plain.is_known();
        match self.search(sweep, is_plain).await {
            Ok(answer) => Ok(answer),
            Err(refused) if !is_plain && refused.is_of_parameter() => {
                let answer = self.search(sweep, true).await?;
                tracing::info!(
                    "the FHIR server refuses _elements or a second sort key; keys are read without"
                );
                keys_are_plain.learn();
                Ok(answer)
            }
            Err(refused) => Err(refused.error),
        }
    }

    async fn search(&self, sweep: &KeySweep, is_plain: bool) -> Result<FetchedPage, HttpRefusal> {
        let KeysRequest {
            feed, limit, now, ..
        } = *self.request;
        let resource = resource_type(feed);
        let form = KeySearchForm {
            is_whole: sweep.whole,
            is_plain,
        };
        let url = self
            .session
            .queries
            .keys(feed, sweep.window(), limit.max(1), form);
        self.session.get_page(url, Ask::Search(resource), now).await
    }
}

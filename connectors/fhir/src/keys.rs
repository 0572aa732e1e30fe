//! `keys`: the ids and stamps of a feed's records, by the windows of a [`Sweep`].

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use connector_kit::{KeysPage, KeysRequest, SourceError};
use url::Url;

use crate::bundle;
use crate::connector::{Fetched, FhirConnector};
use crate::fact::resource_type;
use crate::http::{Ask, Refusal};
use crate::query::{KeyForm, Queries};
use crate::sweep::{Arrived, Step, Sweep};

/// Server pages read for one page of keys: most bring some, but a window may be too large or empty.
const MAX_REQUESTS: u32 = 50;

impl FhirConnector {
    pub(crate) async fn list_keys(&self, request: &KeysRequest) -> Result<KeysPage, SourceError> {
        let mut sweep = request
            .after
            .as_ref()
            .map_or_else(|| Ok(Sweep::default()), Sweep::read)?;
        sweep.resume(request.now);
        for _ in 0..MAX_REQUESTS {
            match self.sweep_page(request, &mut sweep).await? {
                Step::End(keys) => return Ok(KeysPage { keys, next: None }),
                Step::Go(keys) if keys.is_empty() => {}
                Step::Go(keys) => {
                    return Ok(KeysPage {
                        keys,
                        next: Some(sweep.write()?),
                    });
                }
            }
        }
        Ok(KeysPage {
            keys: Vec::new(),
            next: Some(sweep.write()?),
        })
    }

    /// One server page of the sweep.
    async fn sweep_page(
        &self,
        request: &KeysRequest,
        sweep: &mut Sweep,
    ) -> Result<Step, SourceError> {
        let resource = resource_type(request.feed);
        let (url, fetched) = match &sweep.link {
            None => self.first_keys(request, sweep).await?,
            Some(link) => {
                let url = self.at(link)?;
                match self
                    .get_page(url.clone(), Ask::NextPage, resource, request.now)
                    .await
                {
                    Ok(fetched) => (url, fetched),
                    // The link has expired: the window's pages are listed again.
                    Err(Refusal {
                        status: Some(400 | 404 | 410),
                        ..
                    }) => {
                        sweep.again()?;
                        return Ok(Step::Go(Vec::new()));
                    }
                    Err(refused) => return Err(refused.error),
                }
            }
        };
        if fetched.page.has_others {
            return Err(bundle::other_type(resource));
        }
        let next = fetched
            .page
            .next
            .as_deref()
            .map(|link| self.queries.follow(&url, link))
            .transpose()?;
        sweep.arrive(&Arrived {
            page: &fetched.page,
            next: next.as_ref().map(Queries::path),
            path: Queries::path(&url),
            limit: usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX),
            max_pages: self.config.max_pages,
            now: fetched.date.unwrap_or(request.now),
        })
    }

    /// The first page of the sweep's window. A server that refuses what only keys ask for is asked
    /// again without.
    async fn first_keys(
        &self,
        request: &KeysRequest,
        sweep: &Sweep,
    ) -> Result<(Url, Fetched), SourceError> {
        let is_plain = self.learned.keys_are_plain.load(Ordering::Relaxed);
        match self.ask_for_keys(request, sweep, is_plain).await {
            Ok(answer) => Ok(answer),
            Err(refused) if !is_plain && matches!(refused.status, Some(400 | 422)) => {
                let answer = self.ask_for_keys(request, sweep, true).await?;
                tracing::info!(
                    "the FHIR server refuses _elements or a second sort key; keys are read without"
                );
                self.learned.keys_are_plain.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            Err(refused) => Err(refused.error),
        }
    }

    async fn ask_for_keys(
        &self,
        request: &KeysRequest,
        sweep: &Sweep,
        is_plain: bool,
    ) -> Result<(Url, Fetched), Refusal> {
        let resource = resource_type(request.feed);
        let form = KeyForm {
            is_whole: sweep.whole,
            is_plain,
        };
        let url = self
            .queries
            .keys(request.feed, sweep.window(), request.limit.max(1), form);
        let now: DateTime<Utc> = request.now;
        let fetched = self
            .get_page(url.clone(), Ask::Search(resource), resource, now)
            .await?;
        Ok((url, fetched))
    }
}

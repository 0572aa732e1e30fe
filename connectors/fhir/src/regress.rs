//! Stamps that went back: the newest record at the server is older than the stored position.
//!
//! A server restored from a backup, or whose clock was set back, gives new records stamps that a
//! search from the stored stamp would not find until its clock has caught up.

use chrono::{DateTime, Utc};
use connector_kit::{Feed, PageRequest, SourceError};
use url::Url;

use crate::connector::{Fetched, FhirConnector};
use crate::cursor::Run;
use crate::fact::resource_type;
use crate::http::Ask;
use crate::query::Queries;

impl FhirConnector {
    /// A run from the newest record there is, where that is older than the stored stamp of `run`,
    /// which found nothing.
    pub(crate) async fn start_further_back(
        &self,
        request: &PageRequest,
        run: &Run,
    ) -> Result<Option<(Run, Url, Fetched)>, SourceError> {
        let Some(since) = run.since else {
            return Ok(None);
        };
        let Some(newest) = self
            .newest(request.feed, request.now)
            .await?
            .filter(|newest| *newest < since)
        else {
            return Ok(None);
        };
        let from = self.overlapped(Some(newest));
        let (url, fetched) = self
            .first_page(request.feed, from, request.limit.max(1), request.now)
            .await?;
        let mut back = Run::new(Some(newest), Queries::path(&url), run.started);
        back.patients = run.patients.map(|stamp| stamp.min(newest));
        back.went_back = true;
        Ok(Some((back, url, fetched)))
    }

    /// The newest stamp of a feed; `None` where it is empty, or the server cannot tell.
    async fn newest(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, SourceError> {
        let resource = resource_type(feed);
        match self
            .get_page(
                self.queries.newest(feed),
                Ask::Search(resource),
                resource,
                now,
            )
            .await
        {
            Ok(fetched) => Ok(fetched
                .page
                .matches
                .iter()
                .filter_map(|resource| resource.stamp)
                .max()),
            Err(refused) if matches!(refused.status, Some(400 | 422)) => Ok(None),
            Err(refused) => Err(refused.error),
        }
    }
}

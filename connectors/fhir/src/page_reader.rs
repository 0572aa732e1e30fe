//! Reads the pages of one search in parts of the size that was asked for.

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, PageRequest, SourceError};

use crate::config::Include;
use crate::query::Queries;
use crate::search_run::SearchRun;
use crate::session::{FetchedPage, FhirSession};

/// A request for one page, and the session that answers it.
#[derive(Clone, Copy)]
pub(crate) struct PageReader<'a> {
    pub session: &'a FhirSession,
    pub request: &'a PageRequest,
}

/// A run that begins, and its first server page.
pub(crate) struct RunStart {
    pub run: SearchRun,
    pub fetched: FetchedPage,
}

/// Records that are handed over together.
pub(crate) struct HandedOver {
    pub records: Vec<ClinicRecord>,
    /// The search holds more than has been handed over.
    pub has_more: bool,
}

impl PageReader<'_> {
    /// Greatest number of records in a part, at least 1.
    pub(crate) fn limit(&self) -> u32 {
        self.request.limit.max(1)
    }

    /// The first server page of the feed's search.
    pub(crate) async fn first_page(
        &self,
        from: Option<DateTime<Utc>>,
    ) -> Result<FetchedPage, SourceError> {
        self.session
            .first_page(self.request.feed, from, self.limit(), self.request.now)
            .await
    }

    /// Hands over the next part of a server page; behind the page's last part the run goes on to
    /// the next page.
    pub(crate) async fn hand_over(
        &self,
        run: &mut SearchRun,
        mut fetched: FetchedPage,
    ) -> Result<HandedOver, SourceError> {
        run.receive(&fetched.page);
        let count = fetched.page.matches.len();
        let until = run.skip.saturating_add(self.limit().saturating_as());
        let until = until.min(count);
        let from = run.skip;
        run.note_handed_over(&fetched.page, until);
        let records = self
            .session
            .records(
                self.request.feed,
                &mut fetched.page,
                from..until,
                self.session.config.include != Include::Include,
                self.request.now,
            )
            .await?;
        let has_more = until < count || self.go_on(run, &fetched)?;
        Ok(HandedOver { records, has_more })
    }

    /// Moves the run to the page that this one links to; returns false where there is none.
    pub(crate) fn go_on(
        &self,
        run: &mut SearchRun,
        fetched: &FetchedPage,
    ) -> Result<bool, SourceError> {
        let Some(next) = self.session.next_address(fetched)? else {
            return Ok(false);
        };
        let path = Queries::path(&next);
        run.look_for_end(&fetched.page, path, self.session.config.max_pages);
        run.go_to(path, fetched.date.unwrap_or(self.request.now));
        Ok(true)
    }
}

//! Reads the pages of one search in parts of the size that was asked for.

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, PageRequest, SourceError};
use url::Url;

use crate::config::Include;
use crate::query::{Queries, Span};
use crate::records;
use crate::refusal::{Ask, HttpRefusal};
use crate::run_window::RunWindow;
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
    pub(crate) async fn search(
        &self,
        from: Option<DateTime<Utc>>,
        window: Option<RunWindow>,
    ) -> Result<FetchedPage, SourceError> {
        let span = Span::of_window(from, window);
        self.session
            .first_page(self.request.feed, span, self.limit(), self.request.now)
            .await
    }

    /// The address of the first server page of the feed's search.
    pub(crate) fn search_url(&self, span: Span) -> Url {
        let includes = self.session.asks_for_includes();
        self.session
            .queries
            .search(self.request.feed, span, self.limit(), includes)
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
        run.note_handed_over(&fetched.page, until, self.session.overlap());
        if run.unstamped && run.asked_for.is_empty() {
            self.session.limits.of(self.request.feed).unstamped.learn();
        }
        let records = records::of_page(
            self.session,
            self.request.feed,
            &mut fetched.page,
            from..until,
            self.session.config.include != Include::Always,
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

    /// The server page at which a run stands. Where its link has expired, the run goes on with the
    /// search that `search_from` makes, from the stamp it has reached.
    pub(crate) async fn next_page(
        &self,
        run: &mut SearchRun,
        resource: &'static str,
        search_from: impl Fn(Span) -> Url,
    ) -> Result<FetchedPage, HttpRefusal> {
        run.check_end()?;
        let session = self.session;
        let now = self.request.now;
        let ask = if run.begins_search {
            Ask::Search(resource)
        } else {
            Ask::NextPage(resource)
        };
        let url = session.address_of(&run.page)?;
        let refused = match session.get_page(url, ask, now).await {
            Ok(fetched) => return Ok(fetched),
            Err(refused) => refused,
        };
        if !ask.is_expired(&refused) {
            return Err(refused);
        }
        let Some(from) = run.restart() else {
            return Err(stuck(run, refused));
        };
        tracing::debug!("a page link has expired; the search begins anew at the stamp reached");
        let url = search_from(Span::since(Some(from)));
        run.begin_search(Queries::path(&url), Some(from), now);
        session.get_page(url, Ask::Search(resource), now).await
    }
}

/// The refusal of an expired link, where more records have one stamp than fit on a page, so that no
/// search can begin behind them.
fn stuck(run: &SearchRun, refused: HttpRefusal) -> HttpRefusal {
    if run.reached().is_none() {
        return refused;
    }
    let error = SourceError::retry(format!(
        "{}: more records have one and the same stamp than the server puts on a page, and its page \
         links expire before they are used; have it keep them longer, or put more on a page",
        refused.error
    ));
    HttpRefusal { error, ..refused }
}

//! The first page of a feed's search, and the decision by it whether patients are included.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use connector_kit::{Feed, SourceError};

use crate::config::Include;
use crate::fact::{self, resource_type};
use crate::include::{IncludeChoice, IncludeTiming, MIN_RECORDS, QUICK};
use crate::patients::patient_id;
use crate::query::Span;
use crate::refusal::{Ask, HttpRefusal};
use crate::session::{FetchedPage, FhirSession};
use crate::subjects;

/// A search for a feed's records.
struct FirstSearch<'a> {
    session: &'a FhirSession,
    feed: Feed,
    span: Span,
    count: u32,
    now: DateTime<Utc>,
}

impl FhirSession {
    /// The first page of a feed's search. A server that refuses `_include` is asked again without.
    pub(crate) async fn first_page(
        &self,
        feed: Feed,
        span: Span,
        count: u32,
        now: DateTime<Utc>,
    ) -> Result<FetchedPage, SourceError> {
        let search = FirstSearch {
            session: self,
            feed,
            span,
            count,
            now,
        };
        search.page().await
    }
}

impl FirstSearch<'_> {
    /// The first page. A server that refuses `_include`, or fails with it, is asked again without;
    /// one that is several times slower with it is asked without from now on.
    async fn page(&self) -> Result<FetchedPage, SourceError> {
        let session = self.session;
        let begun = session.clock.elapsed();
        let refused = match self.get(session.asks_for_includes()).await {
            Ok(fetched) if self.is_to_be_judged(&fetched) => {
                return Ok(self.judge(fetched, self.since(begun)).await);
            }
            Ok(fetched) => return Ok(fetched),
            Err(refused) => refused,
        };
        let is_failure = session.include_choice().is_none() && is_failure(&refused);
        if !session.may_drop_include() || !(refused.is_of_parameter() || is_failure) {
            return Err(refused.error);
        }
        // Of a server that is down the first refusal tells more.
        let Ok(fetched) = self.get(false).await else {
            return Err(refused.error);
        };
        if is_failure {
            self.choose(IncludeChoice::Failed);
        } else {
            tracing::info!("the FHIR server refuses _include; patients are read in batches");
            session.limits.include_refused.learn();
        }
        Ok(fetched)
    }

    async fn get(&self, include: bool) -> Result<FetchedPage, HttpRefusal> {
        let queries = &self.session.queries;
        let url = queries.search(self.feed, self.span, self.count, include);
        let ask = Ask::Search(resource_type(self.feed));
        self.session.get_page(url, ask, self.now).await
    }

    fn since(&self, begun: Duration) -> Duration {
        self.session.clock.elapsed().saturating_sub(begun)
    }

    fn is_to_be_judged(&self, fetched: &FetchedPage) -> bool {
        self.session.config.include == Include::Auto
            && self.session.include_choice().is_none()
            && self.session.asks_for_includes()
            && fetched.page.matches.len() >= MIN_RECORDS
    }

    /// Decides by a page whether patients are included from now on; returns the page in the better
    /// form. Nothing that fails here fails the search.
    async fn judge(&self, fetched: FetchedPage, included: Duration) -> FetchedPage {
        if self.patients_named(&fetched).is_empty() {
            return fetched;
        }
        if fetched.page.patients.is_empty() {
            self.choose(IncludeChoice::Ignored);
            return fetched;
        }
        if included < QUICK {
            self.choose(IncludeChoice::Quick(included));
            return fetched;
        }
        let begun = self.session.clock.elapsed();
        let Ok(plain) = self.get(false).await else {
            return fetched;
        };
        let ids = self.patients_named(&plain);
        if subjects::read(self.session, ids, 0, self.now)
            .await
            .is_err()
        {
            return fetched;
        }
        let batched = self.since(begun);
        let timing = IncludeTiming { included, batched };
        if !timing.is_slow() {
            self.choose(IncludeChoice::Included(timing));
            return fetched;
        }
        // The first answer of a server that has just started is slow, whatever it is asked for.
        let begun = self.session.clock.elapsed();
        let again = self.get(true).await;
        let included = included.min(self.since(begun));
        let timing = IncludeTiming { included, batched };
        match again {
            Ok(again) if !timing.is_slow() => {
                self.choose(IncludeChoice::Included(timing));
                again
            }
            _ => {
                self.choose(IncludeChoice::Batches(timing));
                plain
            }
        }
    }

    /// Ids of the patients that a page's records refer to.
    fn patients_named(&self, fetched: &FetchedPage) -> BTreeSet<String> {
        let rules = self.session.mapping_rules();
        let addresses = self.session.addresses();
        let named = fetched.page.matches.iter().filter_map(|resource| {
            let mapped = fact::map(self.feed, resource.json.get(), rules);
            patient_id(&mapped.subject, &addresses).map(str::to_owned)
        });
        named.collect()
    }

    fn choose(&self, choice: IncludeChoice) {
        if self.session.include_choice.set(choice).is_ok() {
            tracing::info!(feed = %self.feed, "{}", choice.words());
        }
    }
}

/// True for a failure that the size or the time of an answer may have caused.
fn is_failure(refused: &HttpRefusal) -> bool {
    let has_failed = matches!(refused.status, Some(500..));
    let is_silent = refused.status.is_none() && !refused.is_brief;
    matches!(refused.error, SourceError::Retry { .. }) && (has_failed || is_silent)
}

//! A session with one FHIR server: its client, its searches, and what it turned out not to do.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use clock::Clock;
use connector_kit::{Feed, SourceError};
use tokio::sync::OnceCell;
use url::Url;

use crate::bounds;
use crate::bundle::{self, ServerPage};
use crate::capability_statement;
use crate::config::{FhirConfig, Include, Links};
use crate::export::open::OpenExports;
use crate::fact::{MappingRules, resource_type};
use crate::http::Http;
use crate::identity::IdentifierSystems;
use crate::include::IncludeChoice;
use crate::links::{self, LinkTarget, OwnAddresses};
use crate::query::Queries;
use crate::refusal::{Ask, HttpRefusal};
use crate::server_limits::ServerLimits;
use crate::stamp_mark::StampMark;

/// Everything that reading from one server takes.
pub(crate) struct FhirSession {
    pub config: FhirConfig,
    pub http: Http,
    pub queries: Queries,
    pub identifier_systems: IdentifierSystems,
    pub limits: ServerLimits,
    pub clock: Arc<dyn Clock>,
    /// Files of exports that are being read.
    pub open_exports: OpenExports,
    /// Set once it is decided how patients come.
    pub include_choice: OnceLock<IncludeChoice>,
    addresses: Mutex<OwnAddresses>,
    /// Set once the capability statement was read: true if it offers the history of Patient.
    history: OnceCell<bool>,
}

/// A server page, with its address and the moment at which the server says it was made.
pub(crate) struct FetchedPage {
    pub url: Url,
    pub page: ServerPage,
    pub date: Option<DateTime<Utc>>,
}

impl FhirSession {
    /// Prepares the client; secrets and certificates are read now, relative paths starting from
    /// `folder`.
    pub(crate) fn new(
        config: FhirConfig,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        bounds::check(&config)?;
        Ok(Self {
            http: Http::new(&config, folder)?,
            queries: Queries::new(&config)?,
            identifier_systems: IdentifierSystems::new(&config),
            limits: ServerLimits::default(),
            clock,
            open_exports: OpenExports::default(),
            include_choice: OnceLock::new(),
            addresses: Mutex::new(OwnAddresses::new(config.base_url.as_str())),
            history: OnceCell::new(),
            config,
        })
    }

    /// Feeds that are configured, in pulling order.
    pub(crate) fn feeds(&self) -> Vec<Feed> {
        Feed::ALL
            .into_iter()
            .filter(|feed| self.config.reads(*feed))
            .collect()
    }

    /// Time for which a run looks back behind what it has read.
    pub(crate) fn overlap(&self) -> TimeDelta {
        TimeDelta::seconds(self.config.overlap_seconds.into())
    }

    /// Settings by which resources are mapped.
    pub(crate) fn mapping_rules(&self) -> MappingRules {
        MappingRules {
            zone: self.config.time_zone.0,
            recovered_on: self.config.recovered_on,
        }
    }

    /// Moment from which a run behind a mark has to read.
    pub(crate) fn begin_behind(&self, mark: Option<StampMark>) -> Option<DateTime<Utc>> {
        mark.and_then(|mark| mark.begin(self.overlap()))
    }

    /// True if the server's capability statement offers the history of Patient. The statement is
    /// read once, and again only where reading failed.
    pub(crate) async fn tells_history(&self, now: DateTime<Utc>) -> Result<bool, SourceError> {
        let ask = async || {
            let url = self.queries.metadata();
            let reply = match self.http.get(url, Ask::Metadata, now).await {
                Ok(reply) => reply,
                Err(HttpRefusal {
                    error: error @ SourceError::Retry { .. },
                    ..
                }) => return Err(error),
                Err(_) => return Ok(false),
            };
            Ok(capability_statement::offers_history(&reply.body))
        };
        self.history.get_or_try_init(ask).await.copied()
    }

    /// The address behind path and query that were kept in a cursor.
    pub(crate) fn address_of(&self, path: &str) -> Result<Url, SourceError> {
        self.queries.at_path(path).ok_or_else(|| {
            SourceError::retry("the position in this run is damaged; the next run starts again")
        })
    }

    /// True if searches should ask the server to include the patients.
    pub(crate) fn asks_for_includes(&self) -> bool {
        match self.config.include {
            Include::Auto => {
                !self.limits.include_refused.is_known()
                    && self.include_choice().is_none_or(IncludeChoice::asks)
            }
            Include::Always => true,
            Include::Never => false,
        }
    }

    /// True if a search that was refused may succeed without `_include`.
    pub(crate) fn may_drop_include(&self) -> bool {
        self.config.include == Include::Auto && self.asks_for_includes()
    }

    /// How patients come, once that has been decided.
    pub(crate) fn include_choice(&self) -> Option<IncludeChoice> {
        self.include_choice.get().copied()
    }

    /// Gets a page of a search.
    pub(crate) async fn get_page(
        &self,
        url: Url,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<FetchedPage, HttpRefusal> {
        let reply = self.http.get(url.clone(), ask, now).await?;
        let page = bundle::parse(&reply.body, ask.resource_type())?;
        if self.config.links == Links::Rewrite {
            self.lock_addresses().learn(&page, ask.resource_type());
        }
        Ok(FetchedPage {
            url,
            page,
            date: reply.date,
        })
    }

    /// The checked address of the page that a page links to, if it does.
    pub(crate) fn next_address(&self, fetched: &FetchedPage) -> Result<Option<Url>, SourceError> {
        fetched
            .page
            .next
            .as_deref()
            .map(|link| self.follow(&fetched.url, link, LinkTarget::NextPage))
            .transpose()
    }

    /// The checked address of a link on a page.
    pub(crate) fn follow(
        &self,
        page: &Url,
        link: &str,
        target: LinkTarget,
    ) -> Result<Url, SourceError> {
        let base = self.queries.base();
        let rule = self.config.links;
        links::follow(base, page, link, target, rule, &self.lock_addresses())
    }

    /// The checked address of a file of an export: on one of the origins that are allowed for it as
    /// it is, else by the rule for links.
    pub(crate) fn follow_to_file(&self, status: &Url, link: &str) -> Result<Url, SourceError> {
        match links::stored(status, link, &self.config.export_origins) {
            Some(url) => Ok(url),
            None => self.follow(status, link, LinkTarget::ExportFile),
        }
    }

    /// The addresses under which the server's own resources are known.
    pub(crate) fn addresses(&self) -> OwnAddresses {
        self.lock_addresses().clone()
    }

    /// Learns the address that the server writes itself, where links are rewritten and no page of
    /// a search has shown it yet: what was read by its own address may refer to it.
    pub(crate) async fn learn_addresses(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<(), SourceError> {
        if self.config.links == Links::Rewrite && !self.lock_addresses().has_written() {
            let url = self.queries.any_newest(feed, 1);
            self.get_page(url, Ask::Search(resource_type(feed)), now)
                .await?;
        }
        Ok(())
    }

    fn lock_addresses(&self) -> MutexGuard<'_, OwnAddresses> {
        // A list that some task left while adding to it is still a list.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

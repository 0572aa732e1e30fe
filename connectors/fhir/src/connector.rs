//! The connector: a session with one server, and the trait's methods in terms of it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use clock::{Clock, SystemClock};
use connector_kit::{
    CheckReport, ClinicRecord, Connector, Feed, KeysPage, KeysRequest, Page, PageRequest,
    SampledRecord, SourceError,
};

use crate::config::FhirConfig;
use crate::session::FhirSession;
use crate::{by_id, check, keys, pull};

/// A FHIR R4 server as a source of clinic records.
pub struct FhirConnector {
    pub(crate) session: FhirSession,
}

impl FhirConnector {
    /// Prepares the source; secrets and certificates are read now, relative paths starting from
    /// `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for anything in the configuration that cannot work, secrets
    /// included.
    pub fn new(config: FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        Self::with_clock(config, folder, Arc::new(SystemClock::default()))
    }

    /// The same with another clock, by which the server's answers are timed.
    ///
    /// # Errors
    /// As for [`FhirConnector::new`].
    pub fn with_clock(
        config: FhirConfig,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            session: FhirSession::new(config, folder, clock)?,
        })
    }
}

#[async_trait]
impl Connector for FhirConnector {
    fn kind(&self) -> &'static str {
        "fhir"
    }

    fn feeds(&self) -> Vec<Feed> {
        self.session.feeds()
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        check::run(&self.session, now).await
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        pull::page(&self.session, &request).await
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        keys::list(&self.session, &request).await
    }

    async fn sample(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<Vec<SampledRecord>, SourceError> {
        check::sample::read(&self.session, feed, now).await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        by_id::fetch(&self.session, feed, ids, now).await
    }
}

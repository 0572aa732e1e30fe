//! The connector: one reader of one folder, and the trait's methods in terms of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_kit::{
    ChangeNotice, CheckReport, ClinicRecord, Connector, ConnectorConfig, Feed, KeysPage,
    KeysRequest, Page, PageRequest, SampledRecord, SourceError,
};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::config::FhirFolderConfig;
use super::reader::FolderReader;
use super::settings::FolderSettings;
use super::{check, sample};
use crate::content_settings::ContentSettings;

/// Longest time that one answer may take: a folder on another machine may stop answering.
const PATIENCE: Duration = Duration::from_secs(1800);

/// A folder with the files of a FHIR bulk export as a source of clinic records.
pub struct FhirFolderConnector {
    feeds: Vec<Feed>,
    /// Locked by the thread that reads, to its end: a folder that does not answer holds up one
    /// thread and no more.
    reader: Arc<Mutex<FolderReader>>,
    patience: Duration,
}

impl FhirFolderConnector {
    /// Prepares the source; the folder is not looked at yet. A relative path starts from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for anything in the configuration that cannot work.
    pub fn new(config: &FhirFolderConfig, folder: &Path) -> Result<Self, SourceError> {
        let settings = Arc::new(FolderSettings::new(config, folder)?);
        Ok(Self {
            feeds: settings.feeds.clone(),
            reader: Arc::new(Mutex::new(FolderReader::new(settings))),
            patience: PATIENCE,
        })
    }

    /// Has the reader work on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut FolderReader) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let reader = Arc::clone(&self.reader);
        let reading = async move {
            let mut reader = reader.lock_owned().await;
            spawn_blocking(move || work(&mut reader)).await
        };
        match timeout(self.patience, reading).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(SourceError::retry("reading the folder has broken off")),
            Err(_) => Err(SourceError::retry(format!(
                "the folder has not been read within {} s: does its machine answer?",
                self.patience.as_secs()
            ))),
        }
    }
}

#[async_trait]
impl Connector for FhirFolderConnector {
    fn kind(&self) -> &'static str {
        "fhir-folder"
    }

    fn feeds(&self) -> Vec<Feed> {
        self.feeds.clone()
    }

    fn notices(&self, _feed: Feed) -> ChangeNotice {
        ChangeNotice::Files
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        let checked = self.read(move |reader| Ok(check::run(reader, now))).await;
        checked.unwrap_or_else(|error| {
            let mut report = CheckReport::default();
            report.error(error.to_string(), check::AWAY_HELP);
            report
        })
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        self.read(move |reader| reader.page(&request)).await
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        self.read(move |reader| reader.keys(&request)).await
    }

    async fn sample(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<Vec<SampledRecord>, SourceError> {
        self.read(move |reader| sample::read(reader, feed, now))
            .await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let ids = ids.to_vec();
        self.read(move |reader| reader.fetch(feed, &ids, now)).await
    }
}

impl ConnectorConfig for FhirFolderConfig {
    /// As of a FHIR server: resources are long.
    fn default_page_records(&self) -> u32 {
        1000
    }

    fn feeds(&self) -> Vec<Feed> {
        let content = ContentSettings::from(self);
        let configured = Feed::ALL.into_iter();
        configured.filter(|feed| content.reads(*feed)).collect()
    }

    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError> {
        Ok(Arc::new(FhirFolderConnector::new(self, folder)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_does_not_answer_is_given_up() {
        let config = serde_json::from_value(serde_json::json!({"path": "/"})).unwrap();
        let mut source = FhirFolderConnector::new(&config, Path::new("/")).unwrap();
        source.patience = Duration::ZERO;
        let held = Arc::clone(&source.reader).lock_owned().await;
        let request = PageRequest::first_records(Feed::Tests, 1, DateTime::UNIX_EPOCH);
        let failure = source.page(request).await.unwrap_err();
        assert!(matches!(failure, SourceError::Retry { .. }), "{failure}");
        let report = source.check(DateTime::UNIX_EPOCH).await;
        assert_eq!(report.worst(), connector_kit::Level::Error);
        drop(held);
    }
}

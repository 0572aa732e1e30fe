//! The configuration section of a FHIR server, which builds its connector.

use std::path::Path;
use std::sync::Arc;

use connector_kit::{Connector, ConnectorConfig, Feed, SourceError};

use crate::{FhirConfig, FhirConnector};

impl ConnectorConfig for FhirConfig {
    /// Resources are long: fewer of them make a page.
    fn default_page_records(&self) -> u32 {
        1000
    }

    fn feeds(&self) -> Vec<Feed> {
        let configured = Feed::ALL.into_iter();
        configured.filter(|feed| self.reads(*feed)).collect()
    }

    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError> {
        Ok(Arc::new(FhirConnector::new(self.clone(), folder)?))
    }
}

//! The configuration sections of the three kinds of databases, which build their connectors.

use std::path::Path;
use std::sync::Arc;

use connector_kit::{Connector, ConnectorConfig, Feed, SourceError};

use crate::SqlConnector;

#[cfg(feature = "postgres")]
impl ConnectorConfig for crate::PostgresConfig {
    fn listens(&self) -> bool {
        self.listen.is_some()
    }

    fn feeds(&self) -> Vec<Feed> {
        self.common().configured_feeds()
    }

    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError> {
        Ok(Arc::new(SqlConnector::postgres(self, folder)?))
    }
}

#[cfg(feature = "mysql")]
impl ConnectorConfig for crate::MySqlConfig {
    fn feeds(&self) -> Vec<Feed> {
        self.common().configured_feeds()
    }

    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError> {
        Ok(Arc::new(SqlConnector::mysql(self, folder)?))
    }
}

#[cfg(feature = "sqlite")]
impl ConnectorConfig for crate::SqliteConfig {
    fn feeds(&self) -> Vec<Feed> {
        self.common().configured_feeds()
    }

    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError> {
        Ok(Arc::new(SqlConnector::sqlite(self, folder)?))
    }
}

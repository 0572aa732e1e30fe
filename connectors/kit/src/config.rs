//! The trait of a connector's section in the configuration file.

use std::path::Path;
use std::sync::Arc;

use crate::{Connector, Feed, SourceError};

/// Section of the configuration file that describes one source of one kind.
pub trait ConnectorConfig {
    /// Records in one page where the administrator configures no other number.
    fn default_page_records(&self) -> u32 {
        3000
    }

    /// Returns whether the section asks for hints by its setting `listen`: the source then says
    /// itself that something may have changed ([`Connector::changed`]).
    fn listens(&self) -> bool {
        false
    }

    /// Feeds that the section configures, in the order of [`Feed::ALL`]: those that
    /// [`Connector::feeds`] of its connector returns. It is asked where no connector can be built,
    /// as by a command that may not read the source's secrets.
    fn feeds(&self) -> Vec<Feed>;

    /// Builds the connector: reads its secrets and checks its settings, but asks its server nothing
    /// yet. Relative paths start from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    fn build(&self, folder: &Path) -> Result<Arc<dyn Connector>, SourceError>;
}

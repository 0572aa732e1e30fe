//! Configuration file of the gateway, as the command line opens it.

use std::path::Path;

use program::Failure;

use crate::config::{self, LoadedConfig};

/// Command that writes a first configuration.
const INIT: Option<&str> = Some("clinic-gateway init");

/// Reads and checks the configuration and starts the log that it asks for.
pub(super) fn open(path: &Path) -> Result<LoadedConfig, Failure> {
    program::open(path, config::load, INIT, |config| &config.log)
}

/// Reads a configuration that is still being filled in, as far as its types go.
pub(super) fn load_unfinished(path: &Path) -> Result<LoadedConfig, Failure> {
    program::load(path, config::load_unfinished, INIT)
}

/// Reads a configuration that is not the gateway's any more.
pub(super) fn load_former(path: &Path) -> Result<LoadedConfig, Failure> {
    program::load(path, config::load, None)
}

//! Configuration file of the key service, as the command line opens it.

use std::path::Path;

use program::Failure;
use settings::SettingsError;

use crate::Config;

/// Configuration of the key service and the file it was read from.
pub(super) type LoadedConfig = settings::Loaded<Config>;

/// Reads the configuration and starts the log that it asks for.
pub(super) fn open(path: &Path) -> Result<LoadedConfig, Failure> {
    program::open(path, load, Some("key-service init"), |config| &config.log)
}

/// Reads the configuration and checks what its types cannot say.
pub(super) fn load(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let loaded = LoadedConfig::read(path)?;
    match loaded.config.mistake() {
        Some((what, help)) => Err(settings::mistake(path, what, help)),
        None => Ok(loaded),
    }
}

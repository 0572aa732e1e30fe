//! Configuration file of the registry, as the command line opens it.

use std::path::Path;

use program::Failure;
use settings::SettingsError;

use crate::{Config, StoreConfig};

/// Registry's configuration and the file it was read from.
pub(super) type LoadedConfig = settings::Loaded<Config>;

/// Reads the configuration and starts the log that it asks for.
pub(super) fn open(path: &Path) -> Result<LoadedConfig, Failure> {
    program::open(path, load, Some("city-registry init"), |config| &config.log)
}

/// Reads the configuration and checks what its types cannot say.
fn load(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let loaded = LoadedConfig::read(path)?;
    if let StoreConfig::Postgres(postgres) = &loaded.config.store
        && let Some((what, help)) = postgres.mistake()
    {
        return Err(settings::mistake(path, what, help));
    }
    if let Some((what, help)) = loaded.config.portal.mistake() {
        return Err(settings::mistake(path, what, help));
    }
    if let Some(mistake) = loaded.config.retention_mistake() {
        return Err(settings::mistake(path, mistake.what, mistake.help));
    }
    if let Some(mistake) = loaded.config.audit_mistake() {
        return Err(settings::mistake(path, mistake.what, mistake.help));
    }
    Ok(loaded)
}

//! Opening of a portal from its configuration: keys and rules.

use std::path::Path;
use std::sync::Arc;

use clock::Clock;
use pseudonym::{CitizenPseudonyms, KeyError, Policy, PolicyConfig, PolicyError, SharedKeys};

use crate::access::AccessMistake;
use crate::config::Config;
use crate::portal::{CityPortal, PortalSettings};
use crate::registry::RegistryClient;

/// Mistake in the configuration, or in a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum OpenPortalError {
    /// Keys that cannot be read.
    #[error("keys.shared: {0}")]
    Secret(#[from] settings::SecretError),
    /// Keys that cannot be used.
    #[error(
        "keys.shared: {0}; `clinic-gateway keys share` writes the file at a clinic of the city"
    )]
    Keys(#[from] KeyError),
    /// Rules for identifiers that no number can meet.
    #[error("{0}")]
    Identifiers(#[from] PolicyError),
    /// Mistake in `[portal]`.
    #[error(transparent)]
    Access(#[from] AccessMistake),
}

/// Reads the keys that a configuration names, and makes the portal. Relative paths
/// start from `base`.
///
/// # Errors
/// [`OpenPortalError`], which says what to change.
pub fn open_portal(
    config: &Config,
    base: &Path,
    registry: Arc<RegistryClient>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<CityPortal>, OpenPortalError> {
    let keys = SharedKeys::parse(&config.keys.shared.read(base)?)?;
    let policy = Policy::new(&PolicyConfig {
        identifiers: config.identifiers,
        ..PolicyConfig::default()
    })?;
    let settings = PortalSettings {
        pseudonyms: CitizenPseudonyms::new(&keys, config.keys.suite, policy),
        registry,
        page: config.portal.clone(),
    };
    Ok(CityPortal::new(settings, clock)?)
}

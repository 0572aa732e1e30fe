//! Opening of a portal from its configuration: keys and rules.

use std::path::Path;
use std::sync::Arc;

use clock::Clock;
use key_client::{KeyClient, KeyConfigMistake};
use pseudonym::{CitizenPseudonyms, KeyError, Policy, PolicyConfig, PolicyError, SharedKeys};

use crate::access::AccessMistake;
use crate::config::{Config, KeysMistake, NamedKeys};
use crate::portal::{CityPortal, PortalSettings};
use crate::pseudonyms::{KeyServices, PseudonymSource};
use crate::registry::RegistryClient;

/// Mistake in the configuration, or in a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum OpenPortalError {
    /// Mistake in `[keys]` as a whole.
    #[error(transparent)]
    KeysSection(#[from] KeysMistake),
    /// Key services that are misconfigured.
    #[error("keys.services: {0}")]
    KeyServices(#[from] KeyConfigMistake),
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

/// Reads the keys or the certificates for key services that a configuration names. Asks nobody.
/// Relative paths start from `base`.
///
/// # Errors
/// [`OpenPortalError`], which says what to change.
pub(crate) fn pseudonym_source(
    config: &Config,
    base: &Path,
) -> Result<PseudonymSource, OpenPortalError> {
    let policy = Policy::new(&PolicyConfig {
        identifiers: config.identifiers,
        ..PolicyConfig::default()
    })?;
    Ok(match config.keys.named()? {
        NamedKeys::Shared(source, suite) => {
            let keys = SharedKeys::parse(&source.read(base)?)?;
            CitizenPseudonyms::new(&keys, suite, policy).into()
        }
        NamedKeys::Services(services) => {
            KeyServices::new(KeyClient::new(services, base)?, policy).into()
        }
        NamedKeys::Both {
            services,
            shared,
            moving_from,
        } => {
            let keys = SharedKeys::parse(&shared.read(base)?)?;
            let services = KeyServices::new(KeyClient::new(services, base)?, policy);
            services.beside(&keys, moving_from).into()
        }
    })
}

/// Reads the keys or the certificates for key services that a configuration names, and makes the
/// portal. Asks nobody. Relative paths start from `base`.
///
/// # Errors
/// [`OpenPortalError`], which says what to change.
pub fn open_portal(
    config: &Config,
    base: &Path,
    registry: Arc<RegistryClient>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<CityPortal>, OpenPortalError> {
    let settings = PortalSettings {
        pseudonyms: pseudonym_source(config, base)?,
        registry,
        page: config.portal.clone(),
    };
    Ok(CityPortal::new(settings, clock)?)
}

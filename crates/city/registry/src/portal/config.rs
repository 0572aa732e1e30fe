//! `[portal]` of `city-registry.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use telemetry::ListenConfig;

/// Port that is taken where `[portal]` names no address.
const DEFAULT_PORT: u16 = 9467;

/// `[portal]`: where portals ask for passes, and how often they may.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PortalConfig {
    /// Address and port. Without `[portal.tls]` it must be a loopback address.
    pub address: SocketAddr,
    /// Most requests of one client in an hour.
    pub requests_per_hour: NonZeroU32,
    /// Most questions about one subject in an hour, eligibility and passes together.
    pub requests_per_subject_per_hour: NonZeroU32,
    /// `[portal.tls]`: certificates of both sides.
    pub tls: Option<TlsConfig>,
    /// `[portal.listen]`: metrics and health of this process, where wanted.
    pub listen: Option<ListenConfig>,
}

impl Default for PortalConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            requests_per_hour: NonZeroU32::new(50_000).expect("50000 is not zero"),
            requests_per_subject_per_hour: NonZeroU32::new(30).expect("30 is not zero"),
            tls: None,
            listen: None,
        }
    }
}

/// `[portal.tls]`: the server's certificate, and the authority of the clients' certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the server's certificate, followed by those of intermediate authorities.
    pub certificate_file: PathBuf,
    /// Key of the server's certificate, PKCS #8, PKCS #1 or SEC 1 in PEM: a file readable by this
    /// program's user only.
    pub key_file: PathBuf,
    /// PEM file of the authorities whose certificates clients have to show.
    pub client_ca_file: PathBuf,
}

impl PortalConfig {
    /// Mistake in the section as a whole, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(String, &'static str)> {
        if self.tls.is_some() || self.address.ip().is_loopback() {
            return None;
        }
        let what = format!(
            "portal.address is {}, which other machines reach, and there is no [portal.tls]",
            self.address
        );
        Some((
            what,
            "write [portal.tls], or a loopback address such as 127.0.0.1:9467",
        ))
    }
}

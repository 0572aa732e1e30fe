//! `[portal]` of `city-registry.toml`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use client_door::{SettingNames, TlsConfig, open_address_mistake};
use serde::{Deserialize, Serialize};
use telemetry::{ListenConfig, shared_address_mistake};

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

/// Names of the settings of the interface's address, for messages.
pub(super) const SETTING_NAMES: SettingNames = SettingNames {
    address: "portal.address",
    tls: "portal.tls",
};

impl PortalConfig {
    /// Mistake in the section as a whole, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(String, String)> {
        open_address_mistake(self.address, self.tls.as_ref(), SETTING_NAMES).or_else(|| {
            let listen = self.listen.as_ref();
            let name = SETTING_NAMES.address;
            shared_address_mistake(listen, "portal.listen.address", self.address, name)
                .map(|(what, help)| (what, help.to_owned()))
        })
    }
}

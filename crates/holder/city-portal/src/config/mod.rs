//! Configuration of the program: `city-portal.toml`.

mod keys;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::str::FromStr;

use audit::{AuditConfig, AuditMistake, OtherFolder};
use chrono_tz::Tz;
use pseudonym::IdentifiersConfig;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use settings::SecretSource;
use telemetry::{ListenConfig, LogConfig, shared_address_mistake};
use url::Url;

pub(crate) use keys::NamedKeys;
pub use keys::{KeysConfig, KeysMistake};

/// Port that is taken where `[portal]` names no address.
const DEFAULT_PORT: u16 = 9470;

/// Port that is taken where `[verifier]` names no address.
const DEFAULT_VERIFIER_PORT: u16 = 9472;

/// Most seconds that an answer of the registry may take.
const MAX_TIMEOUT_SECONDS: u16 = 120;

/// Configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[portal]`: the page.
    #[serde(default)]
    pub portal: PageConfig,
    /// `[registry]`: whom the portal asks.
    pub registry: RegistryConfig,
    /// `[keys]`: how pseudonyms are computed.
    pub keys: KeysConfig,
    /// `[identifiers]`: rules for numbers; the same as in the clinics' policies.
    #[serde(default)]
    pub identifiers: IdentifiersConfig,
    /// `[verifier]`: the verifier page, where it is to be served.
    pub verifier: Option<VerifierConfig>,
    /// `[log]`.
    #[serde(default)]
    pub log: LogConfig,
    /// `[listen]`: metrics and health of this process, where wanted.
    pub listen: Option<ListenConfig>,
    /// `[audit]`: log of who ran the portal and how many requests it answered, where wanted.
    pub audit: Option<AuditConfig>,
}

/// `[portal]`: where the page is served, and how often one client may ask.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageConfig {
    /// Address and port. Without `[portal.tls]` and `behind_tls_proxy` it must be a loopback
    /// address.
    pub address: SocketAddr,
    /// True: a proxy in front speaks TLS with the citizens, and names them in X-Forwarded-For.
    pub behind_tls_proxy: bool,
    /// Origin of the page as browsers see it; without it the header Host says it.
    pub origin: Option<String>,
    /// Time zone of the times on paper.
    #[serde(deserialize_with = "zone")]
    pub zone: Tz,
    /// Most requests of one client in an hour.
    pub requests_per_hour: NonZeroU32,
    /// `[portal.tls]`: certificate of the page.
    pub tls: Option<TlsConfig>,
}

/// `[portal.tls]`: certificate of the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the certificate, followed by those of intermediate authorities.
    pub certificate_file: PathBuf,
    /// Key of the certificate, in PEM.
    pub key: SecretSource,
}

/// `[verifier]`: the page that checks passes, with what it fetches. Certificate and proxy are those of
/// `[portal]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierConfig {
    /// Address and port: another one than the portal's, as for the portal.
    #[serde(default = "verifier_address")]
    pub address: SocketAddr,
    /// Folder of the page.
    pub page: PathBuf,
    /// JSON file that names the root key, the issuer and the zone.
    pub root: PathBuf,
}

/// `[registry]`: the registry's interface.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Address of `city-registry portal`.
    #[serde(deserialize_with = "url")]
    pub base_url: Url,
    /// PEM file of the authority of the registry's certificate; then only that one is trusted.
    pub ca_file: Option<PathBuf>,
    /// Certificate that the portal shows.
    pub client_certificate: Option<ClientCertificate>,
    /// Time that one request may take, in seconds (1 to 120).
    #[serde(default = "timeout_seconds", deserialize_with = "seconds")]
    pub timeout_seconds: NonZeroU16,
}

/// Certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// PEM file of the certificate, followed by those of intermediate authorities.
    pub cert_file: PathBuf,
    /// Place of its private key, in PEM.
    pub key: SecretSource,
}

impl Config {
    /// Mistake in `[audit]`, with what to write instead.
    #[must_use]
    pub fn audit_mistake(&self) -> Option<AuditMistake> {
        let page = self.verifier.as_ref().map(|verifier| OtherFolder {
            setting: "verifier.page",
            path: &verifier.page,
        });
        self.audit.as_ref()?.mistake(page.as_slice())
    }

    /// Mistake in `[listen]`, with what to write instead: its address is that of a page.
    #[must_use]
    pub fn listen_mistake(&self) -> Option<(String, &'static str)> {
        let verifier = self.verifier.as_ref();
        let pages = [
            Some((self.portal.address, "portal.address")),
            verifier.map(|verifier| (verifier.address, "verifier.address")),
        ];
        pages.into_iter().flatten().find_map(|(address, name)| {
            shared_address_mistake(self.listen.as_ref(), "listen.address", address, name)
        })
    }

    /// Mistake in `[verifier]`, with what to write instead: it has an address of its own, which other
    /// machines reach by TLS only.
    #[must_use]
    pub fn verifier_mistake(&self) -> Option<(String, &'static str)> {
        let address = self.verifier.as_ref()?.address;
        if address == self.portal.address {
            return Some((
                format!("verifier.address is {address}, which is portal.address too"),
                "write another port: whoever checks passes shares no origin with citizens",
            ));
        }
        let is_safe = self.portal.tls.is_some() || self.portal.behind_tls_proxy;
        if is_safe || address.ip().is_loopback() {
            return None;
        }
        let what = format!(
            "verifier.address is {address}, which other machines reach, and there is no \
             [portal.tls]: browsers give a page no camera without TLS"
        );
        Some((
            what,
            "write [portal.tls], or a loopback address such as 127.0.0.1:9472",
        ))
    }
}

impl RegistryConfig {
    /// Registry on this machine, asked without TLS.
    ///
    /// # Panics
    /// Never: an address always makes a URL.
    #[must_use]
    pub fn on_this_machine(address: SocketAddr) -> Self {
        let base_url = format!("http://{address}/");
        Self {
            base_url: base_url.parse().expect("an address makes a URL"),
            ca_file: None,
            client_certificate: None,
            timeout_seconds: timeout_seconds(),
        }
    }
}

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            behind_tls_proxy: false,
            origin: None,
            zone: Tz::Europe__Moscow,
            requests_per_hour: NonZeroU32::new(120).expect("120 is not zero"),
            tls: None,
        }
    }
}

impl PageConfig {
    /// Mistake in the section as a whole, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(String, &'static str)> {
        if self.tls.is_some() && self.behind_tls_proxy {
            return Some((
                "portal.behind_tls_proxy and [portal.tls] exclude each other".to_owned(),
                "leave out the one that is not so",
            ));
        }
        if self.behind_tls_proxy && self.origin.is_none() {
            return Some((
                "portal.behind_tls_proxy needs portal.origin".to_owned(),
                "write the page's address as browsers see it, such as origin = \
                 \"https://passes.example\"",
            ));
        }
        if self.tls.is_some() || self.behind_tls_proxy || self.address.ip().is_loopback() {
            return None;
        }
        let what = format!(
            "portal.address is {}, which other machines reach, and there is no [portal.tls]: \
             identifiers would travel readable",
            self.address
        );
        Some((
            what,
            "write [portal.tls], or a loopback address such as 127.0.0.1:9470, or \
             behind_tls_proxy = true where a proxy speaks TLS with the citizens",
        ))
    }
}

const fn verifier_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_VERIFIER_PORT)
}

const fn timeout_seconds() -> NonZeroU16 {
    NonZeroU16::new(10).expect("10 is not zero")
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU16, D::Error> {
    let seconds = NonZeroU16::deserialize(deserializer)?;
    if seconds.get() > MAX_TIMEOUT_SECONDS {
        return Err(D::Error::custom("timeout_seconds is 1 to 120"));
    }
    Ok(seconds)
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text is not repeated: it could hold a password.
    Url::parse(&text).map_err(|_| D::Error::custom("no URL; write https://HOST[:PORT]"))
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    Tz::from_str(&name)
        .map_err(|_| D::Error::custom("no time zone is called so; write one such as Europe/Moscow"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_reach_the_page_by_tls_only() {
        let at = |address: &str| PageConfig {
            address: address.parse().expect("an address"),
            ..PageConfig::default()
        };
        for address in ["127.0.0.1:1", "[::1]:1"] {
            assert_eq!(at(address).mistake(), None);
        }
        let (what, help) = at("0.0.0.0:1").mistake().expect("a mistake");
        assert!(what.contains("0.0.0.0:1") && help.contains("[portal.tls]"));
        let behind = PageConfig {
            behind_tls_proxy: true,
            ..at("0.0.0.0:1")
        };
        let (what, _) = behind.mistake().expect("a mistake");
        assert!(what.contains("portal.origin"));
        let told = PageConfig {
            origin: Some("https://passes.example".to_owned()),
            ..behind
        };
        assert_eq!(told.mistake(), None);
        let both = PageConfig {
            tls: Some(TlsConfig {
                certificate_file: "a".into(),
                key: SecretSource::File("b".into()),
            }),
            ..told
        };
        assert!(both.mistake().is_some());
    }
}

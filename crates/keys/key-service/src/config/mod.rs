//! Configuration of the key service, `key-service.toml`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use client_door::{Fingerprint, SettingNames, TlsConfig, open_address_mistake};
use oprf::{MAX_ELEMENTS, TokenUse};
use serde::{Deserialize, Serialize};
use settings::{SecretSource, is_config_folder};
use telemetry::{ListenConfig, LogConfig, shared_address_mistake};

/// Most keys in use at once: an old and a new one while they are rotated, and some to spare.
pub const MAX_KEYS: usize = 4;
/// Most clients.
pub const MAX_CLIENTS: usize = 256;
/// Longest name of a client, in characters.
pub const MAX_CLIENT_NAME: usize = 32;
/// Least daily ceiling of a client, in elements: one request of the larger size.
pub const LEAST_CEILING: u32 = 256;
const _: () = assert!(LEAST_CEILING as usize == MAX_ELEMENTS);

/// Port that is taken where `[service]` names no address.
const DEFAULT_PORT: u16 = 9480;

/// Names of the settings of the interface's address, for messages.
pub(crate) const SETTING_NAMES: SettingNames = SettingNames {
    address: "service.listen",
    tls: "service.tls",
};

/// Configuration file of the key service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[service]`: address and folders.
    #[serde(default)]
    pub service: ServiceConfig,
    /// `[[keys]]`: keys that pseudonyms are evaluated under, 1 to [`MAX_KEYS`]; none where there
    /// are `token_keys`.
    #[serde(default)]
    pub keys: Vec<KeyConfig>,
    /// `[[token_keys]]`: keys that tokens are issued under, 1 to [`MAX_KEYS`]; none where there are
    /// `keys`.
    #[serde(default)]
    pub token_keys: Vec<TokenKeyConfig>,
    /// `[[clients]]`: who is answered, 1 to [`MAX_CLIENTS`].
    pub clients: Vec<ClientConfig>,
    /// `[log]`: form and filter of the log.
    #[serde(default)]
    pub log: LogConfig,
    /// `[listen]`: metrics and health, where wanted.
    #[serde(default)]
    pub listen: Option<ListenConfig>,
}

/// `[service]`: where clients connect to, and what the service writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Address and port of the interface. Without `[service.tls]` it must be a loopback address.
    pub listen: SocketAddr,
    /// Folder of the counts. Whoever loses it gives every client a day's ceiling anew.
    pub state: PathBuf,
    /// Folder of the audit log.
    pub audit: PathBuf,
    /// `[service.tls]`: certificates of both sides.
    pub tls: Option<TlsConfig>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            state: "state".into(),
            audit: "audit".into(),
            tls: None,
        }
    }
}

/// Entry of `[[keys]]`: a key and the number that requests name it by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// Number of the key, from 1. A number never names another key later.
    pub number: u16,
    /// Place of the private key, `cgok1:…`.
    pub key: SecretSource,
    /// Setting of `[[token_keys]]`: a mistake here, which is told with the place to write it.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub token_use: Option<String>,
}

/// Entry of `[[token_keys]]`: a key of a token issuer and the number that requests name it by.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyConfig {
    /// Number of the key, from 1. A number never names another key later.
    pub number: u16,
    /// Place of the private key, `cgtk1:…`.
    pub key: SecretSource,
    /// The thing that its tokens are good for.
    #[serde(rename = "use")]
    pub token_use: TokenUseName,
}

/// Use of a key's tokens, as the configuration and the command line name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum TokenUseName {
    /// One sealed batch each; a client has as many a UTC day as its ceiling lets.
    Batch,
    /// A sign of life: a client has one a UTC day.
    Day,
}

impl From<TokenUseName> for TokenUse {
    fn from(name: TokenUseName) -> Self {
        match name {
            TokenUseName::Batch => Self::Batch,
            TokenUseName::Day => Self::Day,
        }
    }
}

/// Entry of `[[clients]]`: who is answered, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Name in the metrics, the audit log and the counts: 1 to [`MAX_CLIENT_NAME`] of a-z, 0-9
    /// and -. A client that is named anew is another client.
    pub name: String,
    /// SHA-256 of the client's certificate. Without `[service.tls]` there is none: the one client
    /// is whatever program of this machine connects.
    #[serde(default)]
    pub certificate_fingerprint: Option<Fingerprint>,
    /// Most elements in a UTC day, the fill of requests included; from [`LEAST_CEILING`].
    pub daily_ceiling: u32,
}

impl Config {
    /// Mistake that the types cannot express, with what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(String, String)> {
        let service = &self.service;
        open_address_mistake(service.listen, service.tls.as_ref(), SETTING_NAMES)
            .or_else(|| self.metrics_mistake())
            .or_else(|| self.folders_mistake())
            .or_else(|| self.keys_mistake())
            .or_else(|| self.clients_mistake())
            .or_else(|| self.identity_mistake())
    }

    fn metrics_mistake(&self) -> Option<(String, String)> {
        let listen = self.listen.as_ref();
        let address = self.service.listen;
        let (what, help) =
            shared_address_mistake(listen, "listen.address", address, SETTING_NAMES.address)?;
        mistake(what, help)
    }

    fn folders_mistake(&self) -> Option<(String, String)> {
        if is_config_folder(&self.service.audit) {
            return mistake(
                "service.audit is the folder of the configuration file",
                "give the audit log a folder of its own, such as \"audit\"",
            );
        }
        if self
            .service
            .state
            .components()
            .ne(self.service.audit.components())
        {
            return None;
        }
        mistake(
            "service.state and service.audit are one folder",
            "give each a folder of its own; the audit log is checked whole at every start",
        )
    }

    fn keys_mistake(&self) -> Option<(String, String)> {
        if !self.keys.is_empty() && !self.token_keys.is_empty() {
            return mistake(
                "there are [[keys]] and [[token_keys]], and a service has keys of one kind",
                "write [[keys]] for a service of pseudonyms, or [[token_keys]] for an issuer of \
                 tokens; for both, run two services on two machines",
            );
        }
        if let Some(key) = self.keys.iter().find(|key| key.token_use.is_some()) {
            return mistake(
                format!("key {} of [[keys]] has the setting use", key.number),
                "keys of pseudonyms have no use; a key of a token issuer stands in [[token_keys]]",
            );
        }
        let numbers = self.keys.iter().map(|key| key.number);
        let is_of_batches = |key: &TokenKeyConfig| key.token_use == TokenUseName::Batch;
        if !self.token_keys.is_empty() && !self.token_keys.iter().any(is_of_batches) {
            return mistake(
                "there is no key with use = \"batch\" among [[token_keys]]",
                "write one; a gateway that got no token of a batch could send nothing",
            );
        }
        let numbers = numbers.chain(self.token_keys.iter().map(|key| key.number));
        let count = numbers.clone().count();
        if count == 0 || count > MAX_KEYS {
            return mistake(
                format!("there are {count} [[keys]] and [[token_keys]]"),
                format!("write 1 to {MAX_KEYS} of one of them"),
            );
        }
        let numbers: BTreeSet<u16> = numbers.collect();
        if numbers.len() < count || numbers.contains(&0) {
            return mistake(
                "two keys have the same number, or one has the number 0",
                "give every key a number of its own from 1 to 65535; a number never names another \
                 key later",
            );
        }
        None
    }

    fn clients_mistake(&self) -> Option<(String, String)> {
        if self.clients.is_empty() || self.clients.len() > MAX_CLIENTS {
            return mistake(
                format!("there are {} [[clients]]", self.clients.len()),
                format!("write 1 to {MAX_CLIENTS} of them"),
            );
        }
        if !self.clients.iter().all(|client| is_name(&client.name)) {
            return mistake(
                "the name of one of the [[clients]] is not of the form that metrics and files take",
                format!("write 1 to {MAX_CLIENT_NAME} of a-z, 0-9 and -"),
            );
        }
        let names: BTreeSet<&str> = self.clients.iter().map(|it| it.name.as_str()).collect();
        if names.len() < self.clients.len() {
            return mistake(
                "two [[clients]] have the same name",
                "give every client a name of its own",
            );
        }
        let is_low = |client: &&ClientConfig| client.daily_ceiling < LEAST_CEILING;
        let low = self.clients.iter().find(is_low)?;
        mistake(
            format!("the daily_ceiling of the client {} is too low", low.name),
            format!("write {LEAST_CEILING}, which is one request of the larger size, or more"),
        )
    }

    /// Mistake in who the clients are: certificates with TLS, the programs of this machine without.
    fn identity_mistake(&self) -> Option<(String, String)> {
        let shown = self.clients.iter().map(|it| it.certificate_fingerprint);
        if self.service.tls.is_none() {
            if self.clients.len() == 1 && shown.flatten().next().is_none() {
                return None;
            }
            return mistake(
                "without [service.tls] no client shows a certificate",
                "write [service.tls]; or, for trials on one machine, one of [[clients]] without \
                 certificate_fingerprint",
            );
        }
        let fingerprints: Option<BTreeSet<Fingerprint>> = shown.collect();
        match fingerprints {
            None => mistake(
                "one of the [[clients]] has no certificate_fingerprint",
                "write the SHA-256 of its certificate, as printed by: openssl x509 -in FILE -noout \
                 -fingerprint -sha256",
            ),
            Some(distinct) if distinct.len() < self.clients.len() => mistake(
                "two [[clients]] have the same certificate_fingerprint",
                "give every client a certificate of its own, or make them one client",
            ),
            Some(_) => None,
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_CLIENT_NAME).contains(&name.len()) && name.bytes().all(fits)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every caller returns an optional mistake"
)]
fn mistake(what: impl Into<String>, help: impl Into<String>) -> Option<(String, String)> {
    Some((what.into(), help.into()))
}

#[cfg(test)]
mod tests;

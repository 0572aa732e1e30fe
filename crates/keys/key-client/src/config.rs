//! Configuration of key services: what an administrator writes, and its defaults.

use std::num::NonZeroU16;
use std::path::PathBuf;

use oprf::PublicKey;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settings::SecretSource;
use url::Url;

use crate::limits::{DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS};

/// The key services, in the order in which they are asked; 1 to 4, each of another operator. What
/// they make of an identifier does not depend on the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KeyServicesConfig(pub Vec<KeyServiceConfig>);

/// One key service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyServiceConfig {
    /// Address of the key service, `https://HOST[:PORT]`; `http://` for this machine alone.
    #[serde(deserialize_with = "read_url", serialize_with = "write_url")]
    #[schemars(with = "String")]
    pub url: Url,
    /// A PEM file with the authority of the service's certificate; then only that one is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to the service, then any intermediate ones.
    /// Needed with `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Place where the private key (PEM) of `certificate` is to be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretSource>,
    /// The service's public key for each open pseudonym epoch, as its operator has told it.
    pub public_keys: Vec<PinnedKeyConfig>,
    /// Time that one request may take from connecting to the last byte, in seconds (1 to 120).
    #[serde(default = "timeout_seconds", deserialize_with = "read_seconds")]
    pub timeout_seconds: NonZeroU16,
}

/// Way to a key service or a token issuer.
#[derive(Clone, Copy)]
pub(crate) struct ConnectionConfig<'a> {
    pub(crate) url: &'a Url,
    pub(crate) ca_file: Option<&'a PathBuf>,
    pub(crate) certificate: Option<&'a PathBuf>,
    pub(crate) private_key: Option<&'a SecretSource>,
    pub(crate) timeout_seconds: NonZeroU16,
}

impl KeyServiceConfig {
    pub(crate) fn connection(&self) -> ConnectionConfig<'_> {
        ConnectionConfig {
            url: &self.url,
            ca_file: self.ca_file.as_ref(),
            certificate: self.certificate.as_ref(),
            private_key: self.private_key.as_ref(),
            timeout_seconds: self.timeout_seconds,
        }
    }
}

/// Public key that a key service has to prove its evaluations with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedKeyConfig {
    /// The city's pseudonym epoch that the key serves.
    pub epoch: NonZeroU16,
    /// The service's own number of the key.
    pub key: NonZeroU16,
    /// The public key, `cgov1:` and 43 characters.
    #[serde(
        deserialize_with = "read_public_key",
        serialize_with = "write_public_key"
    )]
    #[schemars(with = "String")]
    pub public_key: PublicKey,
}

pub(crate) const fn timeout_seconds() -> NonZeroU16 {
    DEFAULT_TIMEOUT_SECONDS
}

pub(crate) fn read_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<NonZeroU16, D::Error> {
    let seconds = NonZeroU16::deserialize(deserializer)?;
    if seconds.get() > MAX_TIMEOUT_SECONDS {
        return Err(D::Error::custom("timeout_seconds is 1 to 120"));
    }
    Ok(seconds)
}

pub(crate) fn read_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text is not repeated: it could hold a password.
    Url::parse(text.trim()).map_err(|_| D::Error::custom("no URL; write https://HOST[:PORT]"))
}

pub(crate) fn write_url<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

fn read_public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
    // The text is not repeated: it could be a private key.
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

fn write_public_key<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

//! Configuration of a token issuer: what an administrator writes, and what must hold in it.

use std::num::NonZeroU16;
use std::path::PathBuf;

use oprf::TokenPublicKey;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settings::SecretSource;
use url::Url;

use crate::config::{ConnectionConfig, read_seconds, read_url, timeout_seconds, write_url};
use crate::error::KeyConfigMistake;
use crate::rules;

/// Issuer of one-use tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenIssuerConfig {
    /// Address of the token issuer, `https://HOST[:PORT]`; `http://` for this machine alone.
    #[serde(deserialize_with = "read_url", serialize_with = "write_url")]
    #[schemars(with = "String")]
    pub url: Url,
    /// A PEM file with the authority of the issuer's certificate; then only that one is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to the issuer, then any intermediate ones.
    /// Needed with `https://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Place where the private key (PEM) of `certificate` is to be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretSource>,
    /// Time that one request may take from connecting to the last byte, in seconds (1 to 120).
    #[serde(default = "timeout_seconds", deserialize_with = "read_seconds")]
    pub timeout_seconds: NonZeroU16,
    /// Key of the tokens of which one is spent for each batch.
    pub batch: PinnedTokenKeyConfig,
    /// Key of the tokens that say once a day that this gateway is alive; absent: none is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<PinnedTokenKeyConfig>,
}

/// Public key that a token issuer has to prove its answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedTokenKeyConfig {
    /// The issuer's own number of the key.
    pub key: NonZeroU16,
    /// The public key, `cgtv1:` and 43 characters.
    #[serde(
        deserialize_with = "read_public_key",
        serialize_with = "write_public_key"
    )]
    #[schemars(with = "String")]
    pub public_key: TokenPublicKey,
}

impl TokenIssuerConfig {
    /// Checks what must hold, without reading a file.
    ///
    /// # Errors
    /// [`KeyConfigMistake`]: the first one.
    pub fn check(&self) -> Result<(), KeyConfigMistake> {
        rules::check_connection(&self.label(), &self.connection())?;
        let Some(day) = self.day else {
            return Ok(());
        };
        if day.key == self.batch.key || day.public_key == self.batch.public_key {
            return Err(KeyConfigMistake::new(
                "batch and day name one key",
                "ask the issuer's operator for the number and the public key of each: a key is for \
                 batches or for days",
            ));
        }
        Ok(())
    }

    /// The issuer in a sentence about its settings.
    pub(super) fn label(&self) -> String {
        format!("the token issuer ({})", rules::name(&self.url))
    }

    pub(super) fn connection(&self) -> ConnectionConfig<'_> {
        ConnectionConfig {
            url: &self.url,
            ca_file: self.ca_file.as_ref(),
            certificate: self.certificate.as_ref(),
            private_key: self.private_key.as_ref(),
            timeout_seconds: self.timeout_seconds,
        }
    }
}

fn read_public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenPublicKey, D::Error> {
    // The text is not repeated: it could be a private key.
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

fn write_public_key<S: Serializer>(key: &TokenPublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

//! The settings of a login at a token endpoint: OAuth2 client credentials, and SMART Backend
//! Services.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settings::SecretSource;
use url::Url;

use crate::web_address::web_address;

/// OAuth2 client credentials with a secret (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Id under which the token endpoint knows the gateway.
    pub client_id: String,
    /// Place where the client's secret is to be found. It is read again for every token.
    pub client_secret: SecretSource,
    /// Way in which the secret is sent.
    #[serde(default)]
    pub method: SecretMethod,
    /// Address that gives out tokens; absent: the one that the FHIR server names.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "token_endpoint",
        serialize_with = "url_text"
    )]
    #[schemars(with = "Option<String>")]
    pub token_endpoint: Option<Url>,
    /// Scopes to ask for, with blanks between them; absent: what the token endpoint gives anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Way in which a client's secret is sent to the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretMethod {
    /// In the Authorization header.
    #[default]
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

/// SMART Backend Services: a signed JWT in place of a secret (RFC 7523; SMART App Launch 2,
/// "Backend Services").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmartBackend {
    /// Id under which the token endpoint knows the gateway.
    pub client_id: String,
    /// Place where the private key (PEM) is to be found: RSA signs with RS384, P-384 with ES384. It
    /// is read again for every token.
    pub key: SecretSource,
    /// Id of that key (`kid`) in the key set that was registered.
    pub key_id: String,
    /// Address that gives out tokens; absent: the one that the FHIR server names.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "token_endpoint",
        serialize_with = "url_text"
    )]
    #[schemars(with = "Option<String>")]
    pub token_endpoint: Option<Url>,
    /// Scopes to ask for, with blanks between them; absent: `system/TYPE.read` of what the feeds
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// Parses the address of a token endpoint. The error never quotes it.
fn token_endpoint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = web_address(&text, "put the client's secret into client_secret")
        .map_err(serde::de::Error::custom)?;
    if url.fragment().is_some() {
        return Err(serde::de::Error::custom(
            "the token endpoint ends before any #",
        ));
    }
    Ok(Some(url))
}

fn url_text<S: Serializer>(url: &Option<Url>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.collect_str(url),
        None => serializer.serialize_none(),
    }
}

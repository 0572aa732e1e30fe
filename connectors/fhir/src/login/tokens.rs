//! Asks a token endpoint for tokens.

use std::path::{Path, PathBuf};

use az::SaturatingAs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use connector_kit::{Feed, SourceError};
use reqwest::Client;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret as _, SecretString};
use url::{Url, form_urlencoded};

use super::answer::{self, GivenToken, LoginWay, TokenRefusal};
use super::assertion::{Assertion, SigningKey};
use super::discovery::{self, Named, NamedIn};
use super::settings::{ClientCredentials, SecretMethod, SmartBackend};
use crate::bounds;
use crate::config::FhirConfig;
use crate::credentials::secret;
use crate::fact::resource_type;
use crate::http::{bounded_body, header_text};
use crate::refusal::{HttpRefusal, http_date, retry_after};
use crate::transport_error::{self, Peer};

/// The largest answer of a token endpoint.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Type of a client's assertion (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Settings of a login at a token endpoint.
pub(super) enum TokenSettings {
    Secret(ClientCredentials),
    Assertion(SmartBackend),
}

/// A client of a token endpoint.
pub(super) struct TokenClient {
    /// For the token endpoint: follows no redirect.
    client: Client,
    /// For what the FHIR server says of its token endpoint.
    fhir_client: Client,
    settings: TokenSettings,
    folder: PathBuf,
    base: Url,
    allow_plain_http: bool,
    max_body_bytes: usize,
    /// Types of the resources that are read.
    types: Vec<&'static str>,
}

/// What is sent to a token endpoint.
struct TokenRequest {
    /// Value of the Authorization header, if there is one.
    authorization: Option<SecretString>,
    form: SecretString,
}

impl TokenClient {
    pub(super) fn new(
        config: &FhirConfig,
        settings: TokenSettings,
        folder: &Path,
        client: Client,
        fhir_client: Client,
    ) -> Result<Self, SourceError> {
        let types = Feed::ALL
            .into_iter()
            .filter(|feed| config.reads(*feed))
            .map(resource_type);
        let tokens = Self {
            client,
            fhir_client,
            settings,
            folder: folder.to_owned(),
            base: config.base_url.clone(),
            allow_plain_http: config.allow_plain_http,
            max_body_bytes: config.max_body_bytes.saturating_as(),
            types: types.chain(["Patient"]).collect(),
        };
        tokens.settings.check()?;
        if let Some(endpoint) = tokens.settings.endpoint() {
            tokens.check_way(endpoint, None)?;
        }
        tokens.read_secret()?;
        Ok(tokens)
    }

    /// What shows who asks, in words.
    pub(super) fn way(&self) -> Result<String, SourceError> {
        Ok(match &self.settings {
            TokenSettings::Secret(settings) => format!(
                "OAuth2 client credentials ({})",
                match settings.method {
                    SecretMethod::ClientSecretBasic => "client_secret_basic",
                    SecretMethod::ClientSecretPost => "client_secret_post",
                }
            ),
            TokenSettings::Assertion(settings) => format!(
                "SMART Backend Services (private_key_jwt, {}, kid {})",
                SigningKey::read(&self.read_secret()?)?.algorithm(),
                settings.key_id
            ),
        })
    }

    /// The configured token endpoint, or the one that the FHIR server names.
    pub(super) async fn endpoint(&self) -> Result<TokenEndpoint, HttpRefusal> {
        if let Some(endpoint) = self.settings.endpoint() {
            return Ok(TokenEndpoint {
                url: endpoint.clone(),
                named_in: None,
                scope: self.settings.scope(&self.types, false),
            });
        }
        let named = self.discover().await?;
        self.check_way(&named.endpoint, Some(named.named_in))?;
        Ok(TokenEndpoint {
            scope: self.settings.scope(&self.types, named.only_second_scopes),
            url: named.endpoint,
            named_in: Some(named.named_in),
        })
    }

    /// Asks for a token. The secret is read now, so that one that was rotated counts.
    pub(super) async fn ask(
        &self,
        endpoint: &TokenEndpoint,
        now: DateTime<Utc>,
    ) -> Result<GivenToken, HttpRefusal> {
        let asked = self.request(endpoint, now)?;
        let mut request = self
            .client
            .post(endpoint.url.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(asked.form.expose_secret().to_owned());
        if let Some(authorization) = &asked.authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret())
                .map_err(|_| SourceError::retry("a login that is no header"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let failed = |error| transport_error::refusal(&error, Peer::TokenEndpoint);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let date = header_text(response.headers().get(DATE)).and_then(http_date);
        let after = header_text(response.headers().get(RETRY_AFTER))
            .and_then(|text| retry_after(text, date.unwrap_or(now)));
        let body = bounded_body(response, MAX_ANSWER_BYTES)
            .await
            .map_err(failed)?;
        if status == StatusCode::OK {
            let body = body.ok_or_else(too_large)?;
            return Ok(answer::token(body, now)?);
        }
        Err(answer::refusal(&TokenRefusal {
            status: status.as_u16(),
            body: body.as_deref().unwrap_or_default(),
            retry_after: after,
            date,
            now,
            way: self.settings.way(),
        }))
    }

    fn request(
        &self,
        endpoint: &TokenEndpoint,
        now: DateTime<Utc>,
    ) -> Result<TokenRequest, SourceError> {
        let secret = self.read_secret()?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &endpoint.scope {
            form.append_pair("scope", scope);
        }
        let mut authorization = None;
        match &self.settings {
            TokenSettings::Secret(settings) => match settings.method {
                SecretMethod::ClientSecretBasic => {
                    authorization = Some(basic(&settings.client_id, &secret));
                }
                SecretMethod::ClientSecretPost => {
                    form.append_pair("client_id", &settings.client_id);
                    form.append_pair("client_secret", secret.expose_secret());
                }
            },
            TokenSettings::Assertion(settings) => {
                let assertion = SigningKey::read(&secret)?.sign(&Assertion {
                    client_id: &settings.client_id,
                    key_id: &settings.key_id,
                    audience: endpoint.url.as_str(),
                    now,
                })?;
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", assertion.expose_secret());
            }
        }
        Ok(TokenRequest {
            authorization,
            form: form.finish().into(),
        })
    }

    fn read_secret(&self) -> Result<SecretString, SourceError> {
        match &self.settings {
            TokenSettings::Secret(settings) => secret(
                &settings.client_secret,
                &self.folder,
                "auth.client-credentials.client_secret",
            ),
            TokenSettings::Assertion(settings) => {
                let key = secret(&settings.key, &self.folder, "auth.smart-backend.key")?;
                SigningKey::read(&key)?;
                Ok(key)
            }
        }
    }

    /// Reads what the FHIR server says of its token endpoint. No credentials are sent.
    async fn discover(&self) -> Result<Named, HttpRefusal> {
        let found = self
            .document(".well-known/smart-configuration", MAX_ANSWER_BYTES)
            .await?;
        if let Some(named) = found.and_then(|body| discovery::of_smart_configuration(&body)) {
            return Ok(named);
        }
        let found = self.document("metadata", self.max_body_bytes).await?;
        found
            .and_then(|body| discovery::of_capability_statement(&body))
            .ok_or_else(|| {
                SourceError::misconfigured(
                    "no token endpoint is configured, and the FHIR server names none, neither in \
                     .well-known/smart-configuration nor in its capability statement",
                    "write token_endpoint = \"https://…\" under auth",
                )
                .into()
            })
    }

    /// A document of the FHIR server's, relative to its base address; `None` where it has none.
    async fn document(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, HttpRefusal> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        let failed = |error| transport_error::refusal(&error, Peer::FhirServer);
        let response = self
            .fhir_client
            .get(url)
            .header(ACCEPT, "application/json, application/fhir+json;q=0.9")
            .send()
            .await
            .map_err(failed)?;
        let status = response.status().as_u16();
        match status {
            200 => Ok(bounded_body(response, limit).await.map_err(failed)?),
            408 | 429 | 500.. => Err(HttpRefusal {
                status: None,
                is_brief: true,
                error: SourceError::retry(format!(
                    "the FHIR server does not say where its token endpoint is ({status})"
                )),
            }),
            _ => Ok(None),
        }
    }

    /// Refuses a way to the token endpoint that anybody can read.
    fn check_way(&self, endpoint: &Url, named_in: Option<NamedIn>) -> Result<(), SourceError> {
        if !bounds::is_plain_way(endpoint) || self.allow_plain_http {
            return Ok(());
        }
        let (what, help) = match named_in {
            None => (
                "token_endpoint is plain http to another machine: the login would travel \
                 readable"
                    .to_owned(),
                "use https, or set allow_plain_http = true where the way there is protected \
                 otherwise",
            ),
            Some(named_in) => (
                format!(
                    "the token endpoint that {} names is not https: the login would travel \
                     readable",
                    named_in.words()
                ),
                "write token_endpoint = \"https://…\" under auth, or have the server mended",
            ),
        };
        Err(SourceError::misconfigured(what, help))
    }
}

/// Place and scopes of a login.
pub(super) struct TokenEndpoint {
    pub url: Url,
    /// Document that names it; `None` where it is configured.
    pub named_in: Option<NamedIn>,
    scope: Option<String>,
}

impl TokenSettings {
    fn endpoint(&self) -> Option<&Url> {
        match self {
            Self::Secret(settings) => settings.token_endpoint.as_ref(),
            Self::Assertion(settings) => settings.token_endpoint.as_ref(),
        }
    }

    const fn way(&self) -> LoginWay {
        match self {
            Self::Secret(_) => LoginWay::Secret,
            Self::Assertion(_) => LoginWay::Assertion,
        }
    }

    /// The scopes to ask for. SMART Backend Services wants some, RFC 6749 does not.
    fn scope(&self, types: &[&str], only_second: bool) -> Option<String> {
        let configured = match self {
            Self::Secret(settings) => return settings.scope.clone(),
            Self::Assertion(settings) => settings.scope.clone(),
        };
        let right = if only_second { "rs" } else { "read" };
        let scopes = types.iter().map(|kind| format!("system/{kind}.{right}"));
        Some(configured.unwrap_or_else(|| scopes.collect::<Vec<_>>().join(" ")))
    }

    /// Refuses names that no token endpoint could take.
    fn check(&self) -> Result<(), SourceError> {
        let (client_id, key_id, scope) = match self {
            Self::Secret(settings) => (&settings.client_id, None, &settings.scope),
            Self::Assertion(settings) => {
                (&settings.client_id, Some(&settings.key_id), &settings.scope)
            }
        };
        let is_name = |text: &str| {
            !text.trim().is_empty() && text.len() <= 1024 && !text.contains(char::is_control)
        };
        let named = [("client_id", Some(client_id)), ("key_id", key_id)];
        for (setting, text) in named {
            if text.is_some_and(|text| !is_name(text)) {
                return Err(SourceError::misconfigured(
                    format!("{setting} under auth is empty, or no name"),
                    "write it as it is registered at the token endpoint",
                ));
            }
        }
        let is_scope = |byte: u8| matches!(byte, b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope
            .as_ref()
            .is_some_and(|scope| scope.trim().is_empty() || !scope.bytes().all(is_scope))
        {
            return Err(SourceError::misconfigured(
                "scope under auth is empty, or has characters that RFC 6749 forbids",
                "write scopes with blanks between them, or leave the line out",
            ));
        }
        Ok(())
    }
}

/// The Authorization header of a client (RFC 6749, section 2.3.1: both parts are form-encoded).
fn basic(client_id: &str, client_secret: &SecretString) -> SecretString {
    let encode =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let mut both = format!(
        "{}:{}",
        encode(client_id),
        encode(client_secret.expose_secret())
    );
    let value = format!("Basic {}", STANDARD.encode(&both));
    both.zeroize();
    value.into()
}

fn too_large() -> HttpRefusal {
    SourceError::misconfigured(
        format!("the token endpoint's answer is larger than {MAX_ANSWER_BYTES} bytes"),
        "correct token_endpoint under auth",
    )
    .into()
}

//! Bounded GET requests: authentication, redirects within the host only, a limit on the body, and
//! refusals in words.

use std::path::Path;
use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, ClientBuilder, Response, StatusCode, redirect};
use url::{Origin, Url};

use crate::config::FhirConfig;
use crate::credentials;
use crate::login::{Login, Presented};
use crate::outcome;
use crate::patience::Patience;
use crate::refusal::{Ask, HttpRefusal, error_of_status, http_date, retry_after};
use crate::transport_error::RedirectFault;

/// Redirects followed in a row, within the host.
const MAX_REDIRECTS: usize = 3;
/// The most that is read of a refusal for its OperationOutcome.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// Content types asked for.
const ACCEPTED: &str = "application/fhir+json, application/json;q=0.9";

/// A successful answer.
pub(crate) struct Reply {
    /// The server's clock, if it tells.
    pub date: Option<DateTime<Utc>>,
    /// The whole body, within the cap.
    pub body: Vec<u8>,
}

/// The HTTP client of one source.
pub(crate) struct Http {
    client: Client,
    /// What requests present.
    pub login: Login,
    max_body_bytes: usize,
    patience: Patience,
}

impl Http {
    /// Builds the client; secrets and certificate files are read now, relative to `folder`.
    pub(crate) fn new(config: &FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        // Ignored on purpose: the program around us may have installed a provider already, and then
        // that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = redirects_within(config.base_url.origin());
        let builder = Client::builder().https_only(config.base_url.scheme() == "https");
        let client = finish(builder.redirect(policy), config, folder)?;
        let for_tokens = || client_of_tokens(config, folder);
        Ok(Self {
            login: Login::new(config, folder, for_tokens, &client)?,
            client,
            max_body_bytes: config.max_body_bytes.saturating_as(),
            patience: Patience::default(),
        })
    }

    /// Gets one JSON answer. A failure that may pass within moments is tried again a few times.
    /// `now` is only used to read a Retry-After given as a date.
    pub(crate) async fn get(
        &self,
        url: Url,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Reply, HttpRefusal> {
        let mut pauses = self.patience.pauses();
        loop {
            let refused = match self.try_get(url.clone(), ask, now).await {
                Ok(reply) => {
                    self.patience.note_answer();
                    return Ok(reply);
                }
                Err(refused) => refused,
            };
            let Some(pause) = pauses.before_next_try(&refused) else {
                if refused.is_brief {
                    self.patience.note_exhausted();
                }
                return Err(refused);
            };
            tracing::debug!(
                status = refused.status,
                ?pause,
                "a request to the FHIR server is made again"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_get(&self, url: Url, ask: Ask, now: DateTime<Utc>) -> Result<Reply, HttpRefusal> {
        let presented = self.login.present(now).await?;
        let mut response = self.send(url.clone(), &presented).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            presented.note_accepted();
        } else if let Some(renewed) = self.login.renew(&presented, now).await? {
            response = self.send(url, &renewed).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                renewed.note_accepted();
            }
        }
        self.judge(response, ask, now).await
    }

    async fn send(&self, url: Url, presented: &Presented) -> Result<Response, HttpRefusal> {
        // A default HAPI server answers an identical search from a result up to a minute old, by
        // which a record that has just been written would be missing.
        let request = self
            .client
            .get(url)
            .header(ACCEPT, ACCEPTED)
            .header(CACHE_CONTROL, "no-cache");
        Ok(presented.apply(request).send().await?)
    }

    async fn judge(
        &self,
        response: Response,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Reply, HttpRefusal> {
        let status = response.status();
        let date = header_text(response.headers().get(DATE)).and_then(http_date);
        if status == StatusCode::OK {
            let json = is_json(response.headers());
            let body = self.body(response).await?;
            if !json {
                return Err(not_fhir(&body).into());
            }
            return Ok(Reply { date, body });
        }
        let after = header_text(response.headers().get(RETRY_AFTER))
            .and_then(|text| retry_after(text, date.unwrap_or(now)));
        let words = refusal_words(response).await;
        Err(HttpRefusal {
            status: Some(status.as_u16()),
            is_brief: matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504),
            error: error_of_status(status, ask, after, words.as_deref()),
        })
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, HttpRefusal> {
        let Some(mut body) = bounded_body(response, self.max_body_bytes).await? else {
            return Err(SourceError::misconfigured(
                format!(
                    "the FHIR server's answer is larger than {} bytes",
                    self.max_body_bytes
                ),
                "have pages made smaller (the gateway's page size, or the server's) or raise \
                 max_body_bytes",
            )
            .into());
        };
        drop_bom(&mut body);
        Ok(body)
    }
}

/// The whole body of an answer; `None` for one that is larger than the limit.
pub(crate) async fn bounded_body(
    mut response: Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Takes a byte order mark off, which JSON must not have (RFC 8259 section 8.1) and some servers
/// write.
fn drop_bom(body: &mut Vec<u8>) {
    if body.starts_with(b"\xef\xbb\xbf") {
        body.drain(..3);
    }
}

/// The client for a token endpoint. It follows no redirect: the login would travel along.
fn client_of_tokens(config: &FhirConfig, folder: &Path) -> Result<Client, SourceError> {
    let builder = Client::builder().redirect(redirect::Policy::none());
    finish(builder, config, folder)
}

fn finish(
    builder: ClientBuilder,
    config: &FhirConfig,
    folder: &Path,
) -> Result<Client, SourceError> {
    let mut builder = builder
        .user_agent("clinic-gateway")
        .timeout(Duration::from_secs(config.request_timeout_seconds.into()))
        .connect_timeout(Duration::from_secs(config.connect_timeout_seconds.into()))
        .no_proxy()
        .referer(false);
    if let Some(file) = &config.ca_file {
        builder = builder.tls_certs_only(credentials::authority(&folder.join(file))?);
    }
    if let Some(certificate) = &config.client_certificate {
        builder = builder.identity(credentials::identity(certificate, folder)?);
    }
    builder
        .build()
        .map_err(|_| match config.client_certificate {
            Some(_) => credentials::bad_identity(),
            None => SourceError::misconfigured(
                "TLS cannot be set up: there is no usable certificate authority",
                "set ca_file to PEM certificates of authorities, or install the system's \
                 (ca-certificates)",
            ),
        })
}

fn redirects_within(origin: Origin) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.url().origin() != origin {
            attempt.error(RedirectFault::OffHost)
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error(RedirectFault::TooMany)
        } else {
            attempt.follow()
        }
    })
}

/// The text of a header.
pub(crate) fn header_text(value: Option<&HeaderValue>) -> Option<&str> {
    value.and_then(|value| value.to_str().ok()).map(str::trim)
}

fn is_json(headers: &HeaderMap) -> bool {
    // No Content-Type at all is let through: the parser finds out.
    header_text(headers.get(CONTENT_TYPE)).is_none_or(|kind| {
        let essence = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        essence.ends_with("json")
    })
}

fn not_fhir(body: &[u8]) -> SourceError {
    let start = String::from_utf8_lossy(&body[..body.len().min(200)])
        .trim_start()
        .to_ascii_lowercase();
    let what = if start.contains("<html") || start.contains("<!doctype") {
        "base_url answers with a web page, not with FHIR"
    } else if start.starts_with('<') {
        "base_url answers with XML, not with FHIR JSON"
    } else {
        "base_url does not answer with FHIR JSON"
    };
    SourceError::misconfigured(
        what,
        "set base_url to the FHIR R4 base address of a server that can speak JSON",
    )
}

/// The complaint in the OperationOutcome of a refusal, in the connector's words.
async fn refusal_words(response: Response) -> Option<String> {
    let body = bounded_body(response, MAX_REFUSAL_BYTES).await;
    let mut body = body.ok().flatten()?;
    drop_bom(&mut body);
    outcome::describe(&body)
}

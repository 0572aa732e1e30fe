//! Bounded requests: authentication, redirects within the host only, a limit on the body, and
//! refusals in words. All are GET, but the one that deletes an export job.

pub(crate) mod files;

use std::path::Path;
use std::time::Duration;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue,
    RETRY_AFTER,
};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, StatusCode, redirect};
use url::{Origin, Url};

use crate::config::FhirConfig;
use crate::credentials;
use crate::login::Login;
use crate::outcome;
use crate::patience::{Patience, Pauses};
use crate::refusal::{Ask, HttpRefusal, error_of_status, http_date, retry_after};
use crate::transport_error::RedirectFault;
use files::FileStores;

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
    /// The server has taken the request, and answers it later (202).
    pub is_later: bool,
    /// Address at which the answer will be (Content-Location), as written.
    pub location: Option<String>,
    /// Time for which the server asks to be left alone (Retry-After).
    pub retry_after: Option<Duration>,
    /// Share of the work that is done, in percent (X-Progress), where the server tells a number.
    pub percent: Option<u8>,
}

/// The HTTP client of one source.
pub(crate) struct Http {
    client: Client,
    /// Origin of `base_url`: no other one gets the login.
    origin: Origin,
    stores: FileStores,
    /// What requests present.
    pub login: Login,
    max_body_bytes: usize,
    /// Time that one request may take.
    pub timeout: Duration,
    patience: Patience,
}

impl Http {
    /// Builds the client; secrets and certificate files are read now, relative to `folder`.
    pub(crate) fn new(config: &FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        // Ignored on purpose: the program around us may have installed a provider already, and then
        // that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stores = FileStores::new(config, folder)?;
        let policy = redirects_within(config.base_url.origin(), stores.origins());
        let builder = Client::builder().https_only(config.base_url.scheme() == "https");
        let client = finish(builder.redirect(policy), config, folder)?;
        let for_tokens = || client_of_tokens(config, folder);
        Ok(Self {
            login: Login::new(config, folder, for_tokens, &client)?,
            client,
            origin: config.base_url.origin(),
            stores,
            max_body_bytes: config.max_body_bytes.saturating_as(),
            timeout: Duration::from_secs(config.request_timeout_seconds.into()),
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
            self.pause_behind(refused, &mut pauses).await?;
        }
    }

    /// Deletes an export job, which the server then needs not keep any longer.
    pub(crate) async fn delete(&self, url: &Url, now: DateTime<Utc>) -> Result<(), HttpRefusal> {
        let request = || {
            self.client
                .request(Method::DELETE, url.clone())
                .header(ACCEPT, ACCEPTED)
        };
        let response = self.with_login(request, now).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(refusal_of(response, Ask::ExportStatus, now).await)
    }

    /// Waits before the next try of a request that was refused; gives the refusal back where there
    /// should be none.
    async fn pause_behind(
        &self,
        refused: HttpRefusal,
        pauses: &mut Pauses,
    ) -> Result<(), HttpRefusal> {
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
        Ok(())
    }

    async fn try_get(&self, url: Url, ask: Ask, now: DateTime<Utc>) -> Result<Reply, HttpRefusal> {
        // A default HAPI server answers an identical search from a result up to a minute old, by
        // which a record that has just been written would be missing.
        let request = || {
            let request = self
                .client
                .get(url.clone())
                .header(ACCEPT, ACCEPTED)
                .header(CACHE_CONTROL, "no-cache");
            if ask.is_kick_off() {
                request.header("Prefer", "respond-async")
            } else {
                request
            }
        };
        let response = self.with_login(request, now).await?;
        self.judge(response, ask, now).await
    }

    /// Sends a request with the login, and once more with a renewed one where it is refused.
    async fn with_login(
        &self,
        request: impl Fn() -> RequestBuilder,
        now: DateTime<Utc>,
    ) -> Result<Response, HttpRefusal> {
        let presented = self.login.present(now).await?;
        let mut response = presented.apply(request()).send().await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            presented.note_accepted();
        } else if let Some(renewed) = self.login.renew(&presented, now).await? {
            response = renewed.apply(request()).send().await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                renewed.note_accepted();
            }
        }
        Ok(response)
    }

    async fn judge(
        &self,
        response: Response,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Reply, HttpRefusal> {
        let status = response.status();
        let is_later = status == StatusCode::ACCEPTED && ask.may_be_later();
        if status != StatusCode::OK && !is_later {
            return Err(refusal_of(response, ask, now).await);
        }
        let headers = response.headers();
        let date = server_date(headers);
        let text = |name: &str| header_text(headers.get(name));
        let mut reply = Reply {
            date,
            body: Vec::new(),
            is_later,
            location: text(CONTENT_LOCATION.as_str()).map(str::to_owned),
            retry_after: wait_asked_for(headers, date.unwrap_or(now)),
            percent: text("x-progress").and_then(percent),
        };
        // Of what is answered later the headers tell everything.
        if is_later {
            return Ok(reply);
        }
        let json = is_json(headers);
        reply.body = self.body(response).await?;
        if !json {
            return Err(not_fhir(&reply.body).into());
        }
        Ok(reply)
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

/// What all clients have in common.
fn bounded(builder: ClientBuilder, config: &FhirConfig) -> ClientBuilder {
    builder
        .user_agent("clinic-gateway")
        .timeout(Duration::from_secs(config.request_timeout_seconds.into()))
        .connect_timeout(Duration::from_secs(config.connect_timeout_seconds.into()))
        .no_proxy()
        .referer(false)
}

fn finish(
    builder: ClientBuilder,
    config: &FhirConfig,
    folder: &Path,
) -> Result<Client, SourceError> {
    let mut builder = bounded(builder, config);
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
            None => no_authority(),
        })
}

fn no_authority() -> SourceError {
    SourceError::misconfigured(
        "TLS cannot be set up: there is no usable certificate authority",
        "set ca_file to PEM certificates of authorities, or install the system's \
         (ca-certificates)",
    )
}

/// Redirects within an origin are followed; one to a store of files is given back, since it has to
/// be followed without the login.
fn redirects_within(origin: Origin, stores: Vec<Origin>) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        let target = attempt.url().origin();
        if stores.contains(&target) {
            attempt.stop()
        } else if target != origin {
            attempt.error(RedirectFault::OffHost)
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error(RedirectFault::TooMany)
        } else {
            attempt.follow()
        }
    })
}

/// The server's clock, by the header Date.
fn server_date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    header_text(headers.get(DATE)).and_then(http_date)
}

fn wait_asked_for(headers: &HeaderMap, server_now: DateTime<Utc>) -> Option<Duration> {
    header_text(headers.get(RETRY_AFTER)).and_then(|text| retry_after(text, server_now))
}

/// The number before the first percent sign of a text that says how far something is. The rest of
/// such a text may be anything, and is not kept.
fn percent(text: &str) -> Option<u8> {
    let before = text.split_once('%')?.0.trim_end();
    let whole = before.rsplit([' ', ':', '(']).next()?;
    let whole = whole.split('.').next()?;
    whole.parse().ok().filter(|percent| *percent <= 100)
}

async fn refusal_of(response: Response, ask: Ask, now: DateTime<Utc>) -> HttpRefusal {
    let status = response.status();
    let headers = response.headers();
    let after = wait_asked_for(headers, server_date(headers).unwrap_or(now));
    let words = refusal_words(response).await;
    HttpRefusal {
        status: Some(status.as_u16()),
        is_brief: matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504),
        error: error_of_status(status, ask, after, words.as_deref()),
    }
}

/// Error for a server that says nothing, or too little, for the time that a request may take.
pub(crate) fn no_answer_in_time() -> SourceError {
    SourceError::retry("the FHIR server did not answer within request_timeout_seconds")
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

/// True for an answer that says it is a web page.
fn is_web_page(headers: &HeaderMap) -> bool {
    header_text(headers.get(CONTENT_TYPE))
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_progress_only_the_percentage_is_read() {
        for (text, expected) in [
            ("47%", Some(47)),
            ("Build in progress (47.5 %)", Some(47)),
            ("done: 100% of Ivanov", Some(100)),
            ("101%", None),
            ("-1%", None),
            ("in progress", None),
            ("half %", None),
            ("", None),
        ] {
            assert_eq!(percent(text), expected, "{text}");
        }
    }
}

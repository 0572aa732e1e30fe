//! One bounded GET: authentication, redirects within the host only, body cap, and every refusal in
//! words.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use connector_kit::SourceError;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Identity, RequestBuilder, StatusCode, redirect};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::{Auth, ClientCertificate, FhirConfig};
use crate::fault::{self, RedirectFault};
use crate::outcome;

/// Redirects followed in a row, within the host.
const MAX_REDIRECTS: usize = 3;
/// The longest time a server may ask to be left alone.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// As much of a refusal as is read for its OperationOutcome.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// The form asked for.
const ACCEPTED: &str = "application/fhir+json, application/json;q=0.9";
/// The largest certificate file.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// What is being asked, so that a refusal can be put in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The capability statement.
    Metadata,
    /// The first page of a search for a resource type.
    Search(&'static str),
    /// A page the server itself linked to.
    NextPage,
    /// One resource of a type, by its id.
    Read(&'static str),
}

/// A successful answer.
pub(crate) struct Reply {
    /// The server's clock, if it tells.
    pub date: Option<DateTime<Utc>>,
    /// The whole body, within the cap.
    pub body: Vec<u8>,
}

/// A refusal: its status code and what to say about it.
pub(crate) struct Refusal {
    /// The HTTP status; `None` where there was no answer.
    pub status: Option<u16>,
    /// The words.
    pub error: SourceError,
}

impl From<SourceError> for Refusal {
    fn from(error: SourceError) -> Self {
        Self {
            status: None,
            error,
        }
    }
}

/// The HTTP client of one source.
pub(crate) struct Http {
    client: Client,
    credentials: Credentials,
    max_body_bytes: usize,
}

impl Http {
    /// Builds the client; secrets and certificate files are read now, relative to `folder`.
    pub(crate) fn new(config: &FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        // Ignored on purpose: the program around us may have installed a provider already, and then
        // that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let origin = config.base_url.origin();
        let mut builder = Client::builder()
            .user_agent("clinic-gateway")
            .timeout(Duration::from_secs(config.request_timeout_seconds.into()))
            .connect_timeout(Duration::from_secs(config.connect_timeout_seconds.into()))
            .no_proxy()
            .referer(false)
            .https_only(config.base_url.scheme() == "https")
            .redirect(redirect::Policy::custom(move |attempt| {
                if attempt.url().origin() != origin {
                    attempt.error(RedirectFault::OffHost)
                } else if attempt.previous().len() > MAX_REDIRECTS {
                    attempt.error(RedirectFault::TooMany)
                } else {
                    attempt.follow()
                }
            }));
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_only(authority(&folder.join(file))?);
        }
        if let Some(certificate) = &config.client_certificate {
            builder = builder.identity(identity(certificate, folder)?);
        }
        let client = builder
            .build()
            .map_err(|_| match config.client_certificate {
                Some(_) => bad_identity(),
                None => SourceError::misconfigured(
                    "TLS cannot be set up: there is no usable certificate authority",
                    "set ca_file to PEM certificates of authorities, or install the system's \
                 (ca-certificates)",
                ),
            })?;
        let credentials = Credentials::read(&config.auth, folder)?;
        let max_body_bytes = usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            client,
            credentials,
            max_body_bytes,
        })
    }

    /// Gets one JSON answer. `now` is only used to read a Retry-After given as a date.
    pub(crate) async fn get(
        &self,
        url: Url,
        ask: Ask,
        now: DateTime<Utc>,
    ) -> Result<Reply, Refusal> {
        let request = self
            .credentials
            .apply(self.client.get(url).header(ACCEPT, ACCEPTED));
        let response = request
            .send()
            .await
            .map_err(|error| fault::transport(&error))?;
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
        Err(Refusal {
            status: Some(status.as_u16()),
            error: refuse(status, ask, after, words.as_deref()),
        })
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, SourceError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| fault::transport(&error))?
        {
            if body.len() + chunk.len() > self.max_body_bytes {
                return Err(SourceError::misconfigured(
                    format!(
                        "the FHIR server's answer is larger than {} bytes",
                        self.max_body_bytes
                    ),
                    "have pages made smaller (the gateway's page size, or the server's) or raise \
                     max_body_bytes",
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The secrets of [`Auth`], read.
enum Credentials {
    None,
    Basic(String, SecretString),
    Bearer(SecretString),
}

impl Credentials {
    fn read(auth: &Auth, folder: &Path) -> Result<Self, SourceError> {
        Ok(match auth {
            Auth::None => Self::None,
            Auth::Basic(basic) if basic.user.contains(':') => {
                return Err(SourceError::misconfigured(
                    "auth.basic.user holds a colon, which RFC 7617 forbids",
                    "use a user name without one",
                ));
            }
            Auth::Basic(basic) => Self::Basic(
                basic.user.clone(),
                secret(&basic.password, folder, "auth.basic.password")?,
            ),
            Auth::Bearer(token) => {
                let token = secret(token, folder, "auth.bearer")?;
                if !token
                    .expose_secret()
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic())
                {
                    return Err(SourceError::misconfigured(
                        "the token in auth.bearer has characters that RFC 6750 forbids",
                        "put nothing but the token into it",
                    ));
                }
                Self::Bearer(token)
            }
        })
    }

    fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

fn secret(
    source: &settings::SecretSource,
    folder: &Path,
    setting: &str,
) -> Result<SecretString, SourceError> {
    source
        .read(folder)
        .map_err(|error| SourceError::misconfigured(error.to_string(), format!("see {setting}")))
}

fn authority(path: &Path) -> Result<Vec<Certificate>, SourceError> {
    let certificates =
        Certificate::from_pem_bundle(&read_pem(path, "ca_file")?).unwrap_or_default();
    if certificates.is_empty() {
        return Err(SourceError::misconfigured(
            "ca_file holds no PEM certificate",
            "give a file with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(certificates)
}

fn identity(certificate: &ClientCertificate, folder: &Path) -> Result<Identity, SourceError> {
    let mut pem = read_pem(
        &folder.join(&certificate.cert_file),
        "client_certificate.cert_file",
    )?;
    let key = secret(&certificate.key, folder, "client_certificate.key")?;
    pem.push(b'\n');
    pem.extend_from_slice(key.expose_secret().as_bytes());
    let identity = Identity::from_pem(&pem);
    pem.zeroize();
    identity.map_err(|_| bad_identity())
}

fn read_pem(path: &Path, setting: &str) -> Result<Vec<u8>, SourceError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(SourceError::misconfigured(
            format!(
                "the file of {setting} ({}) cannot be read: {}",
                path.display(),
                error.kind()
            ),
            "correct the path or the file's permissions",
        )),
    }
}

fn bad_identity() -> SourceError {
    SourceError::misconfigured(
        "client_certificate is no PEM certificate with the private key that belongs to it",
        "give the certificate in cert_file and its unencrypted PEM key in key",
    )
}

fn header_text(value: Option<&HeaderValue>) -> Option<&str> {
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

async fn refusal_words(mut response: reqwest::Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_REFUSAL_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    outcome::words(&body)
}

/// What a status other than 200 means.
fn refuse(
    status: StatusCode,
    ask: Ask,
    after: Option<Duration>,
    words: Option<&str>,
) -> SourceError {
    let code = status.as_u16();
    let said = words
        .map(|words| format!(" (it says: {words})"))
        .unwrap_or_default();
    let target = match ask {
        Ask::Metadata => "its capability statement",
        Ask::Search(resource) | Ask::Read(resource) => resource,
        Ask::NextPage => "the next page",
    };
    let wrong = |what: &str, help: &str| SourceError::misconfigured(format!("{what}{said}"), help);
    match code {
        408 | 429 => SourceError::Retry {
            what: format!("the FHIR server is busy ({code}){said}"),
            after,
        },
        500.. => SourceError::Retry {
            what: format!("the FHIR server failed ({code}){said}"),
            after,
        },
        401 => wrong(
            "the FHIR server refuses the credentials (401)",
            "check auth and what it points to",
        ),
        403 => wrong(
            &format!("the FHIR account may not read {target} (403)"),
            "give the account the right to read it, or leave that feed out of feeds",
        ),
        400 | 404 | 410 if ask == Ask::NextPage => SourceError::retry(format!(
            "the FHIR server no longer knows the next page it linked to ({code}){said}; the next \
             run starts again"
        )),
        404 | 410 => wrong(
            &format!("there is no FHIR server at base_url, or it has no {target} ({code})"),
            "set base_url to the FHIR base address, the part before /Patient",
        ),
        406 | 415 => wrong(
            &format!("the FHIR server does not speak JSON ({code})"),
            "enable application/fhir+json there",
        ),
        300..400 => wrong(
            &format!("the FHIR server answers with a redirect that leads nowhere ({code})"),
            "correct base_url",
        ),
        _ => wrong(
            &format!("the FHIR server refuses the request for {target} ({code})"),
            "compare the server's search parameters with this source's settings",
        ),
    }
}

/// RFC 9110 section 10.2.3: seconds or a date, which is compared with the server's own clock.
fn retry_after(text: &str, server_now: DateTime<Utc>) -> Option<Duration> {
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    } else {
        (http_date(text)? - server_now).to_std().unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// RFC 9110 section 5.6.7: the three forms of a date a recipient has to accept.
fn http_date(text: &str) -> Option<DateTime<Utc>> {
    [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ]
    .iter()
    .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    .map(|moment| moment.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_bounded() {
        let now = at("1994-11-06T08:49:07Z");
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(
                retry_after(date, now),
                Some(Duration::from_secs(30)),
                "{date}"
            );
        }
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO),
            "in the past"
        );
        assert_eq!(
            retry_after("99999999999999999999999", now),
            Some(MAX_RETRY_AFTER)
        );
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("", now), None);
    }

    #[test]
    fn a_status_is_worth_another_try_or_a_person() {
        let refused = |code, ask| refuse(StatusCode::from_u16(code).unwrap(), ask, None, None);
        let search = Ask::Search("Condition");
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(
                matches!(refused(code, search), SourceError::Retry { .. }),
                "{code}"
            );
        }
        for code in [304, 400, 401, 403, 404, 406, 410, 422] {
            assert!(
                matches!(refused(code, search), SourceError::Misconfigured { .. }),
                "{code}"
            );
        }
        for code in [400, 404, 410] {
            assert!(
                matches!(refused(code, Ask::NextPage), SourceError::Retry { .. }),
                "an expired page: {code}"
            );
        }
        assert!(refused(403, search).to_string().contains("Condition"));
    }
}

//! Client of the registry's interface: certificates, limits, repeats.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use pseudonym::Pseudonym;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::tls::Version;
use reqwest::{Certificate, Client, Identity, Method, Response, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde::Serialize;
use tls_fault::TlsFault;
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use super::answer::RegistryProblem;
use super::question::EligibilityQuestion;
use super::{
    EligibilityReply, IdempotencyKey, PassOrder, PassesReply, RegistryFault, RegistryFaultKind,
};
use crate::config::RegistryConfig;
use crate::limits::{MAX_ANSWER_BYTES, MAX_SIGNED_BYTES, MOST_TRIES, TRY_AGAIN_AFTER};

/// Largest file of certificates, in bytes.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Header by which the registry knows a repeat.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Code of the registry for a request that is in hand under the same Idempotency-Key.
const IN_HAND: &str = "in-hand";

/// Code of the registry for a key that was used for another request.
const KEY_REUSED: &str = "key-reused";

/// Mistake in `[registry]`.
#[derive(Debug, thiserror::Error)]
pub enum ClientMistake {
    /// Address that is none of a registry.
    #[error(
        "registry.base_url must be https://HOST[:PORT], without user and path; http:// is for this \
         machine alone"
    )]
    Url,
    /// File of certificates that cannot be read.
    #[error("registry.{setting}: {path} cannot be read: {error}")]
    Unreadable {
        /// Name of the setting.
        setting: &'static str,
        /// Path of the file.
        path: String,
        /// Reason.
        error: settings::FileError,
    },
    /// File without a certificate.
    #[error(
        "registry.ca_file holds no certificate; {}",
        tls_fault::CERTIFICATE_FORM
    )]
    NoAuthority,
    /// Key that cannot be read.
    #[error("registry.client_certificate.key: {0}")]
    Secret(#[from] settings::SecretError),
    /// Certificate and key that make no pair.
    #[error(
        "registry.client_certificate is no certificate in PEM form with the private key that \
         belongs to it"
    )]
    Identity,
    /// TLS that cannot be set up.
    #[error(
        "TLS cannot be set up: set registry.ca_file, or install the system's authorities \
         (ca-certificates)"
    )]
    Tls,
}

/// Client of one registry.
pub struct RegistryClient {
    client: Client,
    base: Url,
}

impl RegistryClient {
    /// Reads the certificates and builds the client. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`ClientMistake`].
    pub fn new(config: &RegistryConfig, base: &Path) -> Result<Self, ClientMistake> {
        // Ignored on purpose: the program around us may have installed a provider already, and then
        // that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if !settings::may_be_asked(&config.base_url) {
            return Err(ClientMistake::Url);
        }
        let mut builder = Client::builder()
            .user_agent("city-portal")
            .timeout(Duration::from_secs(config.timeout_seconds.get().into()))
            .no_proxy()
            // As the registry's interface; in TLS 1.2 whoever listens would read the certificate.
            .tls_version_min(Version::TLS_1_3)
            .referer(false)
            .https_only(config.base_url.scheme() == "https")
            .redirect(redirect::Policy::none());
        if let Some(file) = &config.ca_file {
            let pem = read_pem("ca_file", &base.join(file))?;
            let authorities = Certificate::from_pem_bundle(&pem).unwrap_or_default();
            if authorities.is_empty() {
                return Err(ClientMistake::NoAuthority);
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(certificate) = &config.client_certificate {
            let file = base.join(&certificate.cert_file);
            let mut pem = read_pem("client_certificate.cert_file", &file)?;
            let key = certificate.key.read(base)?;
            pem.push(b'\n');
            pem.extend_from_slice(key.expose_secret().as_bytes());
            let identity = Identity::from_pem(&pem);
            pem.zeroize();
            builder = builder.identity(identity.map_err(|_| ClientMistake::Identity)?);
        }
        let client = builder
            .build()
            .map_err(|_| match config.client_certificate {
                Some(_) => ClientMistake::Identity,
                None => ClientMistake::Tls,
            })?;
        Ok(Self {
            client,
            base: config.base_url.clone(),
        })
    }

    /// Asks on which days a person is entitled.
    pub(crate) async fn eligibility(
        &self,
        pseudonyms: &[Pseudonym],
    ) -> Result<EligibilityReply, RegistryFault> {
        let question = EligibilityQuestion::of(pseudonyms);
        let body = self.post("/v1/eligibility", &question, None).await?;
        EligibilityReply::read(&body)
    }

    /// Orders passes. The same order under the same key gets the same passes.
    pub(crate) async fn passes(
        &self,
        order: &PassOrder,
        key: &IdempotencyKey,
    ) -> Result<PassesReply, RegistryFault> {
        PassesReply::read(&self.post("/v1/passes", order, Some(key)).await?)
    }

    /// Signed trust bundle, which verifiers fetch.
    ///
    /// # Errors
    /// [`RegistryFault`].
    pub async fn trust(&self) -> Result<Vec<u8>, RegistryFault> {
        let signed = self.signed("/v1/trust").await?;
        signed.ok_or_else(|| RegistryFault::of(RegistryFaultKind::Nonsense))
    }

    /// Signed list of the passes that have ended, or the difference from the list of a sequence (0:
    /// none); `None` where that one is the newest.
    ///
    /// # Errors
    /// [`RegistryFault`].
    pub(crate) async fn revocations(&self, held: u64) -> Result<Option<Vec<u8>>, RegistryFault> {
        self.signed(&format!("/v1/revocations/{held}")).await
    }

    /// Something signed; `None` where there is nothing newer.
    async fn signed(&self, path: &str) -> Result<Option<Vec<u8>>, RegistryFault> {
        let request = self.client.get(self.url(path));
        let answer = request.send().await.map_err(|error| of_error(&error))?;
        match answer.status() {
            StatusCode::OK => body(answer, MAX_SIGNED_BYTES).await.map(Some),
            StatusCode::NO_CONTENT => Ok(None),
            _ => Err(refusal(answer).await.fault),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    /// Posts a question, again where the answer may have been lost.
    async fn post(
        &self,
        path: &str,
        question: &impl Serialize,
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<u8>, RegistryFault> {
        let question = serde_json::to_vec(question);
        let question =
            Zeroizing::new(question.map_err(|_| RegistryFault::of(RegistryFaultKind::Refused))?);
        let mut tries = 0;
        loop {
            tries += 1;
            let refusal = match self.post_once(path, &question, key).await {
                Ok(body) => return Ok(body),
                Err(refusal) => refusal,
            };
            if !refusal.may_be_repeated || tries >= MOST_TRIES {
                return Err(refusal.fault);
            }
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }

    async fn post_once(
        &self,
        path: &str,
        question: &[u8],
        key: Option<&IdempotencyKey>,
    ) -> Result<Vec<u8>, RegistryRefusal> {
        let mut request = self
            .client
            .request(Method::POST, self.url(path))
            .header(CONTENT_TYPE, "application/json")
            .body(question.to_vec());
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key.as_str());
        }
        let answer = request.send().await.map_err(|error| lost(&error))?;
        match answer.status() {
            StatusCode::OK => {
                body(answer, MAX_ANSWER_BYTES)
                    .await
                    .map_err(|fault| RegistryRefusal {
                        may_be_repeated: fault.kind.may_pass(),
                        fault,
                    })
            }
            _ => Err(refusal(answer).await),
        }
    }
}

/// Failure of one request.
struct RegistryRefusal {
    fault: RegistryFault,
    may_be_repeated: bool,
}

/// An answer that did not come: it may have been given all the same. A registry that took its whole
/// time is not asked again.
fn lost(error: &reqwest::Error) -> RegistryRefusal {
    let fault = of_error(error);
    RegistryRefusal {
        may_be_repeated: fault.kind == RegistryFaultKind::Away,
        fault,
    }
}

fn read_pem(setting: &'static str, path: &Path) -> Result<Vec<u8>, ClientMistake> {
    settings::read_regular_file(path, MAX_PEM_BYTES).map_err(|error| ClientMistake::Unreadable {
        setting,
        path: path.display().to_string(),
        error,
    })
}

/// Body of an answer, of so many bytes at most.
async fn body(mut answer: Response, most: usize) -> Result<Vec<u8>, RegistryFault> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| of_error(&error))? {
        if body.len() + chunk.len() > most {
            let fault = RegistryFault::of(RegistryFaultKind::Nonsense);
            return Err(fault.because("an answer that is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Failure behind another status than 200.
async fn refusal(answer: Response) -> RegistryRefusal {
    use RegistryFaultKind as Kind;
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER);
    let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
    let read = body(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let problem: Option<RegistryProblem> = serde_json::from_slice(&read).ok();
    let code = problem.map(|problem| problem.code).unwrap_or_default();
    let kind = match (status.as_u16(), code.as_str()) {
        (429, "subject-ceiling") => Kind::SubjectCeiling,
        (429, _) => Kind::ClientCeiling,
        (_, "epoch") => Kind::Epoch,
        (_, KEY_REUSED) => Kind::KeyReused,
        (_, IN_HAND) | (502..=504, _) => Kind::Unavailable,
        (500, _) if !code.is_empty() => Kind::Unavailable,
        (400..=499, _) if !code.is_empty() => Kind::Refused,
        _ => Kind::Nonsense,
    };
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    let detail = match !code.is_empty() && code.len() <= 40 && code.bytes().all(is_code) {
        true => format!("HTTP status {}, {code}", status.as_u16()),
        false => format!("HTTP status {}", status.as_u16()),
    };
    let mut fault = RegistryFault::of(kind).because(detail);
    fault.retry_after_seconds = after;
    RegistryRefusal {
        may_be_repeated: code == IN_HAND,
        fault,
    }
}

/// Failure below HTTP. Nothing of an error's own text is passed on.
fn of_error(error: &reqwest::Error) -> RegistryFault {
    use RegistryFaultKind as Kind;
    if let Some(fault) = TlsFault::find(error) {
        let kind = match fault {
            TlsFault::ClientCertificate => Kind::ClientCertificate,
            TlsFault::BrokenOff => Kind::Away,
            _ => Kind::ServerCertificate,
        };
        let what = fault.what("the registry");
        return RegistryFault::of(kind).because(match fault {
            TlsFault::Refused | TlsFault::NothingInCommon => {
                format!("{what}; {}", tls_fault::ONLY_TLS_1_3)
            }
            _ => what,
        });
    }
    if error.is_timeout() {
        return RegistryFault::of(Kind::Slow);
    }
    let io = find_io(error).map(std::io::Error::kind);
    match io {
        // The standard library has no name for this kind yet; a name that no server knows is one.
        Some(kind) if kind.to_string() == "uncategorized error" => {
            RegistryFault::of(Kind::Away).because("its host's name cannot be found, or no network")
        }
        Some(kind) => RegistryFault::of(Kind::Away).because(kind.to_string()),
        None if error.is_connect() || error.is_request() || error.is_body() => {
            RegistryFault::of(Kind::Away)
        }
        None => RegistryFault::of(Kind::Nonsense),
    }
}

/// First error of the operating system among the causes; `io::Error` hides what it wraps.
fn find_io<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a std::io::Error> {
    let mut current = Some(error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<std::io::Error>() {
            return Some(found);
        }
        current = cause.source();
    }
    None
}

//! Files of exports over HTTP: on base_url's origin with the login where they need it, on other
//! origins that the configuration allows with nothing at all.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect};
use url::{Origin, Url};

use super::{
    Http, MAX_REDIRECTS, bounded, header_text, is_web_page, no_answer_in_time, no_authority,
    refusal_of,
};
use crate::config::FhirConfig;
use crate::credentials;
use crate::export::settings::ExportOrigin;
use crate::refusal::{Ask, HttpRefusal};
use crate::transport_error::{self, Peer, RedirectFault};

/// Content types asked for.
const ACCEPTED: &str = "application/fhir+ndjson, application/ndjson;q=0.9, */*;q=0.1";
/// The longest time that one file may take, from connecting to the last byte.
const MAX_FILE_TIME: Duration = Duration::from_secs(24 * 3600);

/// The origins other than `base_url`'s where files may lie, and the client for them: it knows no
/// login and no client certificate.
pub(super) struct FileStores {
    origins: Vec<Origin>,
    client: Option<Client>,
}

/// A file whose body is read piece by piece.
pub(crate) struct FileAnswer {
    pub response: Response,
    /// Server that it comes from.
    pub peer: Peer,
}

impl FileStores {
    pub(super) fn new(config: &FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        let allowed = config.export_origins.iter();
        let origins: Vec<Origin> = allowed.map(ExportOrigin::origin).collect();
        if origins.is_empty() {
            return Ok(Self {
                origins,
                client: None,
            });
        }
        let mut addresses = config.export_origins.iter().map(ExportOrigin::address);
        let builder = Client::builder()
            .https_only(addresses.all(|url| url.scheme() == "https"))
            .redirect(redirects_among(origins.clone()));
        let mut builder = bounded(builder, config);
        // A store may have the clinic's authority or a public one.
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_merge(credentials::authority(&folder.join(file))?);
        }
        let client = builder.build().map_err(|_| no_authority())?;
        Ok(Self {
            origins,
            client: Some(client),
        })
    }

    pub(super) fn origins(&self) -> Vec<Origin> {
        self.origins.clone()
    }

    /// Asks a store for a file.
    async fn ask(&self, url: Url) -> Result<FileAnswer, HttpRefusal> {
        let allowed = self.origins.contains(&url.origin());
        let Some(client) = self.client.as_ref().filter(|_| allowed) else {
            return Err(SourceError::misconfigured(
                "a file of the FHIR server's bulk export lies on an origin that export_origins \
                 does not name",
                "add the origin to export_origins",
            )
            .into());
        };
        let request = client
            .get(url)
            .header(ACCEPT, ACCEPTED)
            .timeout(MAX_FILE_TIME);
        let answer = request.send().await;
        let response = answer.map_err(|error| transport_error::refusal(&error, Peer::FileStore))?;
        Ok(FileAnswer {
            response,
            peer: Peer::FileStore,
        })
    }
}

impl Http {
    /// Opens a file of an export. `is_open`: the server says that its files need no access token.
    pub(crate) async fn open(
        &self,
        url: &Url,
        is_open: bool,
        now: DateTime<Utc>,
    ) -> Result<FileAnswer, HttpRefusal> {
        let mut pauses = self.patience.pauses();
        loop {
            let refused = match self.try_open(url, is_open, now).await {
                Ok(answer) => {
                    self.patience.note_answer();
                    return Ok(answer);
                }
                Err(refused) => refused,
            };
            self.pause_behind(refused, &mut pauses).await?;
        }
    }

    async fn try_open(
        &self,
        url: &Url,
        is_open: bool,
        now: DateTime<Utc>,
    ) -> Result<FileAnswer, HttpRefusal> {
        let answer = async {
            if url.origin() != self.origin {
                return self.stores.ask(url.clone()).await;
            }
            let response = self.ask_server(url, is_open, now).await?;
            match redirect_of(url, &response) {
                Some(target) => self.stores.ask(target).await,
                None => Ok(FileAnswer {
                    response,
                    peer: Peer::FhirServer,
                }),
            }
        };
        // The time for the whole file says nothing about its beginning.
        let Ok(answer) = tokio::time::timeout(self.timeout, answer).await else {
            return Err(no_answer_in_time().into());
        };
        let answer = answer?;
        let status = answer.response.status();
        if status != StatusCode::OK {
            let ask = match answer.peer {
                Peer::FileStore => Ask::StoredFile,
                _ if is_open && status == StatusCode::UNAUTHORIZED => Ask::OpenFile,
                _ => Ask::ExportFile,
            };
            return Err(refusal_of(answer.response, ask, now).await);
        }
        if is_web_page(answer.response.headers()) {
            return Err(SourceError::misconfigured(
                "a web page comes in place of a file of the FHIR server's bulk export",
                "see what answers at the addresses in its manifest: a proxy's login page, it may \
                 be",
            )
            .into());
        }
        Ok(answer)
    }

    /// Asks the FHIR server for a file. An access token is presented only where the server does not
    /// say that there is no need; a user and password, which is none, also where it asks for it.
    async fn ask_server(
        &self,
        url: &Url,
        is_open: bool,
        now: DateTime<Utc>,
    ) -> Result<Response, HttpRefusal> {
        let request = || {
            self.client
                .get(url.clone())
                .header(ACCEPT, ACCEPTED)
                .timeout(MAX_FILE_TIME)
        };
        if is_open {
            let response = request().send().await?;
            if response.status() != StatusCode::UNAUTHORIZED || !self.login.is_basic() {
                return Ok(response);
            }
        }
        self.with_login(request, now).await
    }
}

/// Address to which the FHIR server redirects, where that redirect was not followed.
fn redirect_of(url: &Url, response: &Response) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = header_text(response.headers().get(LOCATION))?;
    url.join(location).ok()
}

fn redirects_among(origins: Vec<Origin>) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if !origins.contains(&attempt.url().origin()) {
            attempt.error(RedirectFault::OffHost)
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error(RedirectFault::TooMany)
        } else {
            attempt.follow()
        }
    })
}

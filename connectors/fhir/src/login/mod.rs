//! Login at a FHIR server: what its requests present, and how that is renewed.

mod answer;
mod assertion;
mod discovery;
mod settings;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use reqwest::{Client, RequestBuilder};
use tokio::sync::Mutex;

pub use settings::{ClientCredentials, SecretMethod, SmartBackend};

use crate::config::{Auth, FhirConfig};
use crate::credentials::Credentials;
use crate::readable::readable;
use crate::refusal::HttpRefusal;
use tokens::{TokenClient, TokenEndpoint, TokenSettings};

/// The login of one source. One request at a time asks for a token; the others wait for it.
pub(crate) struct Login {
    auth: Auth,
    folder: PathBuf,
    tokens: Option<TokenClient>,
    state: Mutex<LoginState>,
}

#[derive(Default)]
struct LoginState {
    presented: Option<Arc<Presented>>,
    /// The token endpoint, as long as it gives out tokens.
    endpoint: Option<TokenEndpoint>,
}

/// Credentials that requests present.
pub(crate) struct Presented {
    credentials: Credentials,
    /// Moment from which new ones are asked for, and the moment at which these end.
    renew_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    /// The server has accepted them: if it refuses them later, new ones may help.
    was_accepted: AtomicBool,
}

impl Presented {
    fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            renew_at: None,
            ends_at: None,
            was_accepted: AtomicBool::new(false),
        }
    }

    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        self.credentials.apply(request)
    }

    pub(crate) fn note_accepted(&self) {
        self.was_accepted.store(true, Ordering::Relaxed);
    }

    fn holds(&self, now: DateTime<Utc>) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }
}

impl Login {
    /// Reads the secrets of a configuration; nothing is asked of any server. `client` is for the
    /// token endpoint, `fhir_client` for what the FHIR server says of it.
    pub(crate) fn new(
        config: &FhirConfig,
        folder: &Path,
        client: impl FnOnce() -> Result<Client, SourceError>,
        fhir_client: &Client,
    ) -> Result<Self, SourceError> {
        let settings = match &config.auth {
            Auth::ClientCredentials(settings) => Some(TokenSettings::Secret(settings.clone())),
            Auth::SmartBackend(settings) => Some(TokenSettings::Assertion(settings.clone())),
            Auth::None | Auth::Basic(_) | Auth::Bearer(_) => None,
        };
        let mut state = LoginState::default();
        let tokens = match settings {
            Some(settings) => Some(TokenClient::new(
                config,
                settings,
                folder,
                client()?,
                fhir_client.clone(),
            )?),
            None => {
                let read = Credentials::read(&config.auth, folder)?;
                state.presented = Some(Arc::new(Presented::new(read)));
                None
            }
        };
        Ok(Self {
            auth: config.auth.clone(),
            folder: folder.to_owned(),
            tokens,
            state: Mutex::new(state),
        })
    }

    /// True for a login by user and password, which is no access token.
    pub(crate) const fn is_basic(&self) -> bool {
        matches!(self.auth, Auth::Basic(_))
    }

    /// The credentials to present at a moment.
    pub(crate) async fn present(&self, now: DateTime<Utc>) -> Result<Arc<Presented>, HttpRefusal> {
        let mut state = self.state.lock().await;
        if let Some(presented) = &state.presented
            && presented.holds(now)
        {
            return Ok(Arc::clone(presented));
        }
        self.ask(&mut state, now).await
    }

    /// Other credentials than those that were refused (401); `None` where new ones would not help.
    pub(crate) async fn renew(
        &self,
        refused: &Arc<Presented>,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<Presented>>, HttpRefusal> {
        let mut state = self.state.lock().await;
        if let Some(presented) = &state.presented
            && !Arc::ptr_eq(presented, refused)
        {
            return Ok(Some(Arc::clone(presented)));
        }
        if self.tokens.is_some() {
            // A token that was never accepted is refused for another reason than its age.
            if !refused.was_accepted.load(Ordering::Relaxed) {
                return Ok(None);
            }
            tracing::debug!("the FHIR server refuses the token (401); a new one is asked for");
            return self.ask(&mut state, now).await.map(Some);
        }
        let read = Credentials::read(&self.auth, &self.folder)?;
        if read.is_same(&refused.credentials) {
            return Ok(None);
        }
        tracing::info!("the credentials of the FHIR server were rotated, and are read again");
        let presented = Arc::new(Presented::new(read));
        state.presented = Some(Arc::clone(&presented));
        Ok(Some(presented))
    }

    /// Asks the token endpoint for a token.
    async fn ask(
        &self,
        state: &mut LoginState,
        now: DateTime<Utc>,
    ) -> Result<Arc<Presented>, HttpRefusal> {
        let Some(tokens) = &self.tokens else {
            let read = Credentials::read(&self.auth, &self.folder)?;
            return Ok(Arc::new(Presented::new(read)));
        };
        let endpoint = match state.endpoint.take() {
            Some(endpoint) => endpoint,
            None => tokens.endpoint().await?,
        };
        // Where it fails, the token endpoint is looked for anew the next time.
        let given = tokens.ask(&endpoint, now).await?;
        state.endpoint = Some(endpoint);
        let presented = Arc::new(Presented {
            renew_at: Some(given.renew_at),
            ends_at: given.ends_at,
            ..Presented::new(Credentials::Bearer(given.token))
        });
        state.presented = Some(Arc::clone(&presented));
        Ok(presented)
    }

    /// Logs in, and says in which way and until when that holds.
    pub(crate) async fn describe(&self, now: DateTime<Utc>) -> Result<String, SourceError> {
        let Some(tokens) = &self.tokens else {
            return Ok(match self.auth {
                Auth::Basic(_) => "logs in with user and password (auth.basic)".to_owned(),
                Auth::Bearer(_) => "logs in with the token of auth.bearer".to_owned(),
                _ => "logs in without credentials of its own (auth is \"none\")".to_owned(),
            });
        };
        let presented = self.present(now).await.map_err(SourceError::from)?;
        let until = match presented.ends_at {
            Some(end) => format!(
                "the token holds until {}",
                end.format("%Y-%m-%d %H:%M:%S UTC")
            ),
            None => {
                "how long the token holds is not told, so it is renewed after 5 minutes".to_owned()
            }
        };
        let state = self.state.lock().await;
        let place = match &state.endpoint {
            Some(TokenEndpoint {
                url,
                named_in: Some(named_in),
                ..
            }) => format!(
                ", at {}, which {} names",
                readable(url.as_str()),
                named_in.words()
            ),
            _ => String::new(),
        };
        Ok(format!("logs in with {}{place}; {until}", tokens.way()?))
    }
}

//! What can go wrong with key services and token issuers, in our words only.

use std::time::Duration;

/// Why no evaluation, or no token, came of a request. Nothing that a service wrote is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyClientError {
    /// The service is away or busy; a new blinding of the same inputs may succeed later.
    #[error("{service} {clause}")]
    Retry {
        /// Beginning of a sentence: what the service is (a key service, a token issuer), and its
        /// host, with the port where the configuration names one.
        service: String,
        /// What the service does or has done: the rest of a sentence that begins with it.
        clause: String,
    },
    /// The service evaluates no more elements for this client today, or issues no more tokens.
    #[error(
        "{service} has reached its ceiling for this client today; it may be asked again in {} \
         seconds",
        retry_after.as_secs()
    )]
    Ceiling {
        /// Beginning of a sentence: what the service is (a key service, a token issuer), and its
        /// host, with the port where the configuration names one.
        service: String,
        /// Time until it may be asked again, from [`MIN_CEILING_WAIT`](crate::MIN_CEILING_WAIT)
        /// to [`MAX_CEILING_WAIT`](crate::MAX_CEILING_WAIT).
        retry_after: Duration,
    },
    /// Somebody has to change something.
    #[error("{what}; {help}")]
    Misconfigured {
        /// Description of the fault.
        what: String,
        /// What to change.
        help: String,
    },
}

/// Mistake in the configuration of key services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {help}")]
pub struct KeyConfigMistake {
    /// Description of the mistake, with the name of the setting.
    pub what: String,
    /// What to write instead.
    pub help: String,
}

impl KeyConfigMistake {
    pub(crate) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
        }
    }
}

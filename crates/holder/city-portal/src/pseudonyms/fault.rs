//! Reasons why the key services gave no evaluation: a sentence for the citizen, and what the
//! operator has to change.

use std::time::Duration;

use key_client::KeyClientError;

use crate::limits::EVALUATION_TIME;
use crate::sentence::Sentence;

/// Kind of a failure to get an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyServiceFaultKind {
    /// A key service cannot be connected to, is busy, or does not answer in time.
    Away,
    /// The key services together take too long for one citizen.
    Slow,
    /// A key service evaluates no more elements for this portal today.
    Ceiling,
    /// Somebody has to change something: a key, a certificate, an address.
    Misconfigured,
}

/// Failure to get an evaluation. Its text is for the operator, and says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyServiceFault {
    /// Failure of one key service.
    #[error(transparent)]
    Client(#[from] KeyClientError),
    /// All of them together took longer than a citizen is kept waiting.
    #[error(
        "the key services took more than {} seconds together for one citizen; the metric \
         key_client_requests_total tells which ones answer, and a smaller timeout_seconds names \
         the one that does not",
        EVALUATION_TIME.as_secs()
    )]
    Slow,
}

impl KeyServiceFaultKind {
    /// Code for the log and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "key-service-away",
            Self::Slow => "key-service-slow",
            Self::Ceiling => "key-service-ceiling",
            Self::Misconfigured => "key-service-misconfigured",
        }
    }

    /// Sentence for the citizen.
    pub(crate) const fn sentence(self) -> Sentence {
        match self {
            Self::Away | Self::Slow => Sentence::new(
                "Портал сейчас не может обратиться к городскому реестру. Ваши данные не пропали и \
                 не сохранены: попробуйте ещё раз через несколько минут.",
                "The portal cannot ask the city's registry now. Nothing of yours is lost or kept: \
                 try again in a few minutes.",
            ),
            Self::Ceiling => Sentence::TOO_MANY,
            Self::Misconfigured => Sentence::new(
                "Портал сейчас не может обратиться к городскому реестру. Дело не в ваших данных; \
                 это должен исправить город. Попробуйте позже.",
                "The portal cannot ask the city's registry now. Your details are not the cause; \
                 the city has to mend it. Try later.",
            ),
        }
    }
}

impl KeyServiceFault {
    /// Kind of the failure.
    #[must_use]
    pub const fn kind(&self) -> KeyServiceFaultKind {
        match self {
            Self::Client(KeyClientError::Retry { .. }) => KeyServiceFaultKind::Away,
            Self::Client(KeyClientError::Ceiling { .. }) => KeyServiceFaultKind::Ceiling,
            Self::Client(KeyClientError::Misconfigured { .. }) => {
                KeyServiceFaultKind::Misconfigured
            }
            Self::Slow => KeyServiceFaultKind::Slow,
        }
    }

    /// Time after which the service may answer, where it is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Client(KeyClientError::Ceiling { retry_after, .. }) => Some(*retry_after),
            Self::Client(_) | Self::Slow => None,
        }
    }

    /// Returns whether this is the same trouble as another one: of the same kind, with the same
    /// service or setting. The time to wait and the way in which a service is away differ from one
    /// request to the next.
    pub(super) fn is_same_trouble(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.subject() == other.subject()
    }

    fn subject(&self) -> &str {
        match self {
            Self::Client(KeyClientError::Retry { service, .. })
            | Self::Client(KeyClientError::Ceiling { service, .. }) => service,
            Self::Client(KeyClientError::Misconfigured { what, .. }) => what,
            Self::Slow => "",
        }
    }
}

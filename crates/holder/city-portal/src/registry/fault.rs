//! Reasons why the registry gave no answer: a sentence for the citizen, and what the operator has
//! to change.

use std::fmt;

use crate::sentence::Sentence;

/// Kind of a failure to get an answer of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryFaultKind {
    /// The registry cannot be connected to.
    Away,
    /// The registry did not answer in time.
    Slow,
    /// The registry's certificate is not accepted here, or no TLS is spoken.
    ServerCertificate,
    /// The registry does not accept this portal's certificate.
    ClientCertificate,
    /// The registry answers no more requests of this portal in this hour.
    ClientCeiling,
    /// The registry answers no more requests about this person in this hour.
    SubjectCeiling,
    /// The registry does not know the epoch of the pseudonym keys.
    Epoch,
    /// The registry says that it cannot answer now.
    Unavailable,
    /// The Idempotency-Key was used for another request.
    KeyReused,
    /// The registry refuses the request.
    Refused,
    /// The registry's answer cannot be read, or is not an answer to the question.
    Nonsense,
}

impl RegistryFaultKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Away,
        Self::Slow,
        Self::ServerCertificate,
        Self::ClientCertificate,
        Self::ClientCeiling,
        Self::SubjectCeiling,
        Self::Epoch,
        Self::Unavailable,
        Self::KeyReused,
        Self::Refused,
        Self::Nonsense,
    ];

    /// Code for the log, the metrics and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "registry-away",
            Self::Slow => "registry-slow",
            Self::ServerCertificate => "registry-certificate",
            Self::ClientCertificate => "client-certificate",
            Self::ClientCeiling => "registry-ceiling",
            Self::SubjectCeiling => "person-ceiling",
            Self::Epoch => "key-epoch",
            Self::Unavailable => "registry-unavailable",
            Self::KeyReused => "key-reused",
            Self::Refused => "registry-refused",
            Self::Nonsense => "registry-nonsense",
        }
    }

    /// Sentence for the operator: what is wrong, and what to change.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Away => {
                "the registry cannot be connected to: start `city-registry portal`, or correct \
                 registry.base_url"
            }
            Self::Slow => {
                "the registry did not answer within registry.timeout_seconds: look at its log and \
                 its store"
            }
            Self::ServerCertificate => {
                "TLS with the registry fails: registry.ca_file must hold the authority of its \
                 certificate, and registry.base_url the name in it"
            }
            Self::ClientCertificate => {
                "the registry does not accept this portal's certificate: set \
                 registry.client_certificate to one of an authority in the registry's \
                 portal.tls.client_ca_file"
            }
            Self::ClientCeiling => {
                "the registry answers no more requests of this portal in this hour: raise \
                 portal.requests_per_hour in city-registry.toml"
            }
            Self::SubjectCeiling => {
                "somebody asked more often in an hour than the registry answers about one person \
                 (portal.requests_per_subject_per_hour in city-registry.toml)"
            }
            Self::Epoch => {
                "the registry does not know an epoch of keys.shared, or of public_keys in \
                 keys.services: keys.pseudonym_epochs in city-registry.toml must list the epochs of \
                 the city's keys"
            }
            Self::Unavailable => "the registry cannot answer now: its log says why",
            Self::KeyReused => {
                "a page used one Idempotency-Key for two requests; nothing is to be changed here"
            }
            Self::Refused => {
                "the registry refuses the request: portal and registry must be of versions that fit"
            }
            Self::Nonsense => {
                "the registry's answer cannot be read, or answers another question: is \
                 registry.base_url that of `city-registry portal`, and of a version that fits?"
            }
        }
    }

    /// Sentence for the citizen.
    pub(crate) const fn sentence(self) -> Sentence {
        match self {
            Self::Away => Sentence::new(
                "Городской реестр сейчас недоступен. Ваши данные не пропали и не сохранены: \
                 попробуйте ещё раз через несколько минут.",
                "The city's registry cannot be reached now. Nothing of yours is lost or kept: try \
                 again in a few minutes.",
            ),
            Self::Slow => Sentence::new(
                "Городской реестр отвечает слишком долго. Попробуйте ещё раз через минуту.",
                "The city's registry takes too long to answer. Try again in a minute.",
            ),
            Self::ServerCertificate | Self::ClientCertificate => Sentence::new(
                "Портал не может защищённо связаться с городским реестром. Дело не в ваших данных; \
                 это должен исправить город. Попробуйте позже.",
                "The portal cannot connect to the city's registry securely. Your details are not \
                 the cause; the city has to mend it. Try later.",
            ),
            Self::ClientCeiling => Sentence::TOO_MANY,
            Self::SubjectCeiling => Sentence::new(
                "По этому документу за последний час было слишком много запросов. Попробуйте \
                 позже.",
                "There were too many requests for this document in the last hour. Try later.",
            ),
            Self::Unavailable => Sentence::new(
                "Городской реестр сейчас не может ответить. Попробуйте ещё раз через несколько \
                 минут.",
                "The city's registry cannot answer now. Try again in a few minutes.",
            ),
            Self::Epoch | Self::KeyReused | Self::Refused | Self::Nonsense => Sentence::new(
                "Портал и городской реестр не понимают друг друга. Дело не в ваших данных; это \
                 должен исправить город. Попробуйте позже.",
                "The portal and the city's registry do not understand each other. Your details are \
                 not the cause; the city has to mend it. Try later.",
            ),
        }
    }

    /// Returns whether the same request may be answered when it is made again at once.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, Self::Away | Self::Slow)
    }
}

/// Failure to get an answer of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryFault {
    /// Kind of the failure.
    pub kind: RegistryFaultKind,
    /// Words about this very failure for the operator, of our own.
    pub detail: Option<String>,
    /// Seconds after which the registry may answer, where it said so.
    pub retry_after_seconds: Option<u64>,
}

impl RegistryFault {
    /// Failure of a kind.
    pub(crate) const fn of(kind: RegistryFaultKind) -> Self {
        Self {
            kind,
            detail: None,
            retry_after_seconds: None,
        }
    }

    /// The same with words about this very failure.
    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Words for the operator: what is wrong, and what to change.
impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.help())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RegistryFault {}

//! Outcomes of requests, as the log, the metrics and the page name them.

use axum::http::StatusCode;

use crate::sentence::Sentence;

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOutcome {
    /// A status was told, or a file of the page.
    Answered,
    /// A pass was issued.
    Issued,
    /// No pass, for reasons that the answer tells.
    Refused,
    /// No pass, as there were as many as may be.
    Exhausted,
    /// Fields that cannot be used.
    Fields,
    /// The registry gave no answer.
    Registry,
    /// The key services gave no evaluation.
    KeyService,
    /// No such address.
    NotFound,
    /// Method that the address does not have.
    Method,
    /// Request of another site's page.
    OtherSite,
    /// Body that is not sent as JSON.
    MediaType,
    /// Body that is too long.
    TooLarge,
    /// Body that did not arrive.
    TooSlow,
    /// Body that is not what the page sends.
    Form,
    /// Idempotency-Key that was used for another request.
    KeyReused,
    /// Ceiling of the client, or of the person at the registry.
    Ceiling,
    /// Fault of the program.
    Internal,
}

impl RequestOutcome {
    /// All outcomes.
    pub(crate) const ALL: [Self; 17] = [
        Self::Answered,
        Self::Issued,
        Self::Refused,
        Self::Exhausted,
        Self::Fields,
        Self::Registry,
        Self::KeyService,
        Self::NotFound,
        Self::Method,
        Self::OtherSite,
        Self::MediaType,
        Self::TooLarge,
        Self::TooSlow,
        Self::Form,
        Self::KeyReused,
        Self::Ceiling,
        Self::Internal,
    ];

    /// Name of the outcome.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Fields => "fields",
            Self::Registry => "registry",
            Self::KeyService => "key-service",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::OtherSite => "other-site",
            Self::MediaType => "media-type",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Form => "form",
            Self::KeyReused => "key-reused",
            Self::Ceiling => "ceiling",
            Self::Internal => "internal",
        }
    }

    /// Status of the answer.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Answered | Self::Issued | Self::Refused | Self::Exhausted => StatusCode::OK,
            Self::Fields => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Registry | Self::KeyService => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::OtherSite => StatusCode::FORBIDDEN,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Form => StatusCode::BAD_REQUEST,
            Self::KeyReused => StatusCode::CONFLICT,
            Self::Ceiling => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Sentence for the citizen, where the outcome is a problem with the request.
    pub(crate) const fn sentence(self) -> Sentence {
        match self {
            Self::TooLarge => Sentence::new(
                "Введённый текст слишком длинный. Сократите его и попробуйте снова.",
                "The text is too long. Shorten it and try again.",
            ),
            Self::TooSlow => Sentence::new(
                "Запрос не дошёл вовремя. Проверьте связь и попробуйте снова.",
                "The request did not arrive in time. Check your connection and try again.",
            ),
            Self::OtherSite => Sentence::new(
                "Запрос пришёл не со страницы портала. Откройте портал и введите данные там.",
                "The request is not of the portal's page. Open the portal and enter your details \
                 there.",
            ),
            Self::Ceiling => Sentence::new(
                "С этого адреса было слишком много запросов. Попробуйте позже.",
                "There were too many requests from this address. Try later.",
            ),
            Self::NotFound | Self::Method => Sentence::new(
                "Такой страницы здесь нет. Откройте портал с начала.",
                "There is no such page. Open the portal from its beginning.",
            ),
            Self::MediaType | Self::Form | Self::KeyReused => Sentence::new(
                "Страница устарела. Обновите её и введите данные снова.",
                "The page is out of date. Reload it and enter your details again.",
            ),
            _ => Sentence::new(
                "На портале произошла ошибка. Попробуйте позже.",
                "Something failed at the portal. Try later.",
            ),
        }
    }
}

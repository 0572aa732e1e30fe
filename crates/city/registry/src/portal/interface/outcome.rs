//! Outcomes of requests, as the log and the metrics name them.

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Answered.
    Answered,
    /// Strips, or a certificate, were issued.
    Issued,
    /// No pass, for reasons that the answer tells.
    Refused,
    /// No pass, as there were as many as may be.
    Exhausted,
    /// Answer to an earlier request with the same Idempotency-Key.
    Repeated,
    /// No such address.
    NotFound,
    /// Method that the address does not have.
    Method,
    /// Body that is not sent as JSON.
    MediaType,
    /// Body that is too long.
    TooLarge,
    /// Body that did not arrive.
    TooSlow,
    /// Body that is not JSON.
    NotJson,
    /// JSON of another form.
    Form,
    /// Attributes of the holder that too few people have.
    RareHolder,
    /// Pseudonym of a key that is not open.
    Epoch,
    /// Sequence that is no number.
    Sequence,
    /// Idempotency-Key missing or malformed.
    IdempotencyKey,
    /// Idempotency-Key of another body.
    KeyReused,
    /// Idempotency-Key of a request in hand.
    InHand,
    /// Ceiling of the client.
    ClientCeiling,
    /// Ceiling of the subject.
    SubjectCeiling,
    /// Publication that is not there yet.
    NotPublished,
    /// Store that failed.
    Store,
    /// No key.
    NoKey,
    /// Too late.
    Timeout,
    /// Fault of the program.
    Internal,
}

impl Outcome {
    /// All outcomes.
    pub(super) const ALL: [Self; 25] = [
        Self::Answered,
        Self::Issued,
        Self::Refused,
        Self::Exhausted,
        Self::Repeated,
        Self::NotFound,
        Self::Method,
        Self::MediaType,
        Self::TooLarge,
        Self::TooSlow,
        Self::NotJson,
        Self::Form,
        Self::RareHolder,
        Self::Epoch,
        Self::Sequence,
        Self::IdempotencyKey,
        Self::KeyReused,
        Self::InHand,
        Self::ClientCeiling,
        Self::SubjectCeiling,
        Self::NotPublished,
        Self::Store,
        Self::NoKey,
        Self::Timeout,
        Self::Internal,
    ];

    /// Name of the outcome.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Repeated => "repeated",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::MediaType => "media-type",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::NotJson => "not-json",
            Self::Form => "form",
            Self::RareHolder => "rare-holder",
            Self::Epoch => "epoch",
            Self::Sequence => "sequence",
            Self::IdempotencyKey => "idempotency-key",
            Self::KeyReused => "key-reused",
            Self::InHand => "in-hand",
            Self::ClientCeiling => "client-ceiling",
            Self::SubjectCeiling => "subject-ceiling",
            Self::NotPublished => "not-published",
            Self::Store => "store",
            Self::NoKey => "no-key",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }
}

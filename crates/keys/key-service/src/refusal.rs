//! Reasons why a request is not answered.

use std::time::Duration;

/// Reason why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Body that is no request, is too long, or does not arrive.
    Malformed,
    /// Certificate that no client of the configuration has.
    UnknownClient,
    /// Number that no key has.
    UnknownKey,
    /// Client that has used what it may in a day; the time until its next day.
    CeilingReached(Duration),
    /// Client that was given its token of the day before; the time until its next day.
    DayTokenGiven(Duration),
    /// More requests at once than are worked on.
    Busy,
    /// Count, or audit log, that cannot be written.
    CannotCount,
    /// No such address.
    NotFound,
    /// Method that the address does not have.
    Method,
    /// Fault of the program.
    Internal,
}

impl Refusal {
    /// Codes of all reasons.
    pub(crate) const CODES: [&str; 10] = [
        "malformed",
        "unknown-client",
        "unknown-key",
        "ceiling-reached",
        "day-token-given",
        "busy",
        "cannot-count",
        "not-found",
        "method",
        "internal",
    ];

    /// Code in answers, metrics and the audit log.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownClient => "unknown-client",
            Self::UnknownKey => "unknown-key",
            Self::CeilingReached(_) => "ceiling-reached",
            Self::DayTokenGiven(_) => "day-token-given",
            Self::Busy => "busy",
            Self::CannotCount => "cannot-count",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_the_list_and_a_row_in_the_readme() {
        let reasons = [
            Refusal::Malformed,
            Refusal::UnknownClient,
            Refusal::UnknownKey,
            Refusal::CeilingReached(Duration::ZERO),
            Refusal::DayTokenGiven(Duration::ZERO),
            Refusal::Busy,
            Refusal::CannotCount,
            Refusal::NotFound,
            Refusal::Method,
            Refusal::Internal,
        ];
        assert_eq!(reasons.map(Refusal::code), Refusal::CODES);
        let page = include_str!("../README.md");
        for code in Refusal::CODES {
            assert!(page.contains(&format!("`{code}`")), "{code}");
        }
    }
}

//! Errors of key services, as whoever reads a page is told.

use draft::EvaluationError;
use key_client::KeyClientError;

/// The client's error, in the words of whoever has events evaluated.
pub(super) fn told(error: KeyClientError) -> EvaluationError {
    let what = error.to_string();
    match error {
        KeyClientError::Retry { .. } => EvaluationError::Retry(what),
        KeyClientError::Ceiling { retry_after, .. } => EvaluationError::Ceiling {
            what,
            after: retry_after,
        },
        KeyClientError::Misconfigured { what, help } => {
            EvaluationError::Misconfigured { what, help }
        }
    }
}

/// Error of a name whose identifier is not held: a fault in this program.
pub(super) fn not_held() -> EvaluationError {
    EvaluationError::Misconfigured {
        what: "a person's identifiers were not held until they were evaluated".to_owned(),
        help: "report this with the program's version".to_owned(),
    }
}

//! Reasons why the pass over corrected and deleted patients does not go on.

use connector_kit::{PageRequest, SourceError};

use crate::refusal::HttpRefusal;

/// Reason why the pass does not go on.
pub(crate) enum PassError {
    /// The server cannot search like this: the run ends without the pass, and the patients' stamp
    /// stays.
    Unsupported(&'static str),
    /// Anything else.
    Failed(SourceError),
}

impl From<SourceError> for PassError {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl From<HttpRefusal> for PassError {
    /// A refused search is an unsupported one; wrong credentials and whatever may pass are not.
    fn from(refusal: HttpRefusal) -> Self {
        match refusal.status {
            Some(400 | 403 | 404 | 405 | 422)
                if matches!(refusal.error, SourceError::Misconfigured { .. }) =>
            {
                Self::Unsupported("it refuses the search")
            }
            _ => Self::Failed(refusal.error),
        }
    }
}

/// Tells the log why patients are not followed.
pub(crate) fn log_unsupported(request: &PageRequest, why: &str) {
    tracing::warn!(feed = %request.feed, why, "the FHIR server cannot tell of corrected patients");
}

//! Violations of a MUST, and how checks state them.

use std::fmt;

use crate::SourceError;

/// Sentence that says how a connector breaks a MUST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    /// A violation in one sentence.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SourceError> for Violation {
    fn from(error: SourceError) -> Self {
        Self(format!("the connector failed: {error}"))
    }
}

/// Returns a [`Violation`] with a formatted sentence unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        if !$condition {
            return Err($crate::conformance::violation::Violation::new(format!($($sentence)+)));
        }
    };
}
pub(super) use ensure;

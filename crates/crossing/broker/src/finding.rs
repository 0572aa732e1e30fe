//! Findings of a check beyond that the queue answers.

/// Side of the queue that a check is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Sends batches and listens to receipts.
    Gateway,
    /// Reads batches, sends receipts and keeps the dead letters.
    Registry,
}

/// Finding about the queue, apart from what keeps it from working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFinding {
    /// Sentence that states the finding.
    pub text: String,
    /// Sentence that says what to do, where something could be better.
    pub help: Option<String>,
}

// A directory has neither accounts nor limits to look at.
#[cfg(feature = "amqp")]
impl QueueFinding {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            help: None,
        }
    }

    pub(crate) fn warning(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            help: Some(help.into()),
        }
    }
}

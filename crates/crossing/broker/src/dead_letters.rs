//! Dead letters: looked at, tried once more, or thrown away, by an operator at the registry.

use std::fmt;

use async_trait::async_trait;

use crate::{BrokerError, Token};

/// Limit of the dead letters that [`DeadLetters::take`] gives at a time.
pub(crate) const MAX_TAKEN: usize = 1000;
/// Bytes of dead letters after which [`DeadLetters::take`] takes no further one.
pub(crate) const MAX_TAKEN_BYTES: usize = 64 * 1024 * 1024;
/// Longest reason, in bytes.
pub(crate) const MAX_REASON_BYTES: usize = 64;

/// Looks at the dead letters. Each is given once; with RabbitMQ, two that look at the same time
/// share them.
#[async_trait]
pub trait DeadLetters: Send + fmt::Debug {
    /// Takes up to `max` dead letters not given before, and no more than a thousand or some 64 MiB
    /// at a time; empty when there are no more. Looking changes nothing.
    ///
    /// # Errors
    /// The queue cannot be read. Dead letters given before may be void then, and lie where
    /// they were.
    async fn take(&mut self, max: usize) -> Result<Vec<DeadLetter>, BrokerError>;

    /// Moves a dead letter back into the queue as if it were new, bytes unchanged.
    ///
    /// # Errors
    /// Failure to move it: it stays a dead letter, or is one and in the queue.
    async fn retry(&mut self, letter: DeadLetter) -> Result<(), BrokerError>;

    /// Throws a dead letter away.
    ///
    /// # Errors
    /// Failure to remove it: it stays a dead letter.
    async fn discard(&mut self, letter: DeadLetter) -> Result<(), BrokerError>;

    /// Closes the connection; what was neither retried nor discarded stays. Dropping does the same,
    /// less politely.
    async fn close(&mut self);
}

/// A dead letter: any bytes at all.
#[derive(Debug)]
pub struct DeadLetter {
    /// Bytes of the message, or its beginning.
    pub bytes: Vec<u8>,
    /// Length of the message, in bytes, where it is longer than [`crate::MAX_BATCH_BYTES`] and
    /// `bytes` are its beginning.
    pub cut_from: Option<u64>,
    /// Reason for dead-lettering it, in a program's own word, such as `not-a-batch` or
    /// `delivery-limit`; `None` where that is unknown.
    pub reason: Option<String>,
    /// Token to settle it by.
    pub token: Token,
}

/// Reads a reason if it is a single word: everybody who may write to the queue may have written
/// anything there.
pub(crate) fn reason_word(text: &str) -> Option<String> {
    let text = text.trim_end();
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    let is_word = !text.is_empty() && text.len() <= MAX_REASON_BYTES && text.bytes().all(fits);
    // RabbitMQ writes `delivery_limit`, everything of ours `delivery-limit`.
    is_word.then(|| text.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_reasons() {
        assert_eq!(reason_word("not-a-batch\n").as_deref(), Some("not-a-batch"));
        assert_eq!(
            reason_word("delivery_limit").as_deref(),
            Some("delivery-limit")
        );
        for other in [
            "",
            "\n",
            "two words",
            "Ivanov",
            "\u{1b}[31m",
            &"x".repeat(65),
        ] {
            assert_eq!(reason_word(other), None, "{other:?}");
        }
    }
}

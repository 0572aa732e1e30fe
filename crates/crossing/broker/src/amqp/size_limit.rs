//! Length that the broker has told to be the longest of a message, once it has refused one.
//!
//! It refuses by closing the channel, and with it every message on the way. So a message that is
//! known to be too long is not sent: it would keep all others from arriving, again and again.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::BrokerError;

/// Limit of a broker, as far as it is known.
#[derive(Debug)]
pub(super) struct SizeLimit(AtomicU64);

impl Default for SizeLimit {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl SizeLimit {
    /// Notes the limit, in bytes, by which a message was refused.
    pub(super) fn note(&self, limit_bytes: u64) {
        self.0.store(limit_bytes, Ordering::Relaxed);
    }

    /// Forgets the limit: the broker may have been started with another one.
    pub(super) fn forget(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// Refuses a message that the broker would refuse.
    ///
    /// # Errors
    /// [`BrokerError::TooLong`].
    pub(super) fn check(&self, message_bytes: usize) -> Result<(), BrokerError> {
        let limit_bytes = self.0.load(Ordering::Relaxed);
        let bytes = message_bytes as u64;
        if bytes <= limit_bytes {
            Ok(())
        } else {
            Err(BrokerError::TooLong { bytes, limit_bytes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_holds_at_its_edge_and_until_it_is_forgotten() {
        let limit = SizeLimit::default();
        assert_eq!(limit.check(usize::MAX), Ok(()));
        limit.note(20_000);
        assert_eq!(limit.check(20_000), Ok(()));
        let error = limit.check(20_001).unwrap_err();
        assert!(!error.is_retry() && error.is_of_the_message(), "{error}");
        assert!(error.to_string().contains("20001 bytes") && error.to_string().contains("20000"));
        limit.forget();
        assert_eq!(limit.check(20_001), Ok(()));
    }
}

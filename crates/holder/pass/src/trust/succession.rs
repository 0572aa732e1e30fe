//! Conditions on which a bundle may follow another: no verifier that may be offline learns of a key
//! too late, and no pass loses its key before it expires.

use crate::keys::KeyId;
use crate::trust::{TrustBundle, TrustedKey};
use crate::verify::CANNOT_TELL_AFTER;

/// Reason why a bundle must not follow another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionFault {
    /// The sequence does not rise.
    #[error("the sequence of a trust bundle must rise")]
    Sequence,
    /// The time of issue, or the lowest revocation sequence, goes back.
    #[error("the time of issue and the lowest revocation sequence of a bundle must not go back")]
    GoesBack,
    /// A new key signs so early that a verifier which is offline for as long as it may be refuses
    /// the key's first passes.
    #[error("key {0} is new: it must begin later than 72 hours after the bundle's time of issue")]
    TooEarly(KeyId),
    /// A key of the earlier bundle is gone or ends earlier, while its passes may still hold.
    #[error("key {0} has passes that hold: it must stay with its times and products until it ends")]
    Gone(KeyId),
}

impl TrustBundle {
    /// Checks that the bundle may follow an earlier one. The first bundle follows none.
    ///
    /// # Errors
    /// The first reason why it must not.
    pub fn check_after(&self, earlier: &Self) -> Result<(), SuccessionFault> {
        if self.sequence <= earlier.sequence {
            return Err(SuccessionFault::Sequence);
        }
        let later = self.issued_at >= earlier.issued_at;
        if !later || self.lowest_revocations < earlier.lowest_revocations {
            return Err(SuccessionFault::GoesBack);
        }
        let kid = |key: &TrustedKey| key.key.kid();
        for key in &earlier.keys {
            let over = key.until <= self.issued_at;
            let stays = |now: &TrustedKey| {
                let products = key.products.iter().all(|product| now.is_for(*product));
                now.from <= key.from && now.until >= key.until && products
            };
            if !over && !self.key(&kid(key).0).is_some_and(stays) {
                return Err(SuccessionFault::Gone(kid(key)));
            }
        }
        for key in &self.keys {
            let known = earlier.key(&kid(key).0).is_some();
            let ahead = key.from.signed_duration_since(self.issued_at);
            if !known && ahead <= CANNOT_TELL_AFTER {
                return Err(SuccessionFault::TooEarly(kid(key)));
            }
        }
        Ok(())
    }
}

//! A key that an answer is believed under.

use oprf::PublicKey;

/// A public key that the service has to prove its evaluations with.
#[derive(Clone, Copy)]
pub(crate) struct PinnedKey {
    /// The city's pseudonym epoch.
    pub(crate) epoch: u16,
    /// The service's own number of the key.
    pub(crate) key: u16,
    /// The public key.
    pub(crate) public_key: PublicKey,
}

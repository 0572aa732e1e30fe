//! A key that tokens are believed under.

use oprf::TokenPublicKey;

use super::config::PinnedTokenKeyConfig;

/// A key that tokens are believed under.
#[derive(Clone, Copy)]
pub(super) struct PinnedTokenKey {
    /// Name of the setting.
    pub(super) setting: &'static str,
    /// The issuer's own number of the key.
    pub(super) key: u16,
    /// The public key.
    pub(super) public_key: TokenPublicKey,
}

impl PinnedTokenKey {
    pub(super) fn new(setting: &'static str, config: &PinnedTokenKeyConfig) -> Self {
        Self {
            setting,
            key: config.key.get(),
            public_key: config.public_key,
        }
    }
}

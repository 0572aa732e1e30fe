//! Reasons for which no pass is issued, or nothing published.

use pass::FieldFault;
use pass::revocation::{EditionError, TooManyTags};
use pass::window::WindowError;

use crate::store::StoreError;

/// Reason for which no pass is issued, or nothing published; what the facts say is no error.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Store that failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Windows that cannot be computed.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// No key signs the product now and is accepted until the pass ends.
    #[error(
        "no key signs {product} now and is accepted until the end of what it would sign; add the \
         next key days before the present one's end"
    )]
    NoKey {
        /// Product that would be signed.
        product: &'static str,
    },
    /// No key signs certificates now, or it ends before the certificate would begin.
    #[error(
        "no key signs certificates (hcert) now; add one to [[passes.keys]], with products = \
         [\"hcert\"]: `city-registry init` in an empty folder makes one"
    )]
    NoCertificateKey,
    /// More passes have ended than a list holds.
    #[error("the list of ended passes is full: {0}")]
    TooMany(#[from] TooManyTags),
    /// Trust bundle that cannot be made of the configured keys.
    #[error("the trust bundle cannot be made: {0}")]
    Trust(#[from] FieldFault),
    /// Value that a certificate cannot carry.
    #[error("the certificate cannot be made: {0}")]
    Certificate(#[source] FieldFault),
    /// Clock, or sequence, that no list can carry.
    #[error(transparent)]
    Edition(#[from] EditionError),
}

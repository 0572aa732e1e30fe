//! Keys of passes: ECDSA P-256 (ES256), their ids, and their JSON form.

mod jwk;
mod public;
mod signing;

#[cfg(test)]
mod tests;

pub use jwk::{MAX_JWK_SET_BYTES, MAX_JWK_SET_KEYS, jwk_set, read_jwk_set};
pub use public::{KeyId, PublicKey};
pub use signing::SigningKey;

/// Fault of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The text is no PEM block `PRIVATE KEY`.
    #[error(
        "the key is not one PEM block PRIVATE KEY (PKCS #8, not encrypted); \
         openssl pkcs8 -topk8 -nodes makes it from others"
    )]
    Pem,
    /// The bytes are no PKCS #8 document of a P-256 key with its public key.
    #[error("the key is not a PKCS #8 document of a P-256 key with its public key: {0}")]
    Pkcs8(String),
    /// The text is no JSON of a key or a key set.
    #[error("the key set is not JSON of the form {{\"keys\": […]}}")]
    JwkSet,
    /// A key set has too many keys or bytes.
    #[error("the key set is longer than {MAX_JWK_SET_KEYS} keys or {MAX_JWK_SET_BYTES} bytes")]
    JwkSetTooLong,
    /// A member of a JWK is missing or has another value than those of an ES256 key.
    #[error("key {number} of the set: {member} must be {wanted}")]
    Jwk {
        /// Place of the key in its set, from 1.
        number: usize,
        /// Name of the member.
        member: &'static str,
        /// Value that the member must have.
        wanted: &'static str,
    },
}

//! One-use tokens that nobody can connect with whom they were issued to: the structure of RFC 9577,
//! section 2.2, issued as RFC 9578, section 5 does, over ristretto255.

mod blinding;
mod challenge;
mod keys;
mod structure;
#[cfg(test)]
mod tests;

pub use blinding::TokenBlinding;
#[cfg(test)]
pub(crate) use blinding::output;
pub use challenge::TokenUse;
pub use keys::{TokenKey, TokenPublicKey};
pub use structure::{Token, TokenError};

//! Blind evaluation under a key that nobody sees: RFC 9497 over ristretto255, verifiable mode.
//!
//! Values only: no clock, no network. README.md has the byte formats and what differs from the RFC.

mod answer;
mod blinding;
mod element;
mod factor;
mod proof;
mod public_key;
mod random;
mod request;
mod service_key;
mod text;
mod token;
mod wire;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;

pub use answer::AnswerError;
pub use blinding::{Blinding, TooMany};
pub use element::Element;
pub use factor::Factor;
pub use public_key::PublicKey;
pub use request::{Request, RequestError};
pub use service_key::ServiceKey;
pub use text::{TextError, TextKind};
pub use token::{Token, TokenBlinding, TokenError, TokenKey, TokenPublicKey, TokenUse};
pub use wire::{
    DAY_TOKEN_ELEMENTS, ELEMENT_BYTES, MAX_ANSWER_BYTES, MAX_ELEMENTS, MAX_REQUEST_BYTES, SIZES,
    answer_bytes, request_bytes,
};

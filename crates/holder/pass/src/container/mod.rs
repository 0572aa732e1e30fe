//! The container of a pass: `HC1:` and base45 (RFC 9285) of a zlib stream (RFC 1950) of a
//! COSE_Sign1 (RFC 9052). Everything here works without keys, so that the container of another
//! issuer can be opened too.

mod fault;
mod limits;
mod sign1;
mod text;
mod zlib;

#[cfg(test)]
mod tests;

pub use fault::{ContainerFault, Step};
pub use limits::{MAX_COSE_BYTES, MAX_INFLATED_BYTES, MAX_TEXT_CHARS};
pub use sign1::{Algorithm, Envelope, ToSign};
pub use text::{PREFIX, from_base45, from_text, to_text};
pub use zlib::{inflate, store};

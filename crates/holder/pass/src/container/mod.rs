//! The container of a pass: `HC1:` and base45 (RFC 9285) of a zlib stream (RFC 1950) of a
//! COSE_Sign1 (RFC 9052). Everything here works without keys, so that the container of another
//! issuer can be opened too.

mod fault;
mod sign1;
mod text;
mod zlib;

#[cfg(test)]
mod tests;

pub use fault::{ContainerFault, Step};
pub use sign1::{Algorithm, Envelope, MAX_COSE_BYTES, ToSign};
pub use text::{MAX_TEXT_CHARS, PREFIX, from_text, to_text};
pub use zlib::{MAX_INFLATED_BYTES, inflate, store};

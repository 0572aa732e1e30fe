//! Passes: what a citizen shows and a restaurant checks, as functions over values.

mod cbor;
pub mod container;
pub mod keys;
mod time;

pub use cbor::FieldFault;
pub use time::LAST_SECOND;

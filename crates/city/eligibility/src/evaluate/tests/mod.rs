//! Tests of the evaluation: examples, laws over invented persons, and an independent oracle.

mod examples;
pub(crate) mod invented;
mod laws;
mod oracle;
mod precision;

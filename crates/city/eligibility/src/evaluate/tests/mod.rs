//! Tests of the evaluation: examples, laws over invented persons, and an independent oracle.

mod examples;
mod invented;
mod laws;
mod oracle;
mod precision;

//! Filter of what the broker sends, between the connection and the driver.
//!
//! Everybody with an account decides about properties, routing key and length of a message. A
//! header frame larger than agreed on, headers nested thousands deep, a key that is no text: each
//! ends the driver's connection or the process, and all unacknowledged messages count a delivery.
//! So frames are read here first, in constant memory: properties are written anew with the few
//! that count, routing keys are left out, and of a body that is too long the beginning passes.

mod filter;
mod rewrite;
mod stream;

pub(super) use rewrite::{DELIVERY_COUNT_HEADER, FIRST_DEATH_HEADER, LENGTH_HEADER, REASON_HEADER};
pub(super) use stream::{FilteredStream, FilteringReactor};

//! Passes: what a citizen shows and a restaurant checks, as functions over values.

pub mod holder;
pub mod revocation;
pub mod window;

//! Passes: what a citizen shows and a restaurant checks, as functions over values.

pub mod container;

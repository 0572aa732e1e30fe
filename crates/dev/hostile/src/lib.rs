//! Attacks on the city by an account that may publish, and what is needed to see that they fail:
//! private servers, honest clinics beside the hostile one, and what a portal finds in the end.
//!
//! The attacks themselves are the tests in `tests/it/`, one file a topic.

mod account;
mod city;
pub mod classifier;
mod clinic;
pub mod dice;
mod findings;
pub mod forgery;
pub mod joining;
mod model;
pub mod people;
mod servers;
pub mod size;

pub use account::{Account, reasons};
pub use city::{City, DATABASE, now};
pub use clinic::Clinic;
pub use findings::{Facts, Findings, Known};
pub use model::model;
pub use servers::Servers;

/// Result of a step of a test; any error ends the test.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

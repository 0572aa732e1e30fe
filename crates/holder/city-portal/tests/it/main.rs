//! The portal as a browser and an operator meet it: the program as a process, over a double of the
//! registry's interface and over the registry itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod answers;
mod audit;
mod browser;
mod double;
mod faults;
mod key_double;
mod leaks;
mod library;
mod picture;
mod program;
mod pseudonyms;
mod real;
mod sheet;
mod strong;
mod strong_check;
mod strong_faults;
mod strong_leaks;
mod tls;
mod verifier_site;

//! The program `pass` as it is run: arguments, files, standard input, exit codes, output.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod city;
mod door;
mod hcert;
mod run;
mod scenarios;

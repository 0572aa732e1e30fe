//! Processes: the programs under test built, configured and run, and processes watched from
//! outside.

pub(crate) mod build;
pub(crate) mod child;
pub(crate) mod config;
pub(crate) mod figures;
pub(crate) mod key_service;
pub(crate) mod load;
pub(crate) mod programs;
pub(crate) mod ready;
pub(crate) mod watch;

//! Demonstration portal of a city: a citizen states an identifier and gets status and passes.
//!
//! The only program that sees a citizen's identifier. It computes the pseudonyms that the city's
//! clinics make, or has key services evaluate them blindly, asks the registry by them over HTTP,
//! and keeps nothing: an identifier lives as long as the request that brought it.

mod access;
mod answer;
mod ceilings;
mod citizen;
mod config;
mod fault_log;
mod http;
mod limits;
mod metrics;
mod open;
mod outcome;
mod pdf;
mod portal;
mod pseudonyms;
mod registry;
mod route_names;
mod sentence;
mod tally;
mod verifier_site;

#[cfg(feature = "cli")]
pub mod cli;

pub use access::AccessMistake;
pub use config::{
    ClientCertificate, Config, KeysConfig, KeysMistake, PageConfig, RegistryConfig, TlsConfig,
    VerifierConfig,
};
pub use http::{TlsError, acceptor};
pub use limits::{ELEMENTS_OF_A_QUESTION, MAX_BODY_BYTES, MAX_TYPED_CHARS};
pub use metrics::register_metrics;
pub use open::{OpenPortalError, open_portal};
pub use portal::{CityPortal, PortalSettings};
pub use pseudonyms::{
    KeyServiceFault, KeyServiceFaultKind, KeyServices, PseudonymFault, PseudonymSource,
};
pub use registry::{ClientMistake, RegistryClient, RegistryFault, RegistryFaultKind};
pub use tally::RequestTally;
pub use verifier_site::{PageFolderMistake, RootMistake, VerifierMistake, VerifierSite};

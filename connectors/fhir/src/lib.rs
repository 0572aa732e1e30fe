//! Connector for clinic systems that offer HL7 FHIR R4 over HTTPS: doses, tests and recoveries,
//! read only.
//!
//! [`FhirConnector`] searches `Immunization`, `Observation` and `Condition` by `_lastUpdated`,
//! follows every page, and reads of each person nothing but identifiers. All mapping is pure;
//! `http` is the only module that does I/O.

mod build;
mod bundle;
mod by_id;
mod check;
mod circle;
mod config;
mod connector;
mod corrected;
mod cursor;
mod date;
mod fact;
mod fault;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod identity;
mod keys;
mod model;
mod outcome;
mod patients;
mod query;
mod regress;
mod sweep;

pub use config::{
    Auth, BasicAuth, ClientCertificate, FeedName, FhirConfig, IdentifierName, Include,
};
pub use connector::FhirConnector;

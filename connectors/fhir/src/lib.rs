//! Connector for clinic systems that offer HL7 FHIR R4 over HTTPS: doses, tests and recoveries, read only.
//!
//! [`FhirConnector`] searches `Immunization`, `Observation` and `Condition` by `_lastUpdated`, follows every page, and
//! reads of each person nothing but identifiers. All mapping is pure; `http` is the only module that does I/O.

mod bundle;
mod check;
mod config;
mod connector;
mod corrected;
mod cursor;
mod date;
mod fact;
mod fault;
mod http;
mod identity;
mod model;
mod outcome;
mod patients;
mod query;

pub use config::{Auth, BasicAuth, ClientCertificate, FeedName, FhirConfig, IdentifierName, Include};
pub use connector::FhirConnector;

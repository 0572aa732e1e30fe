//! Connector for clinic systems that offer HL7 FHIR R4 over HTTPS: doses, tests and recoveries,
//! read only, but for the export job that a first load may have made and deletes.
//!
//! [`FhirConnector`] searches `Immunization`, `Observation` and `Condition` by `_lastUpdated`,
//! follows every page, and reads of each person nothing but identifiers. All mapping is pure;
//! `http` is the only module that does I/O.

mod bounds;
mod build;
mod bundle;
mod by_id;
mod capability_statement;
mod check;
mod config;
mod connector;
mod content_settings;
mod corrected;
mod credentials;
mod cursor;
mod cycle;
mod date;
mod deleted;
mod export;
mod fact;
mod fingerprint;
mod first_search;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gzip;
mod http;
mod identity;
mod ids;
mod include;
mod keys;
mod linked;
mod links;
mod login;
mod model;
mod outcome;
mod page_reader;
mod pass_error;
mod patience;
mod patient_links;
mod patients;
mod position;
mod proposal;
mod pull;
mod query;
mod readable;
mod records;
mod refusal;
mod run_window;
mod search_run;
mod server_limits;
mod session;
mod stamp_mark;
mod stamps_went_back;
mod subjects;
mod sweep;
mod transport_error;
mod unstamped;
mod web_address;
mod windows;

pub use config::{
    Auth, BasicAuth, ClientCertificate, FeedName, FhirConfig, IdentifierName, Include, Links,
    RecoveredOn,
};
pub use connector::FhirConnector;
pub use export::settings::{ExportFilter, ExportOrigin, FirstLoad};
pub use folder::{FhirFolderConfig, FhirFolderConnector};
pub use login::{ClientCredentials, SecretMethod, SmartBackend};
pub use proposal::{ServerProposal, propose};

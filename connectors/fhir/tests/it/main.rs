//! The connector against real servers on loopback: the testbed's FHIR server, wiremock for faults,
//! rustls for TLS.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "settings are written where they are passed"
)]

mod by_id;
mod check;
mod conformance;
mod corrected;
mod deleted;
mod endless;
mod export;
mod export_content;
mod export_odd;
mod export_stores;
mod faults;
mod folder;
mod include;
mod keys;
mod links;
mod login;
mod merged;
mod paging;
mod pull;
mod rates;
mod stamps_went_back;
mod subject;
mod support;
mod tls;
mod unstamped;

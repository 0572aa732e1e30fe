//! The connector against real servers on loopback: the testbed's FHIR server, wiremock for faults, rustls for TLS.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::needless_pass_by_value, reason = "settings are written where they are passed")]

mod check;
mod corrected;
mod faults;
mod paging;
mod pull;
mod support;
mod tls;

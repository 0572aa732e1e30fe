//! Entry points for `crates/dev/parsers`: what others wrote, read by the generic check.

use chrono::{DateTime, Utc};

use crate::ending::Ending;
use crate::hcert;
use crate::input;

/// Runs a test vector file; true if it is one.
#[must_use]
pub fn vector(text: &str, now: DateTime<Utc>) -> bool {
    hcert::run_vector(text, now)
}

/// Checks the text of a health certificate with the certificates of a signer; true if it is valid.
///
/// # Errors
/// The file of the signer holds no certificates.
pub fn health_certificate(text: &str, signers: &[u8], now: DateTime<Utc>) -> Result<bool, String> {
    let report = hcert::check_text(text, signers, now)?;
    Ok(report.ending() == Ending::Valid)
}

/// Certificates in a signer's file; `None` if there are none that can be read.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Option<usize> {
    hcert::count_certificates(bytes)
}

/// Texts of the QR codes in a picture; `None` if there are none.
#[must_use]
pub fn picture(png: &[u8]) -> Option<Vec<String>> {
    input::codes(png).ok()
}

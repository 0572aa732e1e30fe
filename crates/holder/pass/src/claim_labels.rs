//! Labels of the claims of passes (CWT, RFC 8392).

/// Label of the issuer (RFC 8392 section 3.1.1).
pub(crate) const ISSUER: i64 = 1;
/// Label of the expiry (RFC 8392 section 3.1.4).
pub(crate) const EXPIRY: i64 = 4;
/// Label of the first second (RFC 8392 section 3.1.5).
pub(crate) const NOT_BEFORE: i64 = 5;
/// Label of the time of issue (RFC 8392 section 3.1.6).
pub(crate) const ISSUED_AT: i64 = 6;
/// Label of the pass id (RFC 8392 section 3.1.7).
pub(crate) const PASS_ID: i64 = 7;
/// Label of the holder's attributes: of the private range (RFC 8392 section 9.1).
pub(crate) const HOLDER: i64 = -65537;
/// Label of the electronic health certificate.
pub(crate) const HCERT: i64 = -260;

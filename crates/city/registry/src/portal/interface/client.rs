//! Client of the portal's interface, as its connection shows who it is.

use std::fmt;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

/// Number of bytes of a fingerprint that are written to the log.
const SHOWN: usize = 8;

/// Client of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Program on the same machine; without TLS all of them are one.
    Loopback,
    /// Holder of a certificate, by the SHA-256 fingerprint of it.
    Certificate([u8; 32]),
}

impl Client {
    /// Client that showed this certificate.
    pub(super) fn of_certificate(certificate: &CertificateDer<'_>) -> Self {
        Self::Certificate(Sha256::digest(certificate).into())
    }

    /// Bytes that differ from those of every other client.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Loopback => &[],
            Self::Certificate(fingerprint) => fingerprint,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Certificate(fingerprint) => f.write_str(&hex::encode(&fingerprint[..SHOWN])),
        }
    }
}

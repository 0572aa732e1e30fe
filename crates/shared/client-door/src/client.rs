//! Client of an interface, as its connection shows who it is.

use std::fmt;

use crate::Fingerprint;

/// Number of bytes of a fingerprint that are written to the log.
const SHOWN: usize = 8;

/// Client of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Program on the same machine; without TLS all of them are one.
    Loopback,
    /// Holder of a certificate, by its fingerprint.
    Certificate(Fingerprint),
}

impl Client {
    /// Bytes that differ from those of every other client.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Loopback => &[],
            Self::Certificate(fingerprint) => fingerprint.as_bytes(),
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Certificate(fingerprint) => {
                f.write_str(&hex::encode(&fingerprint.as_bytes()[..SHOWN]))
            }
        }
    }
}

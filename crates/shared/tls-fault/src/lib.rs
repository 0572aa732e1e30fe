//! Failures of a TLS connection told apart, in words and with what to change. Nothing of an error's
//! own text is passed on.

mod certificate;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;

use rustls::AlertDescription;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use certificate::CertificateFault;

/// Longest file of certificates that is looked into, in bytes; the system's own list of authorities
/// is shorter.
pub const MAX_CERTIFICATE_BYTES: u64 = 1 << 20;

/// Help for a file that has to hold a certificate and does not.
pub const CERTIFICATE_FORM: &str =
    "give a file with -----BEGIN CERTIFICATE-----; a key or a certificate in DER is none";

/// Returns whether the content of a file is PEM text that holds a certificate. Drivers take a file
/// without any for one that trusts nobody, and say nothing.
#[must_use]
pub fn has_certificate(content: &[u8]) -> bool {
    CertificateDer::pem_slice_iter(content).any(|certificate| certificate.is_ok())
}

/// Help for a handshake that failed where this side speaks TLS 1.3 alone, which hides its certificate.
pub const ONLY_TLS_1_3: &str = "enable TLS 1.3 there: nothing older is spoken here, since it \
                                shows the client's certificate to whoever listens";

/// Failure of a TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// Certificate of the server that is not accepted here.
    Certificate(CertificateFault),
    /// Client certificate that the server wants and did not get, or does not accept.
    ClientCertificate,
    /// Handshake that the server refused.
    Refused,
    /// Peer that answers something else than TLS.
    NoTls,
    /// Server without a version or cipher that both sides know.
    NothingInCommon,
    /// Handshake that broke off; it may pass.
    BrokenOff,
}

impl TlsFault {
    /// Looks for rustls' error among an error and its causes; `io::Error` hides what it wraps from
    /// `source`, so it is opened. `None` if no error of TLS is among them.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut current = Some(error);
        while let Some(cause) = current {
            if let Some(found) = cause.downcast_ref::<rustls::Error>() {
                return Some(found.into());
            }
            current = match cause
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
            {
                Some(inner) => Some(inner),
                None => cause.source(),
            };
        }
        None
    }

    /// Clause that says what is wrong; `server` is its name in the sentence.
    #[must_use]
    pub fn what(self, server: &str) -> String {
        match self {
            Self::Certificate(fault) => {
                format!("the certificate of {server} {}", fault.predicate())
            }
            Self::ClientCertificate => {
                format!("{server} wants a client certificate it trusts, and did not get one")
            }
            Self::Refused => format!("{server} refused the TLS handshake"),
            Self::NoTls => format!("no TLS is spoken at {server}"),
            Self::NothingInCommon => {
                format!("{server} offers no TLS version or cipher in use today")
            }
            Self::BrokenOff => format!("the TLS handshake with {server} failed"),
        }
    }

    /// Clause that says what to change; `None` where the fault may pass by itself.
    #[must_use]
    pub const fn help(self) -> Option<&'static str> {
        Some(match self {
            Self::Certificate(fault) => fault.help(),
            Self::ClientCertificate => "give a client certificate and key that are valid there",
            Self::Refused => "it may want a client certificate, or lack TLS 1.2",
            Self::NoTls => "correct host or port, or how it is encrypted",
            Self::NothingInCommon => "enable TLS 1.2 or 1.3 there",
            Self::BrokenOff => return None,
        })
    }
}

impl From<&rustls::Error> for TlsFault {
    fn from(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::Certificate(error.into()),
            rustls::Error::AlertReceived(alert) => of_alert(*alert),
            rustls::Error::InvalidMessage(_) => Self::NoTls,
            rustls::Error::PeerIncompatible(_) => Self::NothingInCommon,
            _ => Self::BrokenOff,
        }
    }
}

const fn of_alert(alert: AlertDescription) -> TlsFault {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired
        | A::NoCertificate
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => TlsFault::ClientCertificate,
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => TlsFault::Refused,
        _ => TlsFault::BrokenOff,
    }
}

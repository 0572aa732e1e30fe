//! Faults of a server's certificate.

use rustls::CertificateError;

/// Reason why a server's certificate is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// Past its last day.
    Expired,
    /// Before its first day.
    NotYetValid,
    /// Self-signed, or of an authority that is not trusted here.
    UnknownIssuer,
    /// Signature that does not hold: a trusted certificate has the issuer's name and another key
    /// (which is so of two self-signed certificates of one name), or a key is below the least
    /// strength.
    BadSignature,
    /// Signature by an algorithm that is not accepted, such as SHA-1.
    WeakAlgorithm,
    /// For another host name.
    WrongName,
    /// Revoked.
    Revoked,
    /// Certificate of an authority, shown by a server.
    AuthoritysOwn,
    /// Of X.509 version 1 or 2.
    OldVersion,
    /// For another purpose than a server.
    WrongPurpose,
    /// Anything else.
    Unusable,
}

impl CertificateFault {
    /// Every fault.
    pub const ALL: [Self; 11] = [
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownIssuer,
        Self::BadSignature,
        Self::WeakAlgorithm,
        Self::WrongName,
        Self::Revoked,
        Self::AuthoritysOwn,
        Self::OldVersion,
        Self::WrongPurpose,
        Self::Unusable,
    ];

    /// Predicate of a sentence about the certificate.
    #[must_use]
    pub const fn predicate(self) -> &'static str {
        match self {
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::UnknownIssuer => {
                "is self-signed, or of an unknown authority that is not trusted here"
            }
            Self::BadSignature => {
                "is not signed by the trusted certificate that has its issuer's name: it may be \
                 self-signed, its authority may have a new key, or a key may be weaker than RSA \
                 2048"
            }
            Self::WeakAlgorithm => {
                "is signed by an algorithm that is not secure any more, such as SHA-1"
            }
            Self::WrongName => "is for another host name",
            Self::Revoked => "has been revoked",
            Self::AuthoritysOwn => "is self-signed as an authority's own (CA:TRUE)",
            Self::OldVersion => "is of X.509 version 1, which is not accepted",
            Self::WrongPurpose => "is not made for a server",
            Self::Unusable => "is not acceptable",
        }
    }

    /// Clause that says what to change.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Expired => "have it renewed, or set this machine's clock right",
            Self::NotYetValid => "set this machine's clock right, or have it issued anew",
            Self::UnknownIssuer => {
                "set ca_file to its authority's certificate (PEM), or to the certificate itself \
                 where it is self-signed"
            }
            Self::BadSignature => {
                "set ca_file to its authority's present certificate (PEM), or to the certificate \
                 itself where it is self-signed; a key below RSA 2048 bits has to be made anew"
            }
            Self::WeakAlgorithm => {
                "have it issued anew, signed with SHA-256 or better, keys of RSA 2048 bits or \
                 more, ECDSA or Ed25519"
            }
            Self::WrongName => "name the server by a host name that its certificate has",
            Self::Revoked => "have it renewed",
            Self::AuthoritysOwn => {
                "have the authority issue one for the server, or make a self-signed one without \
                 CA:TRUE (basicConstraints)"
            }
            Self::OldVersion => {
                "have it issued anew as version 3, with the host name as a subjectAltName"
            }
            Self::WrongPurpose => "have one issued for server authentication",
            Self::Unusable => {
                "it needs to be a server certificate, X.509 version 3, of a trusted authority"
            }
        }
    }
}

impl From<&CertificateError> for CertificateFault {
    fn from(error: &CertificateError) -> Self {
        use CertificateError as C;
        match error {
            C::Expired | C::ExpiredContext { .. } => Self::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => Self::NotYetValid,
            C::UnknownIssuer => Self::UnknownIssuer,
            C::BadSignature => Self::BadSignature,
            C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::WeakAlgorithm,
            C::NotValidForName | C::NotValidForNameContext { .. } => Self::WrongName,
            C::Revoked => Self::Revoked,
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => Self::WrongPurpose,
            C::Other(other) => other
                .0
                .downcast_ref::<webpki::Error>()
                .map_or(Self::Unusable, of_webpki),
            _ => Self::Unusable,
        }
    }
}

const fn of_webpki(error: &webpki::Error) -> CertificateFault {
    match error {
        webpki::Error::CaUsedAsEndEntity => CertificateFault::AuthoritysOwn,
        webpki::Error::UnsupportedCertVersion => CertificateFault::OldVersion,
        _ => CertificateFault::Unusable,
    }
}

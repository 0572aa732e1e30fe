//! Failures below HTTP, put in words: connecting, TLS, redirects, time. Nothing of an error's own
//! text is passed on.

use std::error::Error;
use std::io;

use connector_kit::SourceError;
use rustls::{AlertDescription, CertificateError};

use crate::refusal::HttpRefusal;

/// Reason why a redirect was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedirectFault {
    /// Leads to another scheme, host or port.
    OffHost,
    /// Is one of too many in a row.
    TooMany,
}

impl std::fmt::Display for RedirectFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OffHost => "redirect to another host",
            Self::TooMany => "too many redirects",
        })
    }
}

impl Error for RedirectFault {}

impl From<reqwest::Error> for HttpRefusal {
    fn from(error: reqwest::Error) -> Self {
        let described = describe(&error);
        // A server that cannot be reached, or that says nothing, has had its time.
        let is_brief = matches!(described, SourceError::Retry { .. })
            && !error.is_connect()
            && !error.is_timeout();
        Self {
            status: None,
            is_brief,
            error: described,
        }
    }
}

/// Error for a request that got no answer, or not the whole of one.
fn describe(error: &reqwest::Error) -> SourceError {
    if let Some(fault) = find::<RedirectFault>(error) {
        return redirect_error(*fault);
    }
    if let Some(fault) = find::<rustls::Error>(error) {
        return tls_error(fault);
    }
    if error.is_timeout() {
        return SourceError::retry(if error.is_connect() {
            "connecting to the FHIR server took longer than connect_timeout_seconds"
        } else {
            "the FHIR server did not answer within request_timeout_seconds"
        });
    }
    if error.is_dns() {
        return SourceError::retry("the FHIR server's host name cannot be resolved");
    }
    if error.is_decode() {
        return SourceError::retry("the FHIR server's answer cannot be decompressed");
    }
    SourceError::retry(broken_connection(error))
}

fn redirect_error(fault: RedirectFault) -> SourceError {
    match fault {
        RedirectFault::OffHost => SourceError::misconfigured(
            "the FHIR server redirects to another scheme, host or port, and redirects off the \
             host are not followed",
            "set base_url to the address the server itself uses",
        ),
        RedirectFault::TooMany => SourceError::misconfigured(
            "the FHIR server answers with redirect after redirect",
            "set base_url to the final address",
        ),
    }
}

fn broken_connection(error: &reqwest::Error) -> &'static str {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "the FHIR server refuses connections",
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => "the FHIR server closed the connection in the middle of an answer",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            "the FHIR server's network cannot be reached"
        }
        _ if error.is_connect() => "the FHIR server cannot be reached",
        _ => "the FHIR server's answer broke off",
    }
}

/// Error for a TLS failure: nearly always something a person has to mend.
fn tls_error(error: &rustls::Error) -> SourceError {
    use CertificateError as C;
    let (what, help) = match error {
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => (
            "the FHIR server's certificate has expired",
            "have it renewed, or set this machine's clock right",
        ),
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => (
            "the FHIR server's certificate is not valid yet",
            "set this machine's clock right",
        ),
        // A bad signature: another authority of the same name, such as the clinic's own from before
        // it was renewed.
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => (
            "the FHIR server's certificate is signed by an authority that is not trusted here",
            "set ca_file to the clinic's authority (PEM)",
        ),
        rustls::Error::InvalidCertificate(
            C::NotValidForName | C::NotValidForNameContext { .. },
        ) => (
            "the FHIR server's certificate is for another host name",
            "write the certificate's host name in base_url",
        ),
        rustls::Error::InvalidCertificate(C::Revoked) => (
            "the FHIR server's certificate has been revoked",
            "have it renewed",
        ),
        rustls::Error::InvalidCertificate(_) => (
            "the FHIR server's certificate is not acceptable",
            "it needs a server certificate (X.509 version 3, not an authority's own) from a \
             trusted authority",
        ),
        rustls::Error::AlertReceived(alert) => return refused_by_server(*alert),
        rustls::Error::InvalidMessage(_) => (
            "no TLS is spoken at the FHIR server's address",
            "correct scheme or port in base_url",
        ),
        rustls::Error::PeerIncompatible(_) => (
            "the FHIR server offers no TLS version or cipher in use today",
            "enable TLS 1.2 or 1.3 there",
        ),
        _ => return SourceError::retry("the TLS connection to the FHIR server failed"),
    };
    SourceError::misconfigured(what, help)
}

fn refused_by_server(alert: AlertDescription) -> SourceError {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired
        | A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => SourceError::misconfigured(
            "the FHIR server wants a client certificate it trusts, and did not get one",
            "set client_certificate = { cert_file = …, key = … } to a certificate that is valid \
             there",
        ),
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => {
            SourceError::misconfigured(
                "the FHIR server refused the TLS handshake",
                "it may want a client certificate, or lack TLS 1.2",
            )
        }
        _ => SourceError::retry("the FHIR server broke off the TLS handshake"),
    }
}

/// The first error of a type among the causes; `io::Error` hides what it wraps from `source`, so it
/// is opened.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut current = Some(error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
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

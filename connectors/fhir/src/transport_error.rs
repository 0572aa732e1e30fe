//! Failures below HTTP, put in words: connecting, TLS, redirects, time. Nothing of an error's own
//! text is passed on.

use std::error::Error;
use std::io;

use connector_kit::SourceError;
use tls_fault::{CertificateFault, TlsFault};

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

/// Server that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    FhirServer,
    TokenEndpoint,
    /// One of `export_origins`.
    FileStore,
}

impl Peer {
    const fn name(self) -> &'static str {
        match self {
            Self::FhirServer => "the FHIR server",
            Self::TokenEndpoint => "the token endpoint",
            Self::FileStore => "the store of the export's files",
        }
    }

    /// Setting that holds the address.
    const fn setting(self) -> &'static str {
        match self {
            Self::FhirServer => "base_url",
            Self::TokenEndpoint => "token_endpoint",
            Self::FileStore => "export_origins",
        }
    }
}

impl From<reqwest::Error> for HttpRefusal {
    fn from(error: reqwest::Error) -> Self {
        refusal(&error, Peer::FhirServer)
    }
}

/// Refusal for a request that got no answer, or not the whole of one.
pub(crate) fn refusal(error: &reqwest::Error, peer: Peer) -> HttpRefusal {
    let described = describe(error, peer);
    // A server that cannot be reached, or that says nothing, has had its time.
    let is_brief = matches!(described, SourceError::Retry { .. })
        && !error.is_connect()
        && !error.is_timeout();
    HttpRefusal {
        status: None,
        is_brief,
        error: described,
    }
}

/// Error for a request that got no answer, or not the whole of one.
fn describe(error: &reqwest::Error, peer: Peer) -> SourceError {
    let name = peer.name();
    if let Some(fault) = find::<RedirectFault>(error) {
        return redirect_error(*fault, peer);
    }
    if let Some(fault) = TlsFault::find(error) {
        return tls_error(fault, peer);
    }
    if error.is_timeout() {
        return SourceError::retry(if error.is_connect() {
            format!("connecting to {name} took longer than connect_timeout_seconds")
        } else {
            format!("{name} did not answer within request_timeout_seconds")
        });
    }
    if error.is_dns() {
        return SourceError::retry(format!("the host name of {name} cannot be resolved"));
    }
    if error.is_decode() {
        return SourceError::retry(format!("the answer of {name} cannot be decompressed"));
    }
    SourceError::retry(broken_connection(error, name))
}

fn redirect_error(fault: RedirectFault, peer: Peer) -> SourceError {
    match fault {
        RedirectFault::OffHost if peer == Peer::FileStore => SourceError::misconfigured(
            "the store of the export's files redirects to an origin that export_origins does not \
             name, and is not followed",
            "add the origin to export_origins, if it is one of the store's",
        ),
        RedirectFault::TooMany if peer == Peer::FileStore => SourceError::misconfigured(
            "the store of the export's files answers with redirect after redirect",
            "write the store's final address into export_origins, and have the server name it",
        ),
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

fn broken_connection(error: &reqwest::Error, name: &str) -> String {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => format!("{name} refuses connections"),
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => format!("{name} closed the connection in the middle of an answer"),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            format!("the network of {name} cannot be reached")
        }
        _ if error.is_connect() => format!("{name} cannot be reached"),
        _ => format!("the answer of {name} broke off"),
    }
}

/// Error for a TLS failure: nearly always something a person has to mend.
fn tls_error(fault: TlsFault, peer: Peer) -> SourceError {
    let what = fault.what(peer.name());
    let setting = peer.setting();
    let help = match fault {
        TlsFault::ClientCertificate => {
            "set client_certificate = { cert_file = …, key = … } to a certificate that is valid \
             there"
                .to_owned()
        }
        TlsFault::NoTls => format!("correct scheme or port in {setting}"),
        TlsFault::Certificate(CertificateFault::WrongName) => {
            format!("write the certificate's host name in {setting}")
        }
        _ => match fault.help() {
            Some(help) => help.to_owned(),
            None => return SourceError::retry(what),
        },
    };
    SourceError::misconfigured(what, help)
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

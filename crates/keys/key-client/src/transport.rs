//! Failures below HTTP, put in words: connecting, TLS, time. Nothing of an error's own text is
//! passed on.

use std::error::Error;
use std::io;

use tls_fault::TlsFault;

use crate::error::KeyClientError;
use crate::peer::Peer;

/// Error for a request that got no answer, or not the whole of one.
pub(crate) fn of_error(error: &reqwest::Error, peer: &Peer) -> KeyClientError {
    if let Some(fault) = TlsFault::find(error) {
        return of_tls(fault, peer);
    }
    KeyClientError::Retry {
        service: peer.to_string(),
        clause: clause(error).to_owned(),
    }
}

fn of_tls(fault: TlsFault, peer: &Peer) -> KeyClientError {
    let help = match fault {
        TlsFault::ClientCertificate => Some(
            "set certificate and private_key to a pair that is valid there, or have the service's \
             operator accept its authority",
        ),
        TlsFault::Refused | TlsFault::NothingInCommon => Some(tls_fault::ONLY_TLS_1_3),
        TlsFault::Certificate(_) => fault.help(),
        TlsFault::NoTls => Some("correct host or port in url"),
        TlsFault::BrokenOff => None,
    };
    match help {
        Some(help) => KeyClientError::Misconfigured {
            what: fault.what(&peer.to_string()),
            help: help.to_owned(),
        },
        None => KeyClientError::Retry {
            service: peer.to_string(),
            clause: "broke off the TLS handshake".to_owned(),
        },
    }
}

fn clause(error: &reqwest::Error) -> &'static str {
    use io::ErrorKind as Kind;
    if error.is_timeout() {
        return "did not answer within timeout_seconds";
    }
    if error.is_dns() {
        return "has a host name that cannot be resolved";
    }
    match find_io(error) {
        Some(Kind::ConnectionRefused) => "refuses connections",
        Some(Kind::HostUnreachable | Kind::NetworkUnreachable) => {
            "is in a network that cannot be reached"
        }
        _ if error.is_connect() => "cannot be reached",
        _ => "closed the connection before the end of an answer",
    }
}

/// Kind of the first error of the operating system among the causes.
fn find_io(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut current = Some(error);
    while let Some(cause) = current {
        if let Some(found) = cause.downcast_ref::<io::Error>() {
            return Some(found.kind());
        }
        current = cause.source();
    }
    None
}

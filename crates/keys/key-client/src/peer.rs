//! Key service or token issuer, as sentences name it.

use std::fmt;

use url::Url;

use crate::rules;

/// Kind of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PeerKind {
    /// Evaluates pseudonyms.
    KeyService,
    /// Issues tokens.
    TokenIssuer,
}

/// Key service or token issuer; displayed as the beginning of a sentence.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) kind: PeerKind,
    /// Host, with the port where one is written.
    pub(crate) host: String,
}

impl Peer {
    pub(crate) fn new(kind: PeerKind, url: &Url) -> Self {
        let host = rules::name(url);
        Self { kind, host }
    }
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyService => "key service",
            Self::TokenIssuer => "token issuer",
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}", self.kind, self.host)
    }
}

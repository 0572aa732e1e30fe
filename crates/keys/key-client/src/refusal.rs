//! Answers of a key service or token issuer that are no evaluations, put in words. Nothing of a
//! body is quoted: of a problem (RFC 9457) only the code counts, and only one that is known.

use oprf::AnswerError;
use serde::Deserialize;

use crate::error::KeyClientError;
use crate::exchange::Reply;
use crate::limits::{DEFAULT_CEILING_WAIT, MAX_CEILING_WAIT, MIN_CEILING_WAIT};
use crate::peer::Peer;
use crate::pinned_key::PinnedKey;

/// Body of a problem; what else is in it is passed over.
#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// Code of a problem; empty where there is none.
pub(crate) fn code_of(reply: &Reply) -> String {
    let body = reply.body.as_deref().unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(body).ok();
    problem.map(|problem| problem.code).unwrap_or_default()
}

/// Error for a status other than 200. `key` is the number of the key that was asked for, where one
/// was.
pub(crate) fn of_status(reply: &Reply, peer: &Peer, key: Option<u16>) -> KeyClientError {
    let code = code_of(reply);
    let retry = |clause: &str| KeyClientError::Retry {
        service: peer.to_string(),
        clause: clause.to_owned(),
    };
    match (reply.status, code.as_str(), key) {
        (429, "ceiling-reached", _) => KeyClientError::Ceiling {
            service: peer.to_string(),
            retry_after: reply
                .retry_after
                .unwrap_or(DEFAULT_CEILING_WAIT)
                .clamp(MIN_CEILING_WAIT, MAX_CEILING_WAIT),
        },
        (503, "cannot-count", _) => {
            retry("cannot write down what it counts; its operator has to look at its disk")
        }
        (429, _, _) | (503, "busy", _) => retry("is busy"),
        (status @ 500..=599, _, _) => retry(&format!(
            "cannot serve at the moment (HTTP status {status})"
        )),
        (403, "unknown-client", _) => misconfigured(
            format!("{peer} does not know this client's certificate"),
            "ask its operator to enter the fingerprint of the certificate that the setting \
             certificate names",
        ),
        (404, "unknown-key", Some(key)) => misconfigured(
            format!("{peer} has no key number {key}"),
            "correct key in its public_keys, or ask its operator which numbers it serves",
        ),
        (400, "malformed", _) => misconfigured(
            format!("{peer} does not understand requests of this version"),
            "bring both sides to versions that fit each other",
        ),
        (status @ 300..=399, _, _) => misconfigured(
            format!("{peer} redirects (HTTP status {status}), which is refused"),
            "set url to the address where it answers itself",
        ),
        (status, _, _) => misconfigured(
            format!("{peer} refuses with HTTP status {status}"),
            format!(
                "correct url: it must lead to a {} and to nothing else",
                peer.kind
            ),
        ),
    }
}

/// Error for a body that is longer than what was asked for can have.
pub(crate) fn too_long(peer: &Peer) -> KeyClientError {
    misconfigured(
        format!("{peer} answers with more than any answer has"),
        of_this_version(peer),
    )
}

/// Error for a list of keys that cannot be read.
pub(crate) fn no_list(peer: &Peer) -> KeyClientError {
    misconfigured(
        format!("{peer} answers with something that is no list of its keys"),
        of_this_version(peer),
    )
}

/// Error for an answer that was not accepted.
pub(crate) fn of_answer(fault: AnswerError, peer: &Peer, pinned: &PinnedKey) -> KeyClientError {
    let key = pinned.key;
    let epoch = pinned.epoch;
    match fault {
        AnswerError::Proof => misconfigured(
            format!(
                "the answer of {peer} was not computed under the public key that is pinned for \
                 epoch {epoch} (key {key})"
            ),
            format!(
                "compare with its operator by voice: the pinned key has the fingerprint {}; \
                 correct public_keys, or nothing may be sent there any more",
                pinned.public_key.fingerprint()
            ),
        ),
        AnswerError::Version
        | AnswerError::Size { .. }
        | AnswerError::Length { .. }
        | AnswerError::KeyNumber { .. }
        | AnswerError::Element { .. }
        | AnswerError::ProofForm => misconfigured(
            format!("{peer} answers with something that is no evaluation"),
            of_this_version(peer),
        ),
    }
}

fn of_this_version(peer: &Peer) -> String {
    format!(
        "correct url: it must lead to a {} of this version",
        peer.kind
    )
}

pub(crate) fn misconfigured(what: String, help: impl Into<String>) -> KeyClientError {
    KeyClientError::Misconfigured {
        what,
        help: help.into(),
    }
}

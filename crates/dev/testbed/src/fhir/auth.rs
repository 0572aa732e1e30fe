//! Credentials that the FHIR server asks clients for.

use super::answer::RequestProblem;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Credentials that a client must present for everything but `/metadata`, which FHIR keeps open.
#[derive(Clone)]
pub enum Auth {
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

/// Refuses a request without the credentials asked for.
pub(super) fn authorise(auth: Option<&Auth>, headers: &HeaderMap) -> Result<(), RequestProblem> {
    let Some(auth) = auth else { return Ok(()) };
    let expected = match auth {
        Auth::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        Auth::Bearer(token) => format!("Bearer {token}"),
    };
    match headers.get(header::AUTHORIZATION) {
        Some(given) if given.as_bytes() == expected.as_bytes() => Ok(()),
        Some(_) => Err(RequestProblem::new(
            401,
            "login",
            "the credentials are not accepted",
        )),
        None => Err(RequestProblem::new(401, "login", "credentials are needed")),
    }
}

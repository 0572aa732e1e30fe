//! Routes as the log and the metrics name them.

/// Route of requests for anything else.
pub(super) const UNKNOWN_ROUTE: &str = "other";

/// Routes, as the log and the metrics name them.
pub(super) const ROUTES: [&str; 6] = [
    "/v1/eligibility",
    "/v1/passes",
    "/v1/trust",
    "/v1/revocations/{seq}",
    "/v1/openapi.json",
    UNKNOWN_ROUTE,
];

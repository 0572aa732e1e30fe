//! Routes as the log and the metrics name them.

/// Route of files of the page.
pub(crate) const PAGE: &str = "page";

/// Route of requests for anything else.
pub(crate) const OTHER: &str = "other";

/// Route of questions about the status.
pub(crate) const STATUS: &str = "/api/status";

/// Route of orders of codes.
pub(crate) const CODES: &str = "/api/codes";

/// Route of orders of a sheet.
pub(crate) const SHEET: &str = "/api/sheet";

/// Route of orders of a certificate.
pub(crate) const CERTIFICATE: &str = "/api/certificate";

/// Routes of a citizen's questions and orders.
pub(crate) const CITIZEN_ROUTES: [&str; 4] = [STATUS, CODES, SHEET, CERTIFICATE];

/// All routes.
pub(crate) const ROUTES: [&str; 6] = [STATUS, CODES, SHEET, CERTIFICATE, PAGE, OTHER];

/// Root key that the verifier page pins.
pub(crate) const ROOT: &str = "/data/root.json";
/// Trust bundle that the verifier page fetches.
pub(crate) const TRUST: &str = "/data/trust.cose";
/// List of ended passes that the verifier page fetches.
pub(crate) const REVOCATIONS: &str = "/data/revocations.cose";
/// Files of the verifier page.
pub(crate) const VERIFIER_PAGE: &str = "verifier-page";
/// Anything else that the verifier page's address is asked for.
pub(crate) const VERIFIER_OTHER: &str = "verifier-other";

/// Routes of the verifier page's address.
pub(crate) const VERIFIER_ROUTES: [&str; 5] =
    [ROOT, TRUST, REVOCATIONS, VERIFIER_PAGE, VERIFIER_OTHER];

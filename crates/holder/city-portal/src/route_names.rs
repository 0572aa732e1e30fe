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

/// All routes.
pub(crate) const ROUTES: [&str; 6] = [STATUS, CODES, SHEET, CERTIFICATE, PAGE, OTHER];

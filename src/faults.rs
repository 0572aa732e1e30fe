//! Failures injected by tests, as a source's own; nothing at all in a program that is shipped.

use connector_kit::SourceError;
use fault::{Fault, Point};

/// # Errors
/// Only where a test asked for it.
pub(crate) fn broken_at(point: Point) -> Result<(), SourceError> {
    let what = || format!("broken on purpose at {}", point.as_str());
    match fault::at(point) {
        None => Ok(()),
        Some(Fault::Retry) => Err(SourceError::Retry { what: what(), after: None }),
        Some(Fault::Permanent) => Err(SourceError::misconfigured(what(), "take it out of FAILPOINTS")),
    }
}

//! Failures injected by tests, as errors of this crate; nothing at all in a program that is shipped.

use std::io;

use fault::{Fault, Point};

use crate::BrokerError;

/// # Errors
/// Only where a test asked for it.
pub(crate) fn broken_at(point: Point) -> Result<(), BrokerError> {
    match fault::at(point) {
        None => Ok(()),
        Some(Fault::Retry) => Err(BrokerError::retry(format!("broken on purpose at {}", point.as_str()))),
        Some(Fault::Permanent) => Err(BrokerError::misconfigured(
            format!("broken on purpose at {}", point.as_str()),
            "take it out of FAILPOINTS",
        )),
    }
}

/// The same in the middle of file work: a full disk, and one that became read-only.
pub(crate) fn disk_broken_at(point: Point) -> io::Result<()> {
    match fault::at(point) {
        None => Ok(()),
        Some(Fault::Retry) => Err(io::ErrorKind::StorageFull.into()),
        Some(Fault::Permanent) => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
    }
}

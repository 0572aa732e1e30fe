//! Failures to get an answer of the registry, as the log and the metrics show them.

use crate::metrics::count_fault;
use crate::registry::RegistryFault;

/// Counts a failure, and notes in the log what to change.
pub(crate) fn note(fault: &RegistryFault) {
    count_fault(fault.kind);
    tracing::warn!(
        event = "registry-failed",
        fault = fault.kind.as_str(),
        "{fault}"
    );
}

//! Capability statement of a server, as far as reading goes by it.

use crate::model::{CapabilityStatement, Head};

/// Parses a statement; returns `None` for anything else.
pub(crate) fn parse(body: &[u8]) -> Option<CapabilityStatement> {
    let head: Head = serde_json::from_slice(body).ok()?;
    let statement = serde_json::from_slice(body).ok()?;
    (head.resource_type == "CapabilityStatement").then_some(statement)
}

/// True if a capability statement offers the history of Patient.
pub(crate) fn offers_history(body: &[u8]) -> bool {
    let statement = parse(body).unwrap_or_default();
    let servers = statement.rest.iter();
    let mut resources = servers
        .filter(|rest| rest.mode.as_deref() != Some("client"))
        .flat_map(|rest| &rest.resource);
    resources.any(|resource| {
        let mut offered = resource.interaction.iter();
        resource.kind.as_deref() == Some("Patient")
            && offered.any(|interaction| interaction.code.as_deref() == Some("history-type"))
    })
}

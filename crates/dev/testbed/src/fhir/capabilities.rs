//! The server's own CapabilityStatement.

use super::parameters;
use super::store::TYPES;
use serde_json::{Value, json};

/// The CapabilityStatement, which declares no more than this server can really do.
pub(super) fn capabilities(include: bool, history: bool, exports: bool) -> Value {
    let resources: Vec<Value> = TYPES
        .iter()
        .map(|kind| resource_capability(kind, include, history))
        .collect();
    let operations = if exports {
        json!([{"name": "export",
            "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"}])
    } else {
        json!([])
    };
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2021-07-01",
        "kind": "instance",
        "implementation": {"description": "testbed FHIR server"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": resources, "operation": operations}],
    })
}

fn resource_capability(kind: &str, include: bool, history: bool) -> Value {
    let params: Vec<Value> = parameters::parameters(kind)
        .iter()
        .map(|(name, param_type)| json!({"name": name, "type": param_type}))
        .collect();
    let mut capability = json!({
        "type": kind,
        "versioning": "versioned",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": params,
    });
    if history && let Some(interactions) = capability["interaction"].as_array_mut() {
        interactions.push(json!({"code": "history-type"}));
    }
    let includes = parameters::includes(kind);
    if include && !includes.is_empty() {
        capability["searchInclude"] = includes
            .iter()
            .map(|name| json!(format!("{kind}:{name}")))
            .collect();
    }
    capability
}

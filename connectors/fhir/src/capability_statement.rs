//! Capability statement of a server, as far as reading goes by it.

use serde_json::Value;

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

/// Kinds of bulk export that a server offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OfferedExports {
    pub system: bool,
    pub patient: bool,
    pub group: bool,
}

impl OfferedExports {
    /// The words of `first_load` for them, in a row; `None` where there are none.
    pub(crate) fn words(self) -> Option<String> {
        let offered = [
            (self.system, "\"system-export\""),
            (self.patient, "\"patient-export\""),
            (self.group, "{ group-export = \"ID\" }"),
        ];
        let words = offered.iter().filter(|(is_offered, _)| *is_offered);
        let words: Vec<&str> = words.map(|(_, word)| *word).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The kinds of bulk export that a capability statement offers: an operation of the server as a
/// whole, of Patient or of Group, by its name or its definition.
pub(crate) fn offered_exports(body: &[u8]) -> OfferedExports {
    let whole: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut offered = OfferedExports::default();
    let servers = whole["rest"].as_array().into_iter().flatten();
    for rest in servers.filter(|rest| rest["mode"] != "client") {
        offered.add(rest, None);
        for resource in rest["resource"].as_array().into_iter().flatten() {
            offered.add(resource, resource["type"].as_str());
        }
    }
    offered
}

impl OfferedExports {
    fn add(&mut self, of: &Value, resource_type: Option<&str>) {
        for operation in of["operation"].as_array().into_iter().flatten() {
            let name = operation["name"].as_str().unwrap_or_default();
            let definition = operation["definition"].as_str().unwrap_or_default();
            let definition = definition.split('|').next().unwrap_or_default();
            let names = [name, definition.rsplit('/').next().unwrap_or_default()];
            let is = |wanted: &str| names.iter().any(|name| name.trim_matches('$') == wanted);
            self.patient |=
                is("patient-export") || (resource_type == Some("Patient") && is("export"));
            self.group |= is("group-export") || (resource_type == Some("Group") && is("export"));
            let is_of_a_part = is("patient-export") || is("group-export");
            self.system |= resource_type.is_none() && is("export") && !is_of_a_part;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn exports_are_found_by_name_or_definition_where_servers_write_them() {
        let offered = |rest: Value| {
            let statement = json!({"resourceType": "CapabilityStatement", "rest": [rest]});
            offered_exports(statement.to_string().as_bytes()).words()
        };
        let export = json!([{"name": "export"}]);
        assert_eq!(
            offered(json!({"operation": export, "resource": [
                {"type": "Patient", "operation": export}, {"type": "Group", "operation": export}]})),
            Some("\"system-export\", \"patient-export\", { group-export = \"ID\" }".to_owned())
        );
        let named = |name: &str, definition: &str| {
            json!([{"name": name, "definition":
                format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{definition}")}])
        };
        assert_eq!(
            offered(json!({"operation": named("export", "group-export|2.0.0")})),
            Some("{ group-export = \"ID\" }".to_owned())
        );
        assert_eq!(
            offered(json!({"operation": named("bulk", "export")})),
            Some("\"system-export\"".to_owned())
        );
        assert_eq!(
            offered(json!({"operation": [{"name": "export-everything-else"}]})),
            None
        );
        assert_eq!(
            offered(json!({"mode": "client", "operation": export})),
            None
        );
    }
}

//! The token endpoint that a FHIR server names: in `.well-known/smart-configuration`, or else in its
//! capability statement.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

/// Address of the extension with the OAuth addresses in a capability statement.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";

/// Document that names a token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedIn {
    SmartConfiguration,
    CapabilityStatement,
}

/// A token endpoint, as far as a document names it.
pub(super) struct Named {
    pub endpoint: Url,
    pub named_in: NamedIn,
    /// The server knows scopes in the form of SMART 2 (`.rs`) only.
    pub only_second_scopes: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SmartConfiguration {
    token_endpoint: Value,
    capabilities: Value,
}

impl NamedIn {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::SmartConfiguration => ".well-known/smart-configuration",
            Self::CapabilityStatement => "the capability statement",
        }
    }
}

/// Reads `.well-known/smart-configuration`; `None` where it names no token endpoint.
pub(super) fn of_smart_configuration(body: &[u8]) -> Option<Named> {
    let document: SmartConfiguration = serde_json::from_slice(body).ok()?;
    let has = |name: &str| {
        let names = document.capabilities.as_array();
        names.is_some_and(|names| names.iter().any(|named| named == name))
    };
    Some(Named {
        endpoint: Url::parse(document.token_endpoint.as_str()?).ok()?,
        named_in: NamedIn::SmartConfiguration,
        only_second_scopes: has("permission-v2") && !has("permission-v1"),
    })
}

/// Reads a capability statement; `None` where it names no token endpoint.
pub(super) fn of_capability_statement(body: &[u8]) -> Option<Named> {
    let statement: Value = serde_json::from_slice(body).ok()?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let uris = list(&statement["rest"])
        .iter()
        .flat_map(|rest| list(&rest["security"]["extension"]))
        .filter(|extension| extension["url"] == OAUTH_URIS)
        .flat_map(|extension| list(&extension["extension"]))
        .find(|uri| uri["url"] == "token")?;
    Some(Named {
        endpoint: Url::parse(uris["valueUri"].as_str()?).ok()?,
        named_in: NamedIn::CapabilityStatement,
        only_second_scopes: false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_documents_name_the_token_endpoint() {
        let smart = |value: Value| of_smart_configuration(value.to_string().as_bytes());
        let named = smart(json!({"token_endpoint": "https://auth.example/token",
            "capabilities": ["client-confidential-asymmetric", "permission-v2"]}));
        let named = named.unwrap();
        assert_eq!(named.endpoint.as_str(), "https://auth.example/token");
        assert!(named.only_second_scopes);
        let both = smart(json!({"token_endpoint": "https://auth.example/token",
            "capabilities": ["permission-v1", "permission-v2"]}));
        assert!(!both.unwrap().only_second_scopes);
        for without in [json!({}), json!({"token_endpoint": "token"}), json!([])] {
            assert!(smart(without).is_none());
        }
        let statement = json!({"resourceType": "CapabilityStatement", "rest": [{"security":
            {"extension": [{"url": OAUTH_URIS, "extension": [
                {"url": "authorize", "valueUri": "https://auth.example/a"},
                {"url": "token", "valueUri": "https://auth.example/t"}]}]}}]});
        let named = of_capability_statement(statement.to_string().as_bytes()).unwrap();
        assert_eq!(named.endpoint.as_str(), "https://auth.example/t");
        assert!(of_capability_statement(b"{\"rest\": [{}]}").is_none());
    }
}

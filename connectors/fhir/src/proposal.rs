//! Proposes the section of a FHIR server by its CapabilityStatement: which facts it has, how it
//! hands over Patients, and what it asks of clients.

use std::path::Path;

use chrono::{DateTime, Utc};
use connector_kit::{Feed, SourceError};
use serde_json::Value;

use crate::FhirConfig;
use crate::capability_statement;
use crate::fact::resource_type;
use crate::http::Http;
use crate::model::{Rest, RestResource};
use crate::refusal::Ask;

/// Extension of SMART App Launch with a server's OAuth addresses.
const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
/// Longest address that is repeated, in characters.
const MAX_ADDRESS: usize = 200;

/// What a server declares, and what is proposed for it.
#[derive(Debug)]
pub struct ServerProposal {
    /// Version of FHIR that the server speaks.
    pub version: String,
    /// Feeds that it declares the resources of.
    pub feeds: Vec<Feed>,
    /// Settings of the connector's section beside the address, as lines of TOML.
    pub settings: String,
    /// What was seen, what is missing, and what to check.
    pub notes: Vec<String>,
}

/// Reads the CapabilityStatement of a server. Its declarations are promises: `check` tries them.
///
/// # Errors
/// [`SourceError`]: the server is away, or is none of FHIR R4.
pub async fn propose(
    config: &FhirConfig,
    folder: &Path,
    now: DateTime<Utc>,
) -> Result<ServerProposal, SourceError> {
    let http = Http::new(config, folder)?;
    let wrong = || {
        SourceError::misconfigured(
            "there is no CapabilityStatement of FHIR R4 at this address",
            "give the FHIR R4 base address, the part before /metadata",
        )
    };
    let address = config.base_url.join("metadata").map_err(|_| wrong())?;
    let reply = http.get(address, Ask::Metadata, now).await?;
    proposal(&reply.body).ok_or_else(wrong)
}

fn proposal(body: &[u8]) -> Option<ServerProposal> {
    let statement = capability_statement::parse(body)?;
    let version = statement.fhir_version.unwrap_or_default();
    let version: String = version
        .chars()
        .filter(|char| char.is_ascii_digit() || *char == '.')
        .take(12)
        .collect();
    if !version.starts_with("4.") {
        return None;
    }
    let rest = statement
        .rest
        .into_iter()
        .find(|rest| rest.mode.as_deref() != Some("client"))
        .unwrap_or_default();
    let mut proposal = ServerProposal {
        version,
        feeds: Vec::new(),
        settings: String::new(),
        notes: Vec::new(),
    };
    proposal.add_feeds(&rest);
    proposal.add_patients(&rest);
    let whole: Value = serde_json::from_slice(body).unwrap_or_default();
    proposal.add_security(&whole);
    proposal.add_export(body);
    Some(proposal)
}

fn find<'r>(rest: &'r Rest, kind: &str) -> Option<&'r RestResource> {
    let mut resources = rest.resource.iter();
    resources.find(|resource| resource.kind.as_deref() == Some(kind))
}

fn declares(rest: &Rest, resource: &RestResource, parameter: &str) -> bool {
    let mut all = resource.search_param.iter().chain(&rest.search_param);
    all.any(|declared| declared.name.as_deref() == Some(parameter))
}

impl ServerProposal {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn add_feeds(&mut self, rest: &Rest) {
        for feed in Feed::ALL {
            let kind = resource_type(feed);
            let Some(resource) = find(rest, kind) else {
                self.note(format!("{kind} is not declared: no {feed} are read"));
                continue;
            };
            self.feeds.push(feed);
            if !declares(rest, resource, "_lastUpdated") {
                self.note(format!(
                    "{kind} declares no search by _lastUpdated; if it is ignored, every run reads \
                     everything"
                ));
            }
            if feed != Feed::Vaccinations && !declares(rest, resource, "code") {
                self.note(format!(
                    "{kind} declares no search by code; if it is ignored, all of them are read, \
                     and \
                     others left out here"
                ));
            }
        }
        if self.feeds.is_empty() {
            self.note("none of Immunization, Observation and Condition is declared");
        } else if self.feeds.len() < Feed::ALL.len() {
            let names: Vec<String> = self
                .feeds
                .iter()
                .map(|feed| format!("\"{feed}\""))
                .collect();
            self.settings += &format!("feeds = [{}]\n", names.join(", "));
        }
    }

    fn add_patients(&mut self, rest: &Rest) {
        if find(rest, "Patient").is_none() {
            self.note("Patient is not declared: whom a fact is about cannot be read");
        }
        let lacks = |feed: &&Feed| {
            let includes = find(rest, resource_type(**feed)).map(|found| &found.search_include);
            includes.is_none_or(|list| !list.iter().any(|name| name == "*" || is_of_person(name)))
        };
        let lacking: Vec<&str> = self
            .feeds
            .iter()
            .filter(lacks)
            .map(|feed| feed.as_str())
            .collect();
        if !lacking.is_empty() {
            let note = format!(
                "_include of Patient is not declared for {}: Patients are read in batches by \
                 their ids",
                lacking.join(", ")
            );
            self.note(note);
            self.settings += "include = \"batched-reads\"\n";
        }
    }

    fn add_security(&mut self, whole: &Value) {
        let Some(security) = server_of(whole).and_then(|rest| rest.get("security")) else {
            return;
        };
        let extensions = security["extension"].as_array().into_iter().flatten();
        let oauth = extensions.filter(|one| one["url"] == OAUTH_URIS);
        let mut parts = oauth.flat_map(|one| one["extension"].as_array().into_iter().flatten());
        let token = parts.find(|part| part["url"] == "token");
        let token = token
            .and_then(|part| part["valueUri"].as_str())
            .filter(|uri| is_address(uri));
        let is_smart = security["service"].to_string().contains("SMART-on-FHIR");
        match token {
            Some(token) => self.note(format!(
                "the server asks for OAuth 2.0; its token endpoint is {token}: write [auth] for it \
                 as the connector's README says"
            )),
            None if is_smart || security["service"].to_string().contains("OAuth") => self.note(
                "the server asks for OAuth 2.0 or SMART; its addresses are at \
                 .well-known/smart-configuration below the base address",
            ),
            None => {}
        }
    }

    fn add_export(&mut self, statement: &[u8]) {
        if let Some(words) = capability_statement::offered_exports(statement).words() {
            self.note(format!(
                "the server offers a bulk export ($export), which a load from the beginning can \
                 use: first_load = {words}"
            ));
        }
    }
}

/// The server's part of a statement.
fn server_of(whole: &Value) -> Option<&Value> {
    let mut rests = whole["rest"].as_array()?.iter();
    rests.find(|rest| rest["mode"] != "client")
}

/// True for an include of the person a record is about.
fn is_of_person(name: &str) -> bool {
    name.ends_with(":patient") || name.ends_with(":subject")
}

/// True for what may be repeated as an address.
fn is_address(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-~".contains(&byte);
    text.starts_with("https://") && text.len() <= MAX_ADDRESS && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(resources: &Value, security: &Value) -> ServerProposal {
        let statement = json!({
            "resourceType": "CapabilityStatement", "fhirVersion": "4.0.1",
            "rest": [{"mode": "server", "resource": resources, "security": security,
                "operation": [{"name": "export"}]}]});
        proposal(statement.to_string().as_bytes()).expect("a statement of R4")
    }

    #[test]
    fn a_server_that_declares_everything_needs_no_setting() {
        let params = json!([{"name": "_lastUpdated"}, {"name": "code"}]);
        let resource = |kind: &str, include: &str| {
            let included = [include];
            json!({"type": kind, "searchParam": params, "searchInclude": included})
        };
        let all = json!([
            {"type": "Patient"},
            resource("Immunization", "Immunization:patient"),
            resource("Observation", "Observation:subject"),
            resource("Condition", "*"),
        ]);
        let found = of(&all, &Value::Null);
        assert_eq!(
            (found.version.as_str(), found.settings.as_str()),
            ("4.0.1", "")
        );
        assert_eq!(found.feeds, Feed::ALL);
        assert_eq!(
            found.notes.len(),
            1,
            "the bulk export alone: {:?}",
            found.notes
        );
    }

    #[test]
    fn what_is_missing_is_said_and_set() {
        let security = json!({"extension": [{"url": OAUTH_URIS, "extension": [
            {"url": "token", "valueUri": "https://auth.clinic/token"}]}]});
        let found = of(&json!([{"type": "Immunization"}]), &security);
        assert_eq!(
            found.settings,
            "feeds = [\"vaccinations\"]\ninclude = \"batched-reads\"\n"
        );
        let notes = found.notes.join("\n");
        for part in [
            "Observation is not declared",
            "Immunization declares no search by _lastUpdated",
            "Patient is not declared",
            "token endpoint is https://auth.clinic/token",
            "$export",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
    }

    #[test]
    fn another_version_or_another_answer_is_none() {
        assert!(
            proposal(br#"{"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}"#)
                .is_none()
        );
        assert!(proposal(br#"{"resourceType": "Bundle"}"#).is_none());
        assert!(proposal(b"<html>").is_none());
    }
}

//! Lists of what was deleted, as bulk exports have them: transaction Bundles with DELETE requests.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::date;
use crate::ids::is_fhir_id;
use crate::links::OwnAddresses;
use crate::model::Bundle;

/// A list of what was deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletions {
    /// Moment at which the resources were gone; `None` where the list does not tell.
    pub moment: Option<DateTime<Utc>>,
    /// Type and id of each resource.
    pub resources: Vec<(String, String)>,
    /// Deletions whose addresses name no resource that could be here: searches, or whole addresses
    /// of other servers.
    pub unnamed: u64,
    /// True for a Bundle that asks for something else as well, or for nothing.
    pub is_mixed: bool,
}

/// When a Bundle was made.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Made {
    meta: Value,
    timestamp: Value,
}

impl Deletions {
    /// Reads a Bundle; `None` for what is none. Only resources of the types that `is_wanted` are
    /// taken.
    pub(crate) fn read(
        text: &str,
        addresses: &OwnAddresses,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let made: Made = serde_json::from_str(text).ok()?;
        let bundle: Bundle = serde_json::from_str(text).ok()?;
        let moment = |value: &Value| value.as_str().and_then(date::instant);
        let mut deletions = Self {
            moment: moment(&made.timestamp).or_else(|| moment(&made.meta["lastUpdated"])),
            is_mixed: bundle.entry.is_empty(),
            ..Self::default()
        };
        for entry in bundle.entry {
            if entry.request.method != "DELETE" {
                deletions.is_mixed = true;
                continue;
            }
            let url = entry.request.url.as_str().unwrap_or_default();
            let local = addresses.local(url.trim()).split("/_history").next();
            let named = local.unwrap_or_default().split_once('/');
            match named.filter(|(_, id)| is_fhir_id(id)) {
                Some((kind, id)) if is_wanted(kind) => {
                    deletions.resources.push((kind.to_owned(), id.to_owned()));
                }
                Some((kind, _)) if is_type(kind) => {}
                _ => deletions.unnamed += 1,
            }
        }
        Some(deletions)
    }
}

fn is_type(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(bundle: &Value) -> Option<Deletions> {
        let addresses = OwnAddresses::new("https://mis.example/fhir/");
        Deletions::read(&bundle.to_string(), &addresses, |kind| {
            kind == "Immunization"
        })
    }

    #[test]
    fn only_what_names_a_resource_here_is_taken() {
        let request = |method: &str, url: &str| json!({"request": {"method": method, "url": url}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction",
            "meta": {"lastUpdated": "2021-07-02T00:00:00Z"},
            "entry": [request("DELETE", "Immunization/a"),
                request("DELETE", "https://mis.example/fhir/Immunization/b/_history/2"),
                request("DELETE", "https://other.example/fhir/Immunization/c"),
                request("DELETE", "Immunization?identifier=7"),
                request("DELETE", "Encounter/e"),
                request("DELETE", "d")]});
        let found = read(&bundle).unwrap();
        let names: Vec<_> = found.resources.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!((found.unnamed, found.is_mixed), (3, false));
        assert_eq!(found.moment, date::instant("2021-07-02T00:00:00Z"));
        let mixed = json!({"timestamp": "2021-07-03T00:00:00Z",
            "entry": [request("PUT", "Immunization/a"), request("delete", "Immunization/b")]});
        let found = read(&mixed).unwrap();
        assert!(found.resources.is_empty() && found.is_mixed);
        assert_eq!(found.moment, date::instant("2021-07-03T00:00:00Z"));
        assert!(read(&json!({"resourceType": "Bundle"})).unwrap().is_mixed);
        assert!(read(&json!({"entry": 7})).is_none_or(|found| found.is_mixed));
    }
}

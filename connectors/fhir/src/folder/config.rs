//! The `[source.NAME.fhir-folder]` section: what an administrator writes, and its defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connector_kit::ZoneSetting;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::{self, FeedName, IdentifierName, RecoveredOn};
use crate::content_settings::ContentSettings;
use crate::web_address::web_address;

/// A folder with the files of a FHIR R4 bulk export: `*.ndjson`, one resource a line.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FhirFolderConfig {
    /// The folder that holds the files of one whole export; it is only read.
    pub path: PathBuf,
    /// Kinds of fact to read; all three if left out.
    #[serde(default = "config::all_feeds")]
    pub feeds: Vec<FeedName>,
    /// The time zone of this source (IANA name), by default the gateway's `time_zone`: moments are
    /// turned into the calendar date they had there.
    #[serde(default)]
    pub time_zone: ZoneSetting,
    /// Time for which nothing in the folder may have changed before it is read, in seconds (1 to
    /// 86400): longer than the export pauses between two files.
    #[serde(default = "settle_seconds")]
    pub settle_seconds: u32,
    /// The longest line accepted, in bytes (64 KiB to 256 MiB).
    #[serde(default = "max_line_bytes")]
    pub max_line_bytes: u32,
    /// Base address of the server that made the export; needed only where references to patients
    /// are whole addresses. Nothing is ever sent to it.
    #[serde(
        default,
        deserialize_with = "base_url",
        skip_serializing_if = "Option::is_none"
    )]
    pub base_url: Option<String>,
    /// Day of recovery of a Condition that is over and tells no day.
    #[serde(default)]
    pub recovered_on: RecoveredOn,
    /// Meaning of identifier systems (FHIR `identifier.system`), in addition to the built-in ones.
    #[serde(default)]
    pub identifier_systems: BTreeMap<String, IdentifierName>,
    /// Issuing country (ISO 3166-1 alpha-2 or alpha-3) of the documents of an identifier system.
    #[serde(default)]
    pub identifier_countries: BTreeMap<String, String>,
    /// Reads only these vaccines, each `SYSTEM|CODE`, or `CODE` in any system; all if empty.
    #[serde(default)]
    pub vaccine_codes: Vec<String>,
    /// The tests to read, each `SYSTEM|CODE`, or `CODE` in any system.
    #[serde(default = "config::test_codes")]
    pub test_codes: Vec<String>,
    /// The illnesses to read, each `SYSTEM|CODE`, or `CODE` in any system.
    #[serde(default = "config::diagnosis_codes")]
    pub diagnosis_codes: Vec<String>,
}

impl<'a> From<&'a FhirFolderConfig> for ContentSettings<'a> {
    fn from(config: &'a FhirFolderConfig) -> Self {
        Self {
            feeds: &config.feeds,
            zone: config.time_zone.0,
            recovered_on: config.recovered_on,
            identifier_systems: &config.identifier_systems,
            identifier_countries: &config.identifier_countries,
            vaccine_codes: &config.vaccine_codes,
            test_codes: &config.test_codes,
            diagnosis_codes: &config.diagnosis_codes,
        }
    }
}

/// Reads the base address, and closes it with a slash. The error never quotes it.
fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    web_address(&text, "write the address alone").map_err(D::Error::custom)?;
    let text = text.trim().trim_end_matches('/');
    if text.contains(['?', '#']) {
        return Err(D::Error::custom("the base address ends before any ? or #"));
    }
    Ok(Some(format!("{text}/")))
}

const fn settle_seconds() -> u32 {
    60
}

const fn max_line_bytes() -> u32 {
    16 * 1024 * 1024
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Result<FhirFolderConfig, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_is_enough_and_what_is_unknown_is_refused() {
        let config = parse(json!({"path": "export"})).unwrap();
        assert_eq!(config.feeds.len(), 3);
        assert_eq!(
            (
                config.settle_seconds,
                config.max_line_bytes,
                config.base_url
            ),
            (60, 16_777_216, None)
        );
        assert_eq!(config.test_codes, config::test_codes());
        for wrong in [
            json!({}),
            json!({"path": "x", "folder": "y"}),
            json!({"path": "x", "feeds": ["doses"]}),
            json!({"path": "x", "base_url": "https://u:hunter2@x/"}),
            json!({"path": "x", "base_url": "https://x/?hunter2"}),
            json!({"path": "x", "base_url": "hunter2"}),
        ] {
            let error = parse(wrong.clone()).unwrap_err();
            assert!(!error.contains("hunter2"), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_configuration_written_out_is_the_same() {
        for written in [
            json!({"path": "x"}),
            json!({"path": "/x", "base_url": "https://mis.example/fhir", "feeds": ["tests"],
                "identifier_systems": {"urn:x": "passport-ru"}, "time_zone": "Asia/Omsk"}),
        ] {
            let once = serde_json::to_value(parse(written).unwrap()).unwrap();
            let again = serde_json::to_value(parse(once.clone()).unwrap()).unwrap();
            assert_eq!(once, again, "it can be read again, and nothing is lost");
        }
        let slash = |url: &str| {
            parse(json!({"path": "x", "base_url": url}))
                .unwrap()
                .base_url
        };
        assert_eq!(slash("https://x/fhir"), slash("https://x/fhir/"));
    }

    #[test]
    fn the_readmes_example_can_be_used() {
        let readme = include_str!("../../README.md");
        let example = readme
            .split("```toml")
            .find(|block| block.contains("[source.clinic.fhir-folder]"))
            .and_then(|block| block.split("```").next())
            .unwrap();
        let whole: toml::Table = toml::from_str(example).unwrap();
        let section = whole["source"]["clinic"]["fhir-folder"].clone();
        let config: FhirFolderConfig = section.try_into().unwrap();
        let defaults = parse(json!({"path": "x"})).unwrap();
        assert_eq!(
            (config.settle_seconds, config.max_line_bytes),
            (defaults.settle_seconds, defaults.max_line_bytes),
            "the example shows the defaults"
        );
    }
}

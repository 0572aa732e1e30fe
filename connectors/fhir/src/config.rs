//! The `[source.NAME.fhir]` section: what an administrator writes, and its defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

use connector_kit::{Feed, IdentifierKind, ZoneSetting};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use settings::SecretSource;
use url::Url;

use crate::export::settings::{ExportFilter, ExportOrigin, FirstLoad};
use crate::login::{ClientCredentials, SmartBackend};
use crate::web_address::web_address;

/// A clinic system that offers HL7 FHIR R4 over HTTPS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FhirConfig {
    /// The server's FHIR base address, for example `https://mis.clinic.example/fhir`.
    #[serde(deserialize_with = "base_url", serialize_with = "url_text")]
    #[schemars(with = "String")]
    pub base_url: Url,
    /// Kinds of fact to read; all three if left out.
    #[serde(default = "all_feeds")]
    pub feeds: Vec<FeedName>,
    /// The time zone of this source (IANA name), by default the gateway's `time_zone`: moments are
    /// turned into the calendar date they had there.
    #[serde(default)]
    pub time_zone: ZoneSetting,
    /// Time for which each run looks back behind the last change it saw, in seconds (at most 7
    /// days).
    #[serde(default = "overlap_seconds")]
    pub overlap_seconds: u32,
    /// Time that one request may take from connecting to the last byte, in seconds (1 to 3600).
    #[serde(default = "request_timeout_seconds")]
    pub request_timeout_seconds: u32,
    /// Time that connecting may take, in seconds (1 to 600).
    #[serde(default = "connect_timeout_seconds")]
    pub connect_timeout_seconds: u32,
    /// The largest answer accepted, in bytes after decompression (64 KiB to 256 MiB).
    #[serde(default = "max_body_bytes")]
    pub max_body_bytes: u32,
    /// The most server pages followed in one run; a bound against a server whose pages never end.
    #[serde(default = "max_pages")]
    pub max_pages: u32,
    /// Way in which the gateway shows who it is.
    #[serde(default)]
    pub auth: Auth,
    /// A client certificate, where the server asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// A PEM file with the clinic's own certificate authority; then only that authority is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Allows `http://` to other hosts than this machine. Everything, the password too, then
    /// travels readable.
    #[serde(default)]
    pub allow_plain_http: bool,
    /// What becomes of links that lead to another host than `base_url`.
    #[serde(default)]
    pub links: Links,
    /// Way in which a record's Patient is read.
    #[serde(default)]
    pub include: Include,
    /// Way in which a feed is read from its beginning. It decides nothing about what is read, so
    /// that positions stored under another one still hold.
    #[serde(default, skip_serializing)]
    pub first_load: FirstLoad,
    /// Origins (`https://HOST`, `https://HOST:PORT`) other than `base_url`'s where the files of a
    /// bulk export may lie. They are fetched there without any login.
    #[serde(default, skip_serializing)]
    pub export_origins: Vec<ExportOrigin>,
    /// Part of the feeds' resources that a bulk export is asked for.
    #[serde(default, skip_serializing)]
    pub export_filter: ExportFilter,
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
    #[serde(default = "test_codes")]
    pub test_codes: Vec<String>,
    /// The illnesses to read, each `SYSTEM|CODE`, or `CODE` in any system.
    #[serde(default = "diagnosis_codes")]
    pub diagnosis_codes: Vec<String>,
}

/// A kind of fact, as configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeedName {
    /// `Immunization` resources.
    Vaccinations,
    /// `Observation` resources with one of `test_codes`.
    Tests,
    /// `Condition` resources with one of `diagnosis_codes`.
    Recoveries,
}

/// Way in which the gateway shows who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// No credentials (or only a client certificate).
    #[default]
    None,
    /// User and password (RFC 7617).
    Basic(BasicAuth),
    /// A bearer token (RFC 6750) that something else renews.
    Bearer(SecretSource),
    /// A token of a token endpoint, for a secret (OAuth2 client credentials).
    ClientCredentials(ClientCredentials),
    /// A token of a token endpoint, for a signed JWT (SMART Backend Services).
    SmartBackend(SmartBackend),
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user; without a colon.
    pub user: String,
    /// Place where the password is to be found.
    pub password: SecretSource,
}

/// A client certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// PEM file: the certificate, then any intermediate ones.
    pub cert_file: PathBuf,
    /// Place where the private key (PEM) is to be found.
    pub key: SecretSource,
}

/// What becomes of links that lead to another host than `base_url`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Links {
    /// They are an error.
    #[default]
    Refuse,
    /// They are followed at `base_url`: for a server behind a proxy that writes an address of its
    /// own. The other host never gets a request.
    Rewrite,
}

/// Way in which a record's Patient is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Include {
    /// Asks the server to include them, and reads those it left out in batches; always in batches
    /// where including them turns out to be several times slower.
    #[default]
    Auto,
    /// Only what the server includes (`_include`).
    #[serde(alias = "include")]
    Always,
    /// In batches (`Patient?_id=a,b,c`).
    #[serde(alias = "batched-reads")]
    Never,
}

/// Day of recovery of a Condition that is over (`clinicalStatus` resolved, remission or inactive)
/// and tells no day: without an abatement, or with one that is free text, an age or a range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveredOn {
    /// None: the record is refused.
    #[default]
    Abatement,
    /// The day of the resource's last change (`meta.lastUpdated`). It moves when the resource is
    /// changed again.
    LastUpdated,
    /// So many days (1 to 365) after the illness began, where that day is known; never later than
    /// the day of the resource's last change.
    OnsetPlusDays(u32),
}

/// Numbering that an identifier system stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentifierName {
    /// Russian personal insurance account number.
    Snils,
    /// Russian compulsory medical insurance policy.
    Oms,
    /// Russian internal passport.
    PassportRu,
    /// Number by which another country knows a person, or the person's identity card; its country
    /// comes from `identifier_countries` or from the identifier itself.
    NationalId,
    /// A foreign passport; its country comes from `identifier_countries` or from the identifier
    /// itself.
    PassportForeign,
    /// European health insurance card.
    Ehic,
    /// Residence permit.
    ResidencePermit,
    /// Birth certificate.
    BirthCertificate,
    /// Known, and of no use here (a medical record number, say): never read, and `check` is silent
    /// about it.
    Ignored,
}

impl FhirConfig {
    /// True if the feed is among `feeds`.
    pub(crate) fn reads(&self, feed: Feed) -> bool {
        self.feeds.iter().any(|name| Feed::from(*name) == feed)
    }
}

impl From<FeedName> for Feed {
    fn from(name: FeedName) -> Self {
        match name {
            FeedName::Vaccinations => Self::Vaccinations,
            FeedName::Tests => Self::Tests,
            FeedName::Recoveries => Self::Recoveries,
        }
    }
}

impl IdentifierName {
    /// The kind of identifier; `None` for [`IdentifierName::Ignored`].
    #[must_use]
    pub const fn kind(self) -> Option<IdentifierKind> {
        Some(match self {
            Self::Snils => IdentifierKind::Snils,
            Self::Oms => IdentifierKind::Oms,
            Self::PassportRu => IdentifierKind::PassportRu,
            Self::NationalId => IdentifierKind::NationalId,
            Self::PassportForeign => IdentifierKind::PassportForeign,
            Self::Ehic => IdentifierKind::Ehic,
            Self::ResidencePermit => IdentifierKind::ResidencePermit,
            Self::BirthCertificate => IdentifierKind::BirthCertificate,
            Self::Ignored => return None,
        })
    }
}

/// Parses the base address. The error never quotes it: it may hold a password.
fn base_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut url = web_address(&text, "use auth = { basic = … }").map_err(D::Error::custom)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(D::Error::custom("the base address ends before any ? or #"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn url_text<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(url)
}

pub(crate) fn all_feeds() -> Vec<FeedName> {
    vec![
        FeedName::Vaccinations,
        FeedName::Tests,
        FeedName::Recoveries,
    ]
}

const fn overlap_seconds() -> u32 {
    300
}

const fn request_timeout_seconds() -> u32 {
    30
}

const fn connect_timeout_seconds() -> u32 {
    10
}

const fn max_body_bytes() -> u32 {
    16 * 1024 * 1024
}

const fn max_pages() -> u32 {
    1_000_000
}

/// LOINC's tests for the nucleic acid and the antigens of SARS-CoV-2 that the gateway knows
/// (`docs/codes.md`).
pub(crate) fn test_codes() -> Vec<String> {
    [
        "94500-6", "94531-1", "95406-5", "95608-6", "94759-8", "94565-9", "94316-7", "94533-7",
        "94309-2", "94306-8", "94845-5", "96797-6", "96119-3", "94558-4", "97097-0", "95209-3",
    ]
    .map(String::from)
    .to_vec()
}

/// COVID-19, virus identified: in ICD-10 and its editions, and in SNOMED CT.
pub(crate) fn diagnosis_codes() -> Vec<String> {
    ["U07.1", "840539006"].map(String::from).to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: serde_json::Value) -> Result<FhirConfig, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_enough() {
        let config = parse(json!({"base_url": "https://mis.example/fhir"})).unwrap();
        assert_eq!(config.base_url.as_str(), "https://mis.example/fhir/");
        assert_eq!(config.feeds.len(), 3);
        assert_eq!(config.time_zone.0, chrono_tz::Tz::Europe__Moscow);
        assert_eq!(config.auth, Auth::None);
        assert_eq!(
            (config.overlap_seconds, config.max_body_bytes),
            (300, 16_777_216)
        );
    }

    #[test]
    fn a_wrong_address_is_refused_without_quoting_it() {
        for wrong in [
            "ftp://x/",
            "https://u:hunter2@x/fhir",
            "https://x/fhir?a=hunter2",
            "hunter2",
        ] {
            let error = parse(json!({"base_url": wrong})).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn unknown_words_are_refused() {
        let base = "https://x/";
        for wrong in [
            json!({"base_url": base, "timezone": "Europe/Moscow"}),
            json!({"base_url": base, "time_zone": "Moscow"}),
            json!({"base_url": base, "include": "sometimes"}),
            json!({"base_url": base, "feeds": ["doses"]}),
            json!({"base_url": base, "first_load": "group-export"}),
            json!({"base_url": base, "export_filter": "all"}),
            json!({"base_url": base, "identifier_systems": {"urn:x": "pasport"}}),
            json!({"base_url": base, "auth": {"basic":
                {"user": "a", "password": {"file": "f"}, "realm": "x"}}}),
        ] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_way_to_authenticate_can_be_written() {
        let auth = |value| {
            parse(json!({"base_url": "https://x/", "auth": value}))
                .unwrap()
                .auth
        };
        assert_eq!(auth(json!("none")), Auth::None);
        assert!(matches!(
            auth(json!({"bearer": {"env": "T"}})),
            Auth::Bearer(SecretSource::Env(_))
        ));
        assert!(matches!(
            auth(json!({"basic": {"user": "g", "password": {"file": "p"}}})),
            Auth::Basic(BasicAuth {
                password: SecretSource::File(_),
                ..
            })
        ));
    }

    #[test]
    fn a_configuration_written_out_is_the_same_and_names_only_where_secrets_are() {
        let written = json!({
            "base_url": "https://mis.example/fhir", "feeds": ["tests"], "time_zone": "Asia/Omsk",
            "auth": {"basic": {"user": "g", "password": {"file": "p"}}},
            "include": "never", "first_load": {"group-export": "all"},
            "export_origins": ["https://store.example"], "export_filter": "codes",
            "client_certificate": {"cert_file": "c", "key": {"env": "K"}}, "ca_file": "a",
            "identifier_systems": {"urn:x": "passport-ru"},
            "identifier_countries": {"urn:y": "DEU"}});
        for config in [
            parse(written).unwrap(),
            parse(json!({"base_url": "http://localhost/"})).unwrap(),
        ] {
            let once = serde_json::to_value(&config).unwrap();
            let again = serde_json::to_value(parse(once.clone()).unwrap()).unwrap();
            assert_eq!(once, again, "it can be read again, and nothing is lost");
            assert!(once["base_url"].as_str().unwrap().ends_with('/'));
            for of_loads in ["first_load", "export_origins", "export_filter"] {
                assert!(once.get(of_loads).is_none(), "no reason to read anew");
            }
        }
    }

    #[test]
    fn the_readmes_example_can_be_used() {
        let readme = include_str!("../README.md");
        let example = readme
            .split("```toml")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .unwrap();
        let whole: toml::Table = toml::from_str(example).unwrap();
        let section = whole["source"]["clinic"]["fhir"].clone();
        let config: FhirConfig = section.try_into().unwrap();
        assert_eq!(
            config.identifier_systems["urn:clinic:cards"],
            IdentifierName::Ignored
        );
        let defaults = parse(json!({"base_url": "https://x/"})).unwrap();
        assert_eq!(
            config.max_body_bytes, defaults.max_body_bytes,
            "the example shows the defaults"
        );
        assert_eq!(
            (config.test_codes, config.max_pages),
            (defaults.test_codes, defaults.max_pages)
        );
    }
}

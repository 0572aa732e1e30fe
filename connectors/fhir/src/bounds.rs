//! Rules for a configuration that its types cannot express: numbers in range, lists not empty.

use std::ops::RangeInclusive;

use connector_kit::{Feed, SourceError};
use url::Url;

use crate::config::{self, FhirConfig, IdentifierName, Include, RecoveredOn};
use crate::content_settings::ContentSettings;
use crate::export::settings::{ExportFilter, FirstLoad};
use crate::ids::is_fhir_id;

/// Longest name of a country, in characters.
const MAX_COUNTRY_CHARS: usize = 100;

/// Refuses a configuration that cannot work.
///
/// # Errors
/// [`SourceError::Misconfigured`] for the first setting that is out of its bounds.
pub(crate) fn check(config: &FhirConfig) -> Result<(), SourceError> {
    check_plain_http(config)?;
    check_numbers(config)?;
    check_lists(config)?;
    check_effects(config)?;
    check_first_load(config)?;
    check_identifiers(config)
}

/// Refuses settings of what is read, and of what it means, that cannot work.
///
/// # Errors
/// [`SourceError::Misconfigured`] for the first setting that is out of its bounds.
pub(crate) fn check_content(settings: ContentSettings<'_>) -> Result<(), SourceError> {
    check_recovered_on(settings.recovered_on)?;
    check_lists(settings)?;
    check_effects(settings)?;
    check_identifiers(settings)
}

/// Returns whether everything travels readable to another machine.
pub(crate) fn is_plain(config: &FhirConfig) -> bool {
    is_plain_way(&config.base_url)
}

/// Returns whether what is sent to an address travels readable to another machine. Other schemes
/// than https count as plain.
pub(crate) fn is_plain_way(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => false,
        "http" => !is_local,
        _ => true,
    }
}

fn check_plain_http(config: &FhirConfig) -> Result<(), SourceError> {
    if !is_plain(config) || config.allow_plain_http {
        return Ok(());
    }
    Err(SourceError::misconfigured(
        "base_url is plain http to another machine: records and passwords would travel readable",
        "use https, or set allow_plain_http = true where the way there is protected otherwise",
    ))
}

fn check_numbers(config: &FhirConfig) -> Result<(), SourceError> {
    let seconds = config.overlap_seconds;
    check_number("overlap_seconds", seconds, 0..=7 * 24 * 3600)?;
    let seconds = config.request_timeout_seconds;
    check_number("request_timeout_seconds", seconds, 1..=3600)?;
    let seconds = config.connect_timeout_seconds;
    check_number("connect_timeout_seconds", seconds, 1..=600)?;
    let bytes = config.max_body_bytes;
    check_number("max_body_bytes", bytes, 64 * 1024..=256 * 1024 * 1024)?;
    check_recovered_on(config.recovered_on)?;
    check_number("max_pages", config.max_pages, 1..=u32::MAX)
}

fn check_recovered_on(rule: RecoveredOn) -> Result<(), SourceError> {
    match rule {
        RecoveredOn::OnsetPlusDays(days) => {
            check_number("recovered_on.onset-plus-days", days, 1..=365)
        }
        RecoveredOn::Abatement | RecoveredOn::LastUpdated => Ok(()),
    }
}

/// Refuses a number outside its range.
pub(crate) fn check_number(
    name: &str,
    value: u32,
    allowed: RangeInclusive<u32>,
) -> Result<(), SourceError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(SourceError::misconfigured(
        format!("{name} is {value}"),
        format!(
            "write a number from {} to {}",
            allowed.start(),
            allowed.end()
        ),
    ))
}

fn check_lists<'a>(settings: impl Into<ContentSettings<'a>>) -> Result<(), SourceError> {
    let settings = settings.into();
    let empty = |setting: &str, help: &str| {
        Err(SourceError::misconfigured(
            format!("{setting} is empty"),
            help,
        ))
    };
    if settings.feeds.is_empty() {
        return empty(
            "feeds",
            "name at least one of vaccinations, tests, recoveries, or leave the line out",
        );
    }
    if settings.reads(Feed::Tests) && settings.test_codes.is_empty() {
        return empty(
            "test_codes",
            "name the tests' codes, or leave tests out of feeds",
        );
    }
    if settings.reads(Feed::Recoveries) && settings.diagnosis_codes.is_empty() {
        return empty(
            "diagnosis_codes",
            "name the diagnoses' codes, or leave recoveries out of feeds",
        );
    }
    Ok(())
}

/// Refuses settings of feeds that are not read.
fn check_effects<'a>(settings: impl Into<ContentSettings<'a>>) -> Result<(), SourceError> {
    let settings = settings.into();
    let limited = [
        (
            Feed::Vaccinations,
            "vaccine_codes",
            !settings.vaccine_codes.is_empty(),
        ),
        (
            Feed::Tests,
            "test_codes",
            !settings.test_codes.is_empty() && settings.test_codes != config::test_codes(),
        ),
        (
            Feed::Recoveries,
            "diagnosis_codes",
            !settings.diagnosis_codes.is_empty()
                && settings.diagnosis_codes != config::diagnosis_codes(),
        ),
        (
            Feed::Recoveries,
            "recovered_on",
            settings.recovered_on != RecoveredOn::default(),
        ),
    ];
    for (feed, setting, is_set) in limited {
        if is_set && !settings.reads(feed) {
            return Err(SourceError::misconfigured(
                format!("{setting} has no effect: {feed} is not among feeds"),
                format!("add \"{feed}\" to feeds, or take {setting} out"),
            ));
        }
    }
    Ok(())
}

fn check_first_load(config: &FhirConfig) -> Result<(), SourceError> {
    if !config.first_load.is_search() && config.include == Include::Always {
        return Err(SourceError::misconfigured(
            "first_load asks for a bulk export, and include is \"always\": the patients of an \
             export are read by their ids",
            "write include = \"auto\" or \"never\", or first_load = \"search\"",
        ));
    }
    check_export_origins(config)?;
    if config.export_filter != ExportFilter::None && config.first_load.is_search() {
        return Err(no_export("export_filter"));
    }
    match &config.first_load {
        FirstLoad::GroupExport(group) if !is_fhir_id(group) => Err(SourceError::misconfigured(
            "first_load.group-export is no id of a FHIR resource",
            "write the id of the Group, the part behind Group/",
        )),
        _ => Ok(()),
    }
}

/// Refuses origins of an export's files that have no effect, or to which the way is readable.
fn check_export_origins(config: &FhirConfig) -> Result<(), SourceError> {
    if config.export_origins.is_empty() {
        return Ok(());
    }
    if config.first_load.is_search() {
        return Err(no_export("export_origins"));
    }
    for origin in &config.export_origins {
        if origin.origin() == config.base_url.origin() {
            return Err(SourceError::misconfigured(
                "export_origins names base_url's own origin, whose files are read in any case",
                "take that entry out",
            ));
        }
        if is_plain_way(origin.address()) && !config.allow_plain_http {
            return Err(SourceError::misconfigured(
                "an origin of export_origins is plain http to another machine: records would \
                 travel readable",
                "use https, or set allow_plain_http = true where the way there is protected \
                 otherwise",
            ));
        }
    }
    Ok(())
}

fn no_export(setting: &str) -> SourceError {
    SourceError::misconfigured(
        format!("{setting} has no effect: first_load asks for no bulk export"),
        format!("set first_load to an export, or take {setting} out"),
    )
}

/// Refuses identifier systems and countries that can match nothing, or have no effect. The systems
/// are the administrator's own words.
fn check_identifiers<'a>(settings: impl Into<ContentSettings<'a>>) -> Result<(), SourceError> {
    let settings = settings.into();
    let is_none = |system: &String| system.is_empty() || system.contains(char::is_whitespace);
    if settings.identifier_systems.keys().any(is_none) {
        return Err(no_system("identifier_systems"));
    }
    for (system, country) in settings.identifier_countries {
        if is_none(system) {
            return Err(no_system("identifier_countries"));
        }
        let country = country.trim();
        if country.is_empty() || country.chars().count() > MAX_COUNTRY_CHARS {
            return Err(SourceError::misconfigured(
                format!("identifier_countries: what stands for {system:?} is no country"),
                "write its code or its name, such as \"DE\", \"DEU\" or \"Germany\"",
            ));
        }
        let has_country = match settings.identifier_systems.get(system) {
            // Of a system without a meaning the type may say that it is a passport.
            None => true,
            Some(name) => matches!(
                name,
                IdentifierName::PassportForeign
                    | IdentifierName::NationalId
                    | IdentifierName::ResidencePermit
                    | IdentifierName::BirthCertificate
            ),
        };
        if !has_country {
            return Err(SourceError::misconfigured(
                format!(
                    "identifier_countries: the country of {system:?} has no effect: documents of \
                     the kind that identifier_systems gives it have none"
                ),
                "take the line out, or give the system another kind (national-id, \
                 passport-foreign, residence-permit, birth-certificate)",
            ));
        }
    }
    Ok(())
}

fn no_system(setting: &str) -> SourceError {
    SourceError::misconfigured(
        format!("a system in {setting} is empty, or has a blank in it: nothing can match it"),
        "write identifier.system exactly as the server does, such as \"urn:oid:1.2.643.100.3\"",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn outcome(settings: &Value) -> Result<(), String> {
        let mut config = json!({"base_url": "https://x/"});
        let settings = settings.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(settings);
        let config = serde_json::from_value(config).unwrap();
        check(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_setting_without_an_effect_is_refused() {
        for (settings, word) in [
            (
                json!({"feeds": ["tests"], "vaccine_codes": ["a"]}),
                "vaccine_codes has no effect",
            ),
            (
                json!({"feeds": ["vaccinations"], "test_codes": ["a"]}),
                "add \"tests\" to feeds",
            ),
            (
                json!({"feeds": ["tests"], "diagnosis_codes": ["a"]}),
                "diagnosis_codes has no effect",
            ),
            (
                json!({"feeds": ["tests"], "recovered_on": "last-updated"}),
                "recovered_on has no effect",
            ),
            (
                json!({"identifier_systems": {"urn:a b": "snils"}}),
                "identifier_systems",
            ),
            (json!({"identifier_countries": {"": "DEU"}}), "is empty"),
            (
                json!({"identifier_countries": {"urn:a": " "}}),
                "stands for \"urn:a\" is no country",
            ),
            (
                json!({"identifier_systems": {"urn:a": "ignored"},
                    "identifier_countries": {"urn:a": "DEU"}}),
                "has no effect",
            ),
            (
                json!({"recovered_on": {"onset-plus-days": 366}}),
                "from 1 to 365",
            ),
            (json!({"recovered_on": {"onset-plus-days": 0}}), "from 1"),
            (
                json!({"first_load": "system-export", "include": "always"}),
                "include is \"always\"",
            ),
            (
                json!({"first_load": {"group-export": "a/b"}}),
                "no id of a FHIR resource",
            ),
            (
                json!({"export_origins": ["https://store.example"]}),
                "export_origins has no effect",
            ),
            (
                json!({"export_filter": "codes"}),
                "export_filter has no effect",
            ),
            (
                json!({"first_load": "system-export", "export_origins": ["https://x:443"]}),
                "own origin",
            ),
            (
                json!({"first_load": "system-export", "export_origins": ["http://store.example"]}),
                "travel readable",
            ),
        ] {
            let error = outcome(&settings).unwrap_err();
            assert!(error.contains(word), "{settings}: {error}");
        }
        for good in [
            json!({"recovered_on": {"onset-plus-days": 365}}),
            json!({"first_load": {"group-export": "a-1.b"}, "include": "never"}),
            json!({"first_load": "search", "include": "always"}),
            json!({"first_load": "system-export", "export_filter": "codes",
                "export_origins": ["https://store.example", "http://127.0.0.1:9000"]}),
            json!({"recovered_on": "last-updated", "test_codes": ["a"]}),
            json!({"identifier_systems": {"urn:a": "national-id"},
                "identifier_countries": {"urn:a": "DE", "urn:b": "Польша"}}),
        ] {
            assert_eq!(outcome(&good), Ok(()), "{good}");
        }
    }
}

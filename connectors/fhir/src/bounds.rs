//! Rules for a configuration that its types cannot express: numbers in range, lists not empty.

use std::ops::RangeInclusive;

use connector_kit::{Feed, SourceError};
use url::Url;

use crate::config::FhirConfig;

/// Refuses a configuration that cannot work.
///
/// # Errors
/// [`SourceError::Misconfigured`] for the first setting that is out of its bounds.
pub(crate) fn check(config: &FhirConfig) -> Result<(), SourceError> {
    check_plain_http(config)?;
    check_numbers(config)?;
    check_lists(config)
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
    check_number("max_pages", config.max_pages, 1..=u32::MAX)
}

fn check_number(name: &str, value: u32, allowed: RangeInclusive<u32>) -> Result<(), SourceError> {
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

fn check_lists(config: &FhirConfig) -> Result<(), SourceError> {
    let empty = |setting: &str, help: &str| {
        Err(SourceError::misconfigured(
            format!("{setting} is empty"),
            help,
        ))
    };
    if config.feeds.is_empty() {
        return empty(
            "feeds",
            "name at least one of vaccinations, tests, recoveries, or leave the line out",
        );
    }
    if config.reads(Feed::Tests) && config.test_codes.is_empty() {
        return empty(
            "test_codes",
            "name the tests' codes, or leave tests out of feeds",
        );
    }
    if config.reads(Feed::Recoveries) && config.diagnosis_codes.is_empty() {
        return empty(
            "diagnosis_codes",
            "name the diagnoses' codes, or leave recoveries out of feeds",
        );
    }
    Ok(())
}

//! Rules for a configuration that its types cannot express: numbers in range, lists not empty.

use connector_kit::{Feed, SourceError};

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

fn check_plain_http(config: &FhirConfig) -> Result<(), SourceError> {
    let is_local = match config.base_url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if config.base_url.scheme() != "http" || is_local || config.allow_plain_http {
        return Ok(());
    }
    Err(SourceError::misconfigured(
        "base_url is plain http to another machine: records and passwords would travel readable",
        "use https, or set allow_plain_http = true where the way there is protected otherwise",
    ))
}

/// Setting with the least and the greatest number allowed.
struct Bound {
    name: &'static str,
    value: u32,
    least: u32,
    most: u32,
}

fn check_numbers(config: &FhirConfig) -> Result<(), SourceError> {
    let bound = |name, value, least, most| Bound {
        name,
        value,
        least,
        most,
    };
    let bounds = [
        bound("overlap_seconds", config.overlap_seconds, 0, 7 * 24 * 3600),
        bound(
            "request_timeout_seconds",
            config.request_timeout_seconds,
            1,
            3600,
        ),
        bound(
            "connect_timeout_seconds",
            config.connect_timeout_seconds,
            1,
            600,
        ),
        bound(
            "max_body_bytes",
            config.max_body_bytes,
            64 * 1024,
            256 * 1024 * 1024,
        ),
        bound("max_pages", config.max_pages, 1, u32::MAX),
    ];
    for bound in bounds {
        if !(bound.least..=bound.most).contains(&bound.value) {
            return Err(SourceError::misconfigured(
                format!("{} is {}", bound.name, bound.value),
                format!("write a number from {} to {}", bound.least, bound.most),
            ));
        }
    }
    Ok(())
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

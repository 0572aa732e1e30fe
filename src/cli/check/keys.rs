//! Check of the key ring: it can be read, and holds the city's keys.

use connector_kit::CheckReport;
use key_client::KeyClient;
use pseudonym::{KeyRing, Suites};

use super::ConfiguredServices;
use super::section::{Section, add_error, add_start_error};
use crate::cli::keys_text::leaving_text;
use crate::config::LoadedConfig;
use crate::gateway::StartError;
use crate::ring::{
    compare_with_city, fingerprint_list, fingerprints, refuse_rotation_while_moving,
};

pub(super) fn section(
    loaded: &LoadedConfig,
    ring: &Result<KeyRing, StartError>,
    services: &ConfiguredServices,
) -> Section {
    let mut report = CheckReport::default();
    match (ring, services) {
        (Ok(ring), Ok(services)) => check(&mut report, loaded, ring, services.as_ref()),
        // Told with the key services.
        (Ok(_), Err(_)) => {}
        (Err(error), _) => add_start_error(&mut report, error),
    }
    Section::new("keys", report)
}

fn check(
    report: &mut CheckReport,
    loaded: &LoadedConfig,
    ring: &KeyRing,
    services: Option<&KeyClient>,
) {
    let suites = loaded.config.keys.suites();
    report.good(leaving_text(suites));
    if services.is_some() {
        check_record(report, ring, suites);
    }
    if let Err(error) = refuse_rotation_while_moving(ring, suites, services) {
        add_error(report, &error);
    }
    let held = fingerprints(ring, suites, services).pseudonym;
    for key in &held {
        report.good(format!(
            "pseudonym key of suite {}, epoch {}, fingerprint {}",
            key.suite.as_str(),
            key.epoch,
            key.fingerprint
        ));
    }
    let city = &loaded.config.registry.pseudonym_fingerprints;
    let newest = held.iter().map(|key| key.epoch).max();
    let missing = city.iter().find(|one| Some(one.epoch) > newest);
    if city.is_empty() {
        report.warn(
            "the pseudonym keys are compared with nothing: under another key than the city's, \
             this clinic's facts would find nobody",
            format!(
                "compare the fingerprints with the city's and write pseudonym_fingerprints = {} \
                 in [registry]",
                fingerprint_list(&held)
            ),
        );
    } else if let Err(error) = compare_with_city(held, city) {
        add_error(report, &error);
    } else if let Some(missing) = missing {
        report.warn(
            format!("the city's epoch {} is lacking", missing.epoch),
            "take the new key over with `clinic-gateway keys merge`; with key services, write the \
             epoch into public_keys of each",
        );
    } else {
        report.good("the pseudonym keys are the city's");
    }
}

/// Checks a ring beside key services: unless the city moves from them, pseudonym keys in it are of
/// no use any more, and a danger.
fn check_record(report: &mut CheckReport, ring: &KeyRing, suites: Suites) {
    report.good(format!(
        "record key, fingerprint {}",
        ring.record_fingerprint()
    ));
    if suites.moving_from.is_none() && !ring.pseudonym_fingerprints().is_empty() {
        report.warn(
            "the key ring still holds pseudonym keys of another suite: whoever steals them can \
             name everybody whose facts the registry keeps under them",
            "take them out with `clinic-gateway keys retire`, unless this clinic is to go back to \
             moving_from; none of their names leave",
        );
    }
}

//! Check of the key ring: it can be read, and holds the city's keys.

use connector_kit::CheckReport;
use key_client::KeyClient;
use pseudonym::KeyRing;

use super::ConfiguredServices;
use super::section::{Section, add_error, add_start_error};
use crate::config::LoadedConfig;
use crate::gateway::StartError;
use crate::ring::{compare_with_city, fingerprint_list, fingerprints};

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
    if services.is_some() {
        check_record_only(report, ring);
    }
    let held = fingerprints(ring, loaded.config.keys.suite.into(), services).pseudonym;
    for (epoch, fingerprint) in &held {
        report.good(format!(
            "pseudonym key of epoch {epoch}, fingerprint {fingerprint}"
        ));
    }
    let city = &loaded.config.registry.pseudonym_fingerprints;
    let newest = held.last().map(|(epoch, _)| *epoch);
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

/// Checks a ring beside key services: pseudonym keys in it are of no use any more, and a danger.
fn check_record_only(report: &mut CheckReport, ring: &KeyRing) {
    report.good(format!(
        "record key, fingerprint {}",
        ring.record_fingerprint()
    ));
    if !ring.pseudonym_fingerprints().is_empty() {
        report.warn(
            "the key ring still holds pseudonym keys of another suite: whoever steals them can \
             name everybody whose facts the registry keeps under them",
            "once all clinics of the city have changed to key services, take the lines \
             `pseudonym …` out of the ring",
        );
    }
}

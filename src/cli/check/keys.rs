//! Check of the key ring: it can be read, and holds the city's keys.

use connector_kit::CheckReport;
use pseudonym::KeyRing;

use super::section::{Section, add_error, add_start_error};
use crate::config::LoadedConfig;
use crate::gateway::StartError;
use crate::ring::{compare_with_city, fingerprint_list};

pub(super) fn section(loaded: &LoadedConfig, ring: &Result<KeyRing, StartError>) -> Section {
    let mut report = CheckReport::default();
    match ring {
        Ok(ring) => check(&mut report, loaded, ring),
        Err(error) => add_start_error(&mut report, error),
    }
    Section::new("keys", report)
}

fn check(report: &mut CheckReport, loaded: &LoadedConfig, ring: &KeyRing) {
    let held = ring.pseudonym_fingerprints();
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
                fingerprint_list(ring)
            ),
        );
    } else if let Err(error) = compare_with_city(ring, city) {
        add_error(report, &error);
    } else if let Some(missing) = missing {
        report.warn(
            format!("the key ring lacks the city's epoch {}", missing.epoch),
            "take the new key over with `clinic-gateway keys merge`",
        );
    } else {
        report.good("the pseudonym keys are the city's");
    }
}

//! Check of the key services: each answers, has the pinned keys, and its ceiling is told.

use connector_kit::CheckReport;
use key_client::{KeyClient, KeyClientError, PinnedKeyState, ServiceLook, ServiceState};
use pseudonym::MAX_BLINDED;

use super::ConfiguredServices;
use super::section::{Section, add_start_error};

/// Elements of the larger request: with fewer left a page of new facts has to wait.
const LEAST_LEFT: u64 = MAX_BLINDED as u64;

/// Findings on the key services.
pub(super) struct Checked {
    pub(super) section: Section,
    /// Least daily ceiling of all services, in elements; `None` unless all answered.
    pub(super) ceiling: Option<u64>,
}

/// Checks the services that are configured; `None` where none are. `offline`: asks none.
pub(super) async fn check(services: &ConfiguredServices, offline: bool) -> Option<Checked> {
    let mut report = CheckReport::default();
    let mut ceiling = None;
    match services {
        Ok(None) => return None,
        Ok(Some(services)) if offline => check_offline(&mut report, services),
        Ok(Some(services)) => {
            let looks = services.look().await;
            let ceilings = looks.iter().map(|look| look.state.as_ref().ok());
            let ceilings = ceilings.map(|state| state.map(|state| state.daily_ceiling));
            ceiling = ceilings.collect::<Option<Vec<u64>>>().and_then(least);
            for look in looks {
                tell(&mut report, look);
            }
        }
        Err(error) => add_start_error(&mut report, error),
    }
    Some(Checked {
        section: Section::new("keys.services", report),
        ceiling,
    })
}

fn least(ceilings: Vec<u64>) -> Option<u64> {
    ceilings.into_iter().min()
}

fn check_offline(report: &mut CheckReport, services: &KeyClient) {
    for (epoch, fingerprint) in services.fingerprints() {
        report.good(format!(
            "epoch {epoch}: public keys with the fingerprints {fingerprint}"
        ));
    }
}

fn tell(report: &mut CheckReport, look: ServiceLook) {
    let service = look.service;
    match look.state {
        Ok(state) => tell_state(report, &service, &state),
        Err(KeyClientError::Misconfigured { what, help }) => report.error(what, help),
        Err(error) => report.away(
            error.to_string(),
            "facts wait at the clinic until it answers",
        ),
    }
}

fn tell_state(report: &mut CheckReport, service: &str, state: &ServiceState) {
    for look in &state.pinned {
        let key = format!("key {} of epoch {}", look.key, look.epoch);
        match &look.state {
            PinnedKeyState::Same => {
                report.good(format!("{service} has {key} as it is pinned"));
            }
            PinnedKeyState::Missing => report.error(
                format!("{service} has no {key}"),
                "ask its operator, and write the number and public key told as public_keys",
            ),
            PinnedKeyState::OfTokens { key_use } => report.error(
                format!(
                    "{service} is a token issuer: its key {} is for tokens ({key_use}), and \
                     pseudonyms need a key service's",
                    look.key
                ),
                "write the key service's url and its keys into [[keys.services]]; a token issuer's \
                 belong into [tokens]",
            ),
            PinnedKeyState::Differs { theirs } => report.error(
                format!(
                    "{service} has another {key}: its public key has the fingerprint {}",
                    theirs.fingerprint()
                ),
                "compare the fingerprint with the operator over a second channel before writing \
                 it as public_key: pseudonyms of another key find nobody",
            ),
        }
    }
    let left = state.left_today();
    let told = format!(
        "{service} evaluates {} elements a day for this clinic, {left} of them are left today",
        state.daily_ceiling
    );
    if left < LEAST_LEFT {
        report.warn(
            told,
            "facts wait until the next day of UTC begins; ask the operator for a higher ceiling if \
             this happens often",
        );
    } else {
        report.good(told);
    }
}

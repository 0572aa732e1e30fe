//! Check of `[keys]`: the shared keys read, or each key service answers, has the pinned keys, and
//! its ceiling is told.

use key_client::{KeyClient, KeyClientError, KeyServicesConfig, ServiceState};
use program::{CheckLayout, CheckRow, Failure, Findings, Severity};
use pseudonym::{SharedKeys, Suite};
use settings::SecretSource;

use crate::cli::config_file::LoadedConfig;
use crate::config::NamedKeys;
use crate::pseudonyms::compare;

/// Heading of what is found of key services.
const SERVICES: &str = "keys.services";

pub(super) async fn check_keys(loaded: &LoadedConfig, found: &mut Findings) {
    match loaded.config.keys.named() {
        Ok(NamedKeys::Shared(source, _)) => check_shared(loaded, source, found),
        Ok(NamedKeys::Services(services)) => check_services(loaded, services, found).await,
        Ok(NamedKeys::Both {
            services,
            shared,
            moving_from,
        }) => {
            tell_move(moving_from, found);
            check_shared(loaded, shared, found);
            check_services(loaded, services, found).await;
        }
        // Not reached: such a file is refused when it is read.
        Err(mistake) => found.failed("keys", Failure::change(mistake)),
    }
}

/// Tells by which names the registry is asked while the city moves, and what comes next.
fn tell_move(from: Suite, found: &Findings) {
    let from = from.as_str();
    found.good(
        "keys",
        format!(
            "the city moves: the registry is asked by the names of suite voprf and of suite \
             {from}. Once `city-registry show --stats` counts no fact under {from} alone, take \
             moving_from and shared out of [keys]"
        ),
    );
}

fn check_shared(loaded: &LoadedConfig, source: &SecretSource, found: &Findings) {
    let text = source.read(&loaded.base);
    // What is wrong with them is said when the portal is opened.
    let Some(keys) = text.ok().and_then(|text| SharedKeys::parse(&text).ok()) else {
        return;
    };
    let fingerprints: Vec<String> = keys
        .fingerprints()
        .into_iter()
        .map(|(epoch, fingerprint)| format!("{epoch}:{fingerprint}"))
        .collect();
    found.good(
        "keys",
        format!(
            "pseudonym keys {}; the clinics' `keys show` prints the same",
            fingerprints.join(", ")
        ),
    );
}

async fn check_services(loaded: &LoadedConfig, services: &KeyServicesConfig, found: &mut Findings) {
    // What is wrong with them is said when the portal is opened.
    let Ok(client) = KeyClient::new(services, &loaded.base) else {
        return;
    };
    let fingerprints = client.fingerprints().into_iter();
    let mut rows: Vec<CheckRow> = fingerprints
        .map(|(epoch, fingerprint)| {
            good(format!(
                "epoch {epoch}: public keys with the fingerprints {fingerprint}"
            ))
        })
        .collect();
    for look in client.look().await {
        match look.state {
            Ok(state) => tell_state(&look.service, &state, &mut rows, found),
            Err(error) => rows.push(failed(error, found)),
        }
    }
    program::print_check(CheckLayout::Headings, SERVICES, &rows);
}

fn tell_state(service: &str, state: &ServiceState, rows: &mut Vec<CheckRow>, found: &mut Findings) {
    for look in &state.pinned {
        rows.push(match compare(service, look) {
            Ok(text) => good(text),
            Err(error) => failed(error, found),
        });
    }
    rows.push(good(format!(
        "{service} evaluates {} elements a day for this portal, {} of them are left today",
        state.daily_ceiling,
        state.left_today()
    )));
}

fn good(text: String) -> CheckRow {
    CheckRow {
        severity: Severity::Good,
        text,
        help: None,
    }
}

/// Row of a failure, which counts for the outcome of the check.
fn failed(error: KeyClientError, found: &mut Findings) -> CheckRow {
    let (failure, text, help) = match error {
        KeyClientError::Misconfigured { what, help } => (Failure::Change(what.clone()), what, help),
        error => (
            Failure::later(&error),
            error.to_string(),
            "citizens are told to try again later until it answers".to_owned(),
        ),
    };
    found.remember(failure);
    CheckRow {
        severity: Severity::Error,
        text,
        help: Some(help),
    }
}

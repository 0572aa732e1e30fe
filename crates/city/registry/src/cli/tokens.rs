//! One-use tokens in the daemon: how many clinics are alive, and what is forgotten of old keys.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use contract::SealedTokens;
use program::{Failure, Findings};
use tokio_util::sync::CancellationToken;

use super::config_file::LoadedConfig;
use crate::{AliveClinics, Reader, TokenKeys};

/// Pause between two counts of the clinics that are alive.
const COUNT_EVERY: Duration = Duration::from_secs(300);

/// Shows how many clinics are alive, and forgets tokens of keys that were taken away, until the
/// program is asked to stop.
pub(super) async fn token_loop(reader: Reader, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(COUNT_EVERY);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = tick.tick() => {} }
        match reader.alive_clinics(clock.now()).await {
            Ok(alive) => show(alive),
            Err(error) => tracing::warn!(event = "alive-count-failed", %error),
        }
        match reader.prune_tokens(clock.now()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(event = "tokens-forgotten", removed),
            Err(error) => tracing::warn!(event = "prune-failed", %error),
        }
    }
}

fn show(alive: AliveClinics) {
    for (day, clinics) in [("today", alive.today), ("yesterday", alive.yesterday)] {
        let clinics = f64::from(u32::try_from(clinics).unwrap_or(u32::MAX));
        metrics::gauge!("registry_alive_clinics", "day" => day).set(clinics);
    }
}

/// Token for the probe of `check`; `None` where the registry looks at none, or its keys cannot be
/// read, which [`check`] has told.
pub(super) fn of_probe(loaded: &LoadedConfig) -> Option<SealedTokens> {
    let config = loaded.config.tokens.as_ref()?;
    TokenKeys::read(config, &loaded.base).ok()?.own_token()
}

/// Looks at the keys of tokens for `check`.
pub(super) fn check(loaded: &LoadedConfig, printer: &mut Findings) {
    let Some(tokens) = &loaded.config.tokens else {
        return printer.good("tokens", "none are looked at, as there is no [tokens]");
    };
    let keys = match TokenKeys::read(tokens, &loaded.base) {
        Ok(keys) => keys,
        Err(error) => return printer.failed("tokens", Failure::change(error)),
    };
    for key in keys.described() {
        printer.good(
            "tokens",
            format!("{key}; compare with `key-service keys show` at the issuer"),
        );
    }
    if !keys.have_day_key() {
        let text = "no key has use = \"day\": clinics that are alive are not counted";
        printer.good("tokens", text);
    }
    let without = if keys.is_required() {
        "refused"
    } else {
        "taken"
    };
    printer.good("tokens", format!("a batch without a token is {without}"));
}

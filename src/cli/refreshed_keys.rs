//! `clinic-gateway keys refreshed`: goes on under the public keys of key services that have refreshed
//! their shares, once the services have shown that every pseudonym stays as it is.

use std::path::Path;

use key_client::{KeyClient, KeyClientError};
use outbox::{KeyFingerprints, OutboxError};
use program::Failure;
use program::terminal::print_line;
use pseudonym::KeyRing;

use super::keys_text::print_keys;
use super::{config_file, outbox_file};
use crate::config::LoadedConfig;
use crate::gateway::{self, StartError};
use crate::ring::fingerprints;

/// Key services of one configuration, and the fingerprints of what they are pinned to.
struct Pinned {
    services: KeyClient,
    keys: KeyFingerprints,
}

/// Compares what the services make under the keys of both configurations, and writes the new
/// fingerprints into the outbox where that is the same.
pub(super) async fn refreshed(config: &Path, before: &Path) -> Result<(), Failure> {
    let loaded = config_file::open(config)?;
    gateway::refuse_beside_another(&loaded)?;
    let ring = gateway::read_ring(&loaded)?;
    let new = pinned(config, &loaded, &ring)?;
    gateway::verify_keys(&loaded, &ring, Some(&new.services))?;
    let old = pinned(before, &config_file::load_former(before)?, &ring)?;
    if new.services.epochs() != old.services.epochs() {
        return Err(Failure::Change(
            "the two configurations have other pseudonym epochs: a refresh of shares changes the \
             services' keys, and leaves the epochs as they are"
                .to_owned(),
        ));
    }
    let reader = outbox_file::open(&loaded).await?;
    let is_new_known = reader.compare_keys(&new.keys).await.is_ok();
    let is_old_known = reader.compare_keys(&old.keys).await;
    reader.close().await;
    if is_new_known {
        print_line("nothing to do: these are the keys that facts were sent under");
        return Ok(());
    }
    match is_old_known {
        Err(OutboxError::OtherPseudonymKey { .. } | OutboxError::NoKnownPseudonymKey { .. }) => {
            return Err(Failure::Change(format!(
                "{} does not name the public keys that facts were sent under, and nothing was \
                 changed: it has to be the configuration as it was before the services changed \
                 their keys",
                before.display()
            )));
        }
        known => known.map_err(StartError::from)?,
    }
    for epoch in new.services.epochs() {
        let compared = old.services.makes_what_makes(&new.services, *epoch).await;
        if !compared.map_err(of_services)? {
            return Err(Failure::Change(format!(
                "under the new keys of epoch {epoch} the services make other pseudonyms, and nothing \
                 was changed: one service has to run `key-service refresh` with the factor that the \
                 other's `key-service rotate` wrote, and every clinic to name both new public keys"
            )));
        }
    }
    let path = outbox_file::path(&loaded);
    outbox::refresh_pseudonym_keys(&path, "keys refreshed", &old.keys, &new.keys)
        .await
        .map_err(StartError::from)?;
    print_line(
        "the services make the same pseudonyms under the new keys, and nothing is sent again:",
    );
    print_keys(&new.keys.pseudonym);
    Ok(())
}

fn pinned(path: &Path, loaded: &LoadedConfig, ring: &KeyRing) -> Result<Pinned, Failure> {
    let services = gateway::key_services(loaded)?.ok_or_else(|| {
        Failure::Change(format!(
            "{} names no key services, whose shares alone are refreshed; keys of a ring are changed \
             by `clinic-gateway keys rotate`",
            path.display()
        ))
    })?;
    let suites = loaded.config.keys.suites();
    let keys = fingerprints(ring, suites, Some(&services));
    Ok(Pinned { services, keys })
}

fn of_services(error: KeyClientError) -> Failure {
    let may_pass = !matches!(error, KeyClientError::Misconfigured { .. });
    Failure::by(may_pass, error)
}

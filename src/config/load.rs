//! Loads the configuration file and checks what its types cannot express.

use std::path::Path;

use audit::OtherFolder;
use broker::QueueConfig;
use settings::SettingsError;

use super::file::{Config, KeysConfig, OutboxConfig, SuiteName};
use super::fingerprint::PseudonymFingerprint;
use super::registry::{ReceiptsMode, RegistryConfig};
use super::release::ReleaseConfig;
use super::schedule::{MAX_EVERY_SECONDS, Schedule};
use super::source::SourceConfig;

/// Largest page a source may be asked for.
const MAX_PAGE_RECORDS: u32 = 10_000;

/// Most receipt keys at once.
const MAX_RECEIPT_KEYS: usize = 8;

/// Most fingerprints of pseudonym keys: of open epochs, and of closed ones that nobody removed.
const MAX_FINGERPRINTS: usize = 16;

/// Gateway's configuration and the file it was read from.
pub type LoadedConfig = settings::Loaded<Config>;

/// Reads and checks the file.
///
/// # Errors
/// [`SettingsError`]: where it is wrong and what to write instead.
pub fn load(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let loaded = load_unfinished(path)?;
    match verify(&loaded.config) {
        Ok(()) => Ok(loaded),
        Err(Wrong { what, help }) => Err(settings::mistake(path, what, help)),
    }
}

/// Reads the file as far as its types go, and hands the gateway's time zone on to the sources: good
/// enough to find the key ring in a file that is still being filled in.
///
/// # Errors
/// See [`load`].
pub fn load_unfinished(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let mut loaded = LoadedConfig::read(path)?;
    let Config {
        time_zone, source, ..
    } = &mut loaded.config;
    for source in source.values_mut() {
        source.inherit_time_zone(*time_zone);
    }
    Ok(loaded)
}

/// A setting that cannot be right.
struct Wrong {
    what: String,
    /// Advice: the text to write instead.
    help: String,
}

fn wrong(what: impl Into<String>, help: impl Into<String>) -> Result<(), Wrong> {
    Err(Wrong {
        what: what.into(),
        help: help.into(),
    })
}

fn verify(config: &Config) -> Result<(), Wrong> {
    verify_keys(&config.keys)?;
    verify_registry(&config.registry)?;
    verify_relay(config)?;
    verify_tokens(config)?;
    verify_outbox(&config.outbox)?;
    verify_release(&config.release)?;
    verify_audit(config)?;
    in_range("reconcile.schedule", &config.reconcile.schedule)?;
    if config.source.is_empty() {
        return wrong(
            "no [source.NAME] section",
            "describe the clinic system that holds the records",
        );
    }
    config
        .source
        .iter()
        .try_for_each(|(name, source)| verify_source(name, source))
}

fn verify_audit(config: &Config) -> Result<(), Wrong> {
    let Some(audit) = &config.audit else {
        return Ok(());
    };
    let mut others = Vec::new();
    if let Some(path) = config.outbox.path.parent() {
        others.push(OtherFolder {
            setting: "the folder of outbox.path",
            path,
        });
    }
    if let QueueConfig::Directory(directory) = &config.queue {
        others.push(OtherFolder {
            setting: "queue.directory.path",
            path: &directory.path,
        });
    }
    audit
        .mistake(&others)
        .map_or(Ok(()), |mistake| wrong(mistake.what, mistake.help))
}

fn verify_keys(keys: &KeysConfig) -> Result<(), Wrong> {
    if let Some(from) = keys.moving_from
        && (keys.suite != SuiteName::Voprf || from == SuiteName::Voprf)
    {
        return wrong(
            "keys.moving_from is for a city that moves to key services: from \"hmac\" or \
             \"hmac-streebog\" to suite = \"voprf\"",
            "write both as docs/strong.md says, or take moving_from out",
        );
    }
    match (keys.suite, keys.services.is_none()) {
        (SuiteName::Voprf, true) => wrong(
            "keys.suite is \"voprf\", and no [[keys.services]] is written",
            "describe each of the city's key services in a section [[keys.services]]; \
             config/strong/clinic-gateway.toml shows how",
        ),
        (SuiteName::Hmac | SuiteName::HmacStreebog, false) => wrong(
            "[[keys.services]] are written, and keys.suite is not \"voprf\"",
            "write suite = \"voprf\" in [keys] if the city's pseudonyms are evaluated by key \
             services, or take the sections out",
        ),
        _ => Ok(()),
    }
}

fn verify_tokens(config: &Config) -> Result<(), Wrong> {
    let Some(tokens) = &config.tokens else {
        return Ok(());
    };
    if let Err(mistake) = tokens.check() {
        return wrong(format!("tokens: {}", mistake.what), mistake.help);
    }
    if config.registry.receipts != ReceiptsMode::Required {
        return wrong(
            "[tokens] is written, and receipts of [registry] are off",
            "set receipts = \"required\": whether the registry took a token stands in its receipt",
        );
    }
    Ok(())
}

fn verify_relay(config: &Config) -> Result<(), Wrong> {
    let Some(relay) = &config.relay else {
        return Ok(());
    };
    if relay.sealer().is_err() {
        return wrong(
            "relay.public_key is not a relay's public key",
            "it begins with cgrp1: and is printed by `mix-relay keys show`",
        );
    }
    Ok(())
}

fn verify_registry(registry: &RegistryConfig) -> Result<(), Wrong> {
    if contract::PublicKey::from_text(&registry.public_key).is_err() {
        return wrong(
            "registry.public_key is not a registry's public key",
            "it begins with cgpk1: and is printed by `city-registry keys public`",
        );
    }
    if registry.receipts == ReceiptsMode::Required && registry.receipt_keys.is_empty() {
        return wrong(
            "registry.receipt_keys is missing, so no receipt could be told from a forged one",
            "add the line `receipt_keys = [\"cgrv1:…\"]` that `city-registry keys public` prints; \
             for a registry \
             without receipts write `receipts = \"off\"`",
        );
    }
    if registry.receipt_keys.len() > MAX_RECEIPT_KEYS {
        return wrong(
            format!("registry.receipt_keys has more than {MAX_RECEIPT_KEYS} keys"),
            "remove the keys that the registry uses no more",
        );
    }
    for (place, key) in registry.receipt_keys.iter().enumerate() {
        if contract::ReceiptVerifier::from_text(key).is_err() {
            return wrong(
                format!(
                    "registry.receipt_keys: entry {} is not a registry's receipt key",
                    place + 1
                ),
                "it begins with cgrv1: and is printed by `city-registry keys public`",
            );
        }
    }
    verify_fingerprints(&registry.pseudonym_fingerprints)?;
    if !(1..=86_400).contains(&registry.resend_after_seconds) {
        return wrong(
            "registry.resend_after_seconds must be 1 to 86400",
            "3600 is a good value",
        );
    }
    Ok(())
}

fn verify_fingerprints(fingerprints: &[PseudonymFingerprint]) -> Result<(), Wrong> {
    if fingerprints.len() > MAX_FINGERPRINTS {
        return wrong(
            format!("registry.pseudonym_fingerprints has more than {MAX_FINGERPRINTS} entries"),
            "remove the epochs that are closed",
        );
    }
    let mut epochs: Vec<_> = fingerprints.iter().map(|one| one.epoch).collect();
    epochs.sort_unstable();
    match epochs.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => wrong(
            format!(
                "registry.pseudonym_fingerprints names epoch {} twice",
                pair[0]
            ),
            "keep the entry that the city gave; an epoch has one key",
        ),
    }
}

fn verify_outbox(outbox: &OutboxConfig) -> Result<(), Wrong> {
    if !(1..=contract::wire::MAX_EVENTS).contains(&outbox.batch_events) {
        return wrong(
            "outbox.batch_events must be 1 to 1000",
            "1000 is a good value",
        );
    }
    if !(1..=1 << 20).contains(&outbox.max_mebibytes) {
        return wrong(
            "outbox.max_mebibytes must be 1 to 1048576",
            "1024 is a good value",
        );
    }
    Ok(())
}

fn verify_release(release: &ReleaseConfig) -> Result<(), Wrong> {
    let sizes = release.padded_sizes().map(|_| ());
    let slots = || release.slots().map(|_| ());
    match sizes
        .and_then(|()| slots())
        .and_then(|()| release.check_classes())
    {
        Ok(()) => Ok(()),
        Err(mistake) => wrong(mistake.to_string(), mistake.help()),
    }
}

fn verify_source(name: &str, source: &SourceConfig) -> Result<(), Wrong> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
        return wrong(
            format!(
                "source.{name}: the name may have lower-case letters, digits and hyphens, at most \
                 32"
            ),
            "for instance [source.mis]",
        );
    }
    if !(1..=MAX_PAGE_RECORDS).contains(&source.page_records()) {
        return wrong(
            format!("source.{name}.page_records must be 1 to {MAX_PAGE_RECORDS}"),
            "1000 is a good value",
        );
    }
    verify_schedules(name, source)?;
    verify_sections(name, source)
}

fn verify_schedules(name: &str, source: &SourceConfig) -> Result<(), Wrong> {
    in_range(&format!("source.{name}.schedule"), &source.schedule)?;
    let sweep = format!("source.{name}.sweep.schedule");
    in_range(&sweep, &source.sweep.schedule)?;
    let sections = source.sections();
    match sections.iter().find(|section| section.config.listens()) {
        Some(listening) if source.schedule == Schedule::Never => wrong(
            format!(
                "source.{name}.{}.listen needs a schedule: a hint does not find what is committed \
                 late",
                listening.name
            ),
            format!(
                "set source.{name}.schedule, for instance {{ every-seconds = 60 }}, or take listen \
                 out"
            ),
        ),
        _ => Ok(()),
    }
}

fn verify_sections(name: &str, source: &SourceConfig) -> Result<(), Wrong> {
    match source.sections().as_slice() {
        [_] => Ok(()),
        [] => wrong(
            format!("source.{name} has no connector section"),
            format!(
                "add one of [source.{name}.{}",
                SourceConfig::KINDS.join(", .")
            )
            .replacen(',', "],", 1),
        ),
        several => {
            let names: Vec<_> = several.iter().map(|section| section.name).collect();
            wrong(
                format!(
                    "source.{name} has {} connector sections: {}",
                    several.len(),
                    names.join(", ")
                ),
                "one source is one system: give each a [source.NAME] of its own",
            )
        }
    }
}

fn in_range(key: &str, schedule: &Schedule) -> Result<(), Wrong> {
    if schedule.is_in_range() {
        return Ok(());
    }
    wrong(
        format!("{key}: every-seconds must be 1 to {MAX_EVERY_SECONDS}"),
        "for a longer pause write { cron = \"0 0 3 * * *\" }",
    )
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    /// Loads a configuration whose source listens, under this schedule.
    fn listening(schedule: &str) -> Result<(), String> {
        loaded(&format!(
            "receipts = \"off\"\n[source.mis]\nschedule = {schedule}\n\
             [source.mis.postgres]\nhost = \"db\"\ndatabase = \"mis\"\nuser = \"reader\"\nlisten \
             = \"facts\"\n\
             [source.mis.postgres.vaccinations]\nquery = \"SELECT 1 AS record_id\"\n"
        ))
    }

    /// Loads a configuration that ends like this behind the registry's public key.
    fn loaded(rest: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("clinic-gateway.toml");
        let key = contract::PrivateKey::generate().public().to_text();
        let text = format!(
            "[keys]\nring = {{ file = \"keys\" }}\n[queue.directory]\npath = \"queue\"\n\
             [registry]\npublic_key = \"{key}\"\n{rest}"
        );
        std::fs::write(&path, text).expect("the configuration is written");
        load(&path).map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_that_listens_needs_a_schedule() {
        assert_eq!(listening("{ every-seconds = 60 }"), Ok(()));
        let refused = listening("\"never\"").expect_err("late commits would be found by nobody");
        assert!(
            refused.contains("source.mis.postgres.listen needs a schedule"),
            "{refused}"
        );
    }

    #[test]
    fn tokens_need_receipts_and_two_keys() {
        let [batch, day] = [(); 2].map(|()| oprf::TokenKey::generate().public_key());
        let with = |receipts: &str, batch: &oprf::TokenPublicKey| {
            loaded(&format!(
                "{receipts}\n[tokens]\nurl = \"http://127.0.0.1:9480\"\n\
                 batch = {{ key = 1, public_key = \"{batch}\" }}\n\
                 day = {{ key = 2, public_key = \"{day}\" }}\n\
                 [source.mis.sqlite]\npath = \"mis.db\"\n\
                 [source.mis.sqlite.vaccinations]\nquery = \"SELECT 1 AS record_id\"\n"
            ))
        };
        let verifier = contract::ReceiptSigner::generate().verifier().to_text();
        let required = format!("receipt_keys = [\"{verifier}\"]");
        assert_eq!(with(&required, &batch), Ok(()));
        let refused = with("receipts = \"off\"", &batch).expect_err("nobody hears of a refusal");
        assert!(
            refused.contains("receipts of [registry] are off"),
            "{refused}"
        );
        let refused = with(&required, &day).expect_err("one key for both");
        assert!(
            refused.contains("tokens: batch and day name one key"),
            "{refused}"
        );
    }
}

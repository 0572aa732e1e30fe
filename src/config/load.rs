//! Loads the configuration file and checks what its types cannot say.

use std::path::{Path, PathBuf};

use settings::SettingsError;

use super::{Config, Schedule};

/// Largest page a source may be asked for.
const MAX_PAGE_RECORDS: u32 = 10_000;

/// A configuration and where it came from; relative paths in it start from [`LoadedConfig::base`].
#[derive(Debug)]
pub struct LoadedConfig {
    /// The file.
    pub path: PathBuf,
    /// Its folder.
    pub base: PathBuf,
    /// What it says.
    pub config: Config,
}

/// Reads and checks the file.
///
/// # Errors
/// [`SettingsError`]: where it is wrong and what to write instead.
pub fn load(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let loaded = load_unfinished(path)?;
    verify(&loaded.config, path)?;
    Ok(loaded)
}

/// Reads the file as far as its types go: good enough to find the key ring in a file that is still being filled in.
///
/// # Errors
/// As [`load`].
pub fn load_unfinished(path: &Path) -> Result<LoadedConfig, SettingsError> {
    let config: Config = settings::load(path)?;
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(LoadedConfig { path: path.to_path_buf(), base, config })
}

/// The JSON Schema of the file, for editors.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".to_owned(), "clinic-gateway configuration".into());
    schema.to_value()
}

fn verify(config: &Config, path: &Path) -> Result<(), SettingsError> {
    let wrong = |what: String, help: &str| Err(settings::wrong(path, what, help));
    if config.source.is_empty() {
        return wrong("no [source.NAME] section".into(), "describe the clinic system that holds the records");
    }
    if contract::PublicKey::from_text(&config.registry.public_key).is_err() {
        return wrong(
            "registry.public_key is not a registry's public key".into(),
            "it begins with cgpk1: and is printed by `city-registry keys public`",
        );
    }
    if !(1..=contract::wire::MAX_EVENTS).contains(&config.outbox.batch_events) {
        return wrong("outbox.batch_events must be 1 to 1000".into(), "250 is a good value");
    }
    if !(1..=1 << 20).contains(&config.outbox.max_mebibytes) {
        return wrong("outbox.max_mebibytes must be 1 to 1048576".into(), "1024 is a good value");
    }
    for (name, source) in &config.source {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return wrong(
                format!(
                    "source.{name}: the name may have lower-case letters, digits and hyphens, at most 32"
                ),
                "for instance [source.mis]",
            );
        }
        if !(1..=MAX_PAGE_RECORDS).contains(&source.page_records) {
            return wrong(
                format!("source.{name}.page_records must be 1 to {MAX_PAGE_RECORDS}"),
                "1000 is a good value",
            );
        }
        if let Schedule::EverySeconds(seconds) = source.schedule
            && !(1..=86_400).contains(&seconds)
        {
            return wrong(
                format!("source.{name}.schedule: every-seconds must be 1 to 86400"),
                "for a longer pause write { cron = \"0 0 3 * * *\" }",
            );
        }
        match source.connectors().as_slice() {
            [_] => {}
            [] => {
                return wrong(
                    format!("source.{name} has no connector section"),
                    "add one of [source.NAME.postgres], .mysql, .sqlite, .fhir",
                );
            }
            several => {
                return wrong(
                    format!("source.{name} has {} connector sections: {}", several.len(), several.join(", ")),
                    "one source is one system: give each a [source.NAME] of its own",
                );
            }
        }
    }
    Ok(())
}

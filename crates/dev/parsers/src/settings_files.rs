//! The configuration files of both programs.

use std::io::Write as _;
use std::path::Path;

use clinic_gateway::config::{self, SourceConfig};
use pseudonym::Policy;
use settings::SettingsError;

use crate::sql;

/// `clinic-gateway.toml`, with all that is checked before anything is connected to.
pub fn gateway_settings(bytes: &[u8]) -> bool {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("that can be written");
    let loaded = match config::load(file.path()) {
        Ok(loaded) => loaded,
        Err(error) => return refused(&error, bytes),
    };
    for source in loaded.config.source.values() {
        let meaning = source.meaning().expect("settings can be written");
        let again: SourceConfig = serde_json::from_str(&meaning).expect("and read again");
        assert_eq!(
            again.meaning().ok(),
            Some(meaning),
            "a source's settings come back as they were"
        );
        if let Err(error) = Policy::new(&source.policy) {
            assert!(error.to_string().len() < 4096 + bytes.len());
        }
        source
            .postgres
            .as_ref()
            .map(|config| sql::accepts(sql::postgres(config)));
        source
            .mysql
            .as_ref()
            .map(|config| sql::accepts(sql::mysql(config)));
        source
            .sqlite
            .as_ref()
            .map(|config| sql::accepts(sql::sqlite(config)));
    }
    true
}

/// `city-registry.toml`.
pub fn registry_settings(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let config: registry::Config = match settings::parse(text, Path::new("city-registry.toml")) {
        Ok(config) => config,
        Err(error) => return refused(&error, bytes),
    };
    let written = serde_json::to_value(&config).expect("settings can be written");
    let again: registry::Config = serde_json::from_value(written.clone()).expect("and read again");
    assert_eq!(
        serde_json::to_value(&again).ok(),
        Some(written),
        "settings come back as they were"
    );
    true
}

/// An error names one place: it may show one key of the file, and not much more.
fn refused(error: &SettingsError, bytes: &[u8]) -> bool {
    assert!(
        error.to_string().len() < 4096 + bytes.len(),
        "an error larger than its file"
    );
    false
}

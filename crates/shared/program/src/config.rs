//! Opening of a program's configuration file.

use std::path::Path;

use settings::{Loaded, SettingsError};
use telemetry::LogConfig;

use crate::{Failure, core_dumps, memory_lock};

/// Reads a configuration with `load` and starts the log of its `[log]` section.
///
/// # Errors
/// [`Failure::Change`]: the mistake in the file, as [`load()`] words it.
pub fn open<C>(
    path: &Path,
    load: impl FnOnce(&Path) -> Result<Loaded<C>, SettingsError>,
    init: Option<&str>,
    log: impl FnOnce(&C) -> &LogConfig,
) -> Result<Loaded<C>, Failure> {
    let loaded = self::load(path, load, init)?;
    telemetry::init_logs(log(&loaded.config))?;
    core_dumps::report();
    memory_lock::report();
    Ok(loaded)
}

/// Reads a configuration with `load`, without starting the log.
///
/// `init` is the command that writes a first configuration: it is named where there is no file.
///
/// # Errors
/// [`Failure::Change`]: the mistake in the file and what to write instead.
pub fn load<C>(
    path: &Path,
    load: impl FnOnce(&Path) -> Result<Loaded<C>, SettingsError>,
    init: Option<&str>,
) -> Result<Loaded<C>, Failure> {
    load(path).map_err(|error| match (&error, init) {
        (SettingsError::Unreadable { error: reason, .. }, Some(init)) if reason.is_not_found() => {
            Failure::Change(format!(
                "{error}\n  help: name it with --config, or write one with `{init}`"
            ))
        }
        (SettingsError::Unreadable { .. }, _) => Failure::Change(format!(
            "{error}\n  help: name a file that this user may read with --config"
        )),
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(init: Option<&str>) -> String {
        let failure = load::<()>(Path::new("/no/such/file"), Loaded::read, init)
            .expect_err("there is no such file");
        assert_eq!(failure.exit_code(), 78);
        failure.to_string()
    }

    #[test]
    fn a_missing_file_is_answered_with_the_command_that_writes_one() {
        assert!(message(Some("x init")).ends_with("or write one with `x init`"));
        let other = message(None);
        assert!(other.contains("there is no such file\n"), "{other}");
        assert!(
            other.contains("name a file that this user may read"),
            "{other}"
        );
    }

    #[test]
    fn a_folder_and_an_empty_file_say_what_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = |path: &Path| {
            let read = load::<Vec<String>>(path, Loaded::read, Some("x init"));
            read.expect_err("no configuration").to_string()
        };
        let told = read(folder.path());
        assert!(
            told.contains("it is a folder") && told.contains("--config"),
            "{told}"
        );
        let empty = folder.path().join("empty.toml");
        std::fs::write(&empty, "\n").expect("a file");
        let told = read(&empty);
        assert!(told.contains("empty.toml: the file is empty"), "{told}");
    }
}

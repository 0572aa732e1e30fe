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
        assert!(message(None).ends_with("there is no such file"));
    }
}

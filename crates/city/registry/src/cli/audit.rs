//! Audit log of the registry: where it is, and commands between their two lines.

use std::path::PathBuf;

use clock::Clock;
use program::Failure;
use program::audit_log::{AuditedCommand, Counts, look};

use super::config_file::LoadedConfig;

/// Folder of the log; `None` where none is kept.
pub(super) fn folder(loaded: &LoadedConfig) -> Option<PathBuf> {
    let audit = loaded.config.audit.as_ref()?;
    Some(loaded.base.join(&audit.folder))
}

/// Does a command between its two lines of the log. `name` is `None` for one that
/// is not written down.
pub(super) async fn audited(
    name: Option<&'static str>,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
    work: impl AsyncFnOnce(&mut Counts) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let command = AuditedCommand {
        folder: folder(loaded),
        name,
        clock,
    };
    command.run(work).await
}

/// Looks at the log for `check`: a sentence on it.
pub(super) fn check(loaded: &LoadedConfig) -> Result<String, Failure> {
    match folder(loaded) {
        Some(folder) => look(&folder),
        None => Ok("no audit log is kept, as there is no [audit]".to_owned()),
    }
}

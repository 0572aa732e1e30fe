//! Audit log of the gateway: where it is, and commands between their two lines.

use std::path::PathBuf;

use clock::Clock;
use connector_kit::{CheckReport, Finding, Level};
use program::Failure;
use program::audit_log::{AuditedCommand, Counts, look};

use crate::config::LoadedConfig;

/// Folder of the log; `None` where none is kept.
pub(super) fn folder(loaded: &LoadedConfig) -> Option<PathBuf> {
    let audit = loaded.config.audit.as_ref()?;
    Some(loaded.base.join(&audit.folder))
}

/// Does a command between its two lines of the log. `name` is `None` for one that is not written
/// down.
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

/// Looks at the log for `check`, if one is kept.
pub(super) fn check(report: &mut CheckReport, loaded: &LoadedConfig) {
    let Some(folder) = folder(loaded) else {
        return;
    };
    match look(&folder) {
        Ok(told) => report.good(format!("audit log: {told}")),
        Err(failure) => report.findings.push(Finding {
            level: Level::Error,
            what: failure.message().to_owned(),
            help: None,
            may_pass: matches!(failure, Failure::Later(_)),
        }),
    }
}

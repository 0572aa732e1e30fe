//! Check of the outbox: its file and folder can be read and written.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use connector_kit::CheckReport;
use outbox::{KeyFingerprints, NO_FOLDER_HELP, OutboxError, OutboxReader};
use program::{Failure, files};
use pseudonym::KeyRing;
use telemetry::Disk;

use super::ConfiguredServices;
use super::section::{Section, add_outbox_error};
use crate::cli::outbox_file;
use crate::cli::removed::{self, Told};
use crate::config::LoadedConfig;
use crate::disks::{self, disks_in_use};
use crate::ring::fingerprints;

/// Help for a disk that has no room.
const DISK_HELP: &str = "see docs/operations.md for how much room is needed";

/// Help for an outbox that this account may not write to.
const UNWRITABLE_HELP: &str = "the folder is to have mode 0700 and the account the gateway runs \
    under as its owner; run `check` under that account";

/// Checks the file and its folder, and whether it was begun under the keys of this ring.
pub(super) async fn section(
    loaded: &LoadedConfig,
    ring: Option<&KeyRing>,
    services: &ConfiguredServices,
) -> Section {
    let path = outbox_file::path(loaded);
    let mut report = CheckReport::default();
    let exists = match OutboxReader::open(&path).await {
        Ok(reader) => {
            let suites = loaded.config.keys.suites();
            if let (Some(ring), Ok(services)) = (ring, services) {
                let keys = fingerprints(ring, suites, services.as_ref());
                compare_keys(&mut report, &reader, &keys).await;
            }
            look_at_status(&mut report, &reader, loaded).await;
            true
        }
        Err(error) if error.is_missing() => false,
        Err(error) => {
            add_outbox_error(&mut report, &error);
            return Section::new("outbox", report);
        }
    };
    let unwritable = try_to_write(&path);
    if unwritable.is_none() {
        check_disks(&mut report, loaded).await;
        warn_of_others(&mut report, folder_of(&path));
    }
    match unwritable {
        Some((failure, help)) => report.error(failure.message(), help),
        None if exists => report.good(format!("{} can be read and written", path.display())),
        None => report.good(format!(
            "{} will be made at the first start",
            path.display()
        )),
    }
    Section::new("outbox", report)
}

/// Returns whether a daemon holds the outbox; why its lock cannot be read is told elsewhere.
pub(super) fn daemon_runs(loaded: &LoadedConfig) -> bool {
    let owner = outbox::owner(&outbox_file::path(loaded));
    owner.is_ok_and(|owner| owner.is_some_and(|owner| owner.command == "run"))
}

/// Tells disks that are full or nearly so: what cannot be stored cannot be sent.
async fn check_disks(report: &mut CheckReport, loaded: &LoadedConfig) {
    for disk in disks::look_at(&disks_in_use(loaded), Disk::look_closely).await {
        match disk.trouble() {
            Some(trouble) if disk.found.takes_writes() => report.warn(trouble, DISK_HELP),
            Some(trouble) => report.error(trouble, DISK_HELP),
            None => {}
        }
    }
}

async fn compare_keys(report: &mut CheckReport, reader: &OutboxReader, keys: &KeyFingerprints) {
    match reader.compare_keys(keys).await {
        Ok(()) => report.good("it was begun under the keys of the ring"),
        Err(error) => add_outbox_error(report, &error),
    }
}

/// Reports a state that has stopped, since another gateway was found to run on a copy of it; and
/// feeds that it knows and the configuration does not.
async fn look_at_status(report: &mut CheckReport, reader: &OutboxReader, loaded: &LoadedConfig) {
    let found = async {
        let status = reader.status().await?;
        if status.other_gateway_at.is_some() {
            return Err(OutboxError::OtherGateway);
        }
        removed::read(&status, reader, &loaded.config).await
    };
    match found.await {
        Ok(removed) => {
            for Told { what, help } in removed::tell(&removed) {
                report.warn(what, help);
            }
        }
        Err(error) => add_outbox_error(report, &error),
    }
}

/// Warns where others on the machine may look into the folder. The files in it are their owner's
/// alone, whatever its mode.
fn warn_of_others(report: &mut CheckReport, folder: &Path) {
    let Ok(found) = std::fs::metadata(folder) else {
        return;
    };
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        report.warn(
            format!(
                "{} has mode {mode:04o}: other accounts of this machine may look into it. They \
                 cannot read its files, but may see how long these are and when they change",
                folder.display()
            ),
            format!("chmod 0700 {}", folder.display()),
        );
    }
}

/// Folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Tries to write to the folder and the files of the outbox; returns the first failure, and what
/// to do about it.
fn try_to_write(outbox: &Path) -> Option<(Failure, &'static str)> {
    let folder = folder_of(outbox);
    let probe = folder.join(format!(".clinic-gateway-check-{}", std::process::id()));
    let made = OpenOptions::new().create_new(true).write(true).open(&probe);
    if let Err(error) = made.and_then(|_| std::fs::remove_file(&probe)) {
        let help = match error.kind() {
            ErrorKind::NotFound => NO_FOLDER_HELP,
            _ => UNWRITABLE_HELP,
        };
        return Some((files::cannot_write(folder, error.kind()), help));
    }
    for suffix in ["", ".lock", ".generation"] {
        let mut file = outbox.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match OpenOptions::new().append(true).open(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Some((files::cannot_write(&file, error.kind()), UNWRITABLE_HELP));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};

    use super::*;

    #[test]
    fn a_folder_that_others_may_look_into_is_warned_of() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = folder.path().join("state");
        create_dir(&state).expect("made");
        let warnings = |mode| {
            set_permissions(&state, Permissions::from_mode(mode)).expect("set");
            let mut report = CheckReport::default();
            warn_of_others(&mut report, &state);
            report.findings
        };
        assert!(warnings(0o700).is_empty());
        let found = warnings(0o750).remove(0);
        assert!(found.what.contains("mode 0750"), "{}", found.what);
        assert!(
            found
                .help
                .is_some_and(|help| help.starts_with("chmod 0700 "))
        );
    }

    #[test]
    fn a_folder_that_is_gone_is_told_as_whoever_opens_the_outbox_tells_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let outbox = folder.path().join("state/outbox.db");
        let (failure, help) = try_to_write(&outbox).expect("there is no folder");
        assert!(failure.message().contains("no such folder"));
        assert!(OutboxError::NoFolder.to_string().ends_with(help));
    }
}

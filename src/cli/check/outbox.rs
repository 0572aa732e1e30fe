//! Check of the outbox: its file and folder can be read and written.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use connector_kit::CheckReport;
use outbox::{KeyFingerprints, OutboxError, OutboxReader};
use program::{Failure, files};
use pseudonym::KeyRing;
use telemetry::Disk;

use super::section::{Section, add_outbox_error};
use crate::cli::outbox_file;
use crate::config::LoadedConfig;
use crate::disks::{self, disks_in_use};
use crate::ring::fingerprints;

/// Help for a disk that has no room.
const DISK_HELP: &str = "see docs/operations.md for how much room is needed";

/// Help for an outbox that this account may not write to.
const UNWRITABLE_HELP: &str = "make the folder, mode 0700, owned by the account the gateway runs \
    under; `check` under that account";

/// Checks the file and its folder, and whether it was begun under the keys of this ring.
pub(super) async fn section(loaded: &LoadedConfig, ring: Option<&KeyRing>) -> Section {
    let path = outbox_file::path(loaded);
    let mut report = CheckReport::default();
    let exists = match OutboxReader::open(&path).await {
        Ok(reader) => {
            let suite = loaded.config.keys.suite.into();
            if let Some(ring) = ring {
                compare_keys(&mut report, &reader, &fingerprints(ring, suite)).await;
            }
            look_for_other_gateway(&mut report, &reader).await;
            true
        }
        Err(OutboxError::Missing) => false,
        Err(error) => {
            add_outbox_error(&mut report, &error);
            return Section::new("outbox", report);
        }
    };
    let writable = try_to_write(&path);
    if writable.is_none() {
        check_disks(&mut report, loaded).await;
    }
    match writable {
        Some(failure) => report.error(failure.message(), UNWRITABLE_HELP),
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

/// Reports a state that has stopped, since another gateway was found to run on a copy of it.
async fn look_for_other_gateway(report: &mut CheckReport, reader: &OutboxReader) {
    match reader.status().await {
        Ok(status) if status.other_gateway_at.is_some() => {
            add_outbox_error(report, &OutboxError::OtherGateway);
        }
        Ok(_) => {}
        Err(error) => add_outbox_error(report, &error),
    }
}

/// Tries to write to the folder and the files of the outbox; returns the first failure.
fn try_to_write(outbox: &Path) -> Option<Failure> {
    let folder = match outbox.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let probe = folder.join(format!(".clinic-gateway-check-{}", std::process::id()));
    let made = OpenOptions::new().create_new(true).write(true).open(&probe);
    if let Err(error) = made.and_then(|_| std::fs::remove_file(&probe)) {
        return Some(files::cannot_write(folder, error.kind()));
    }
    for suffix in ["", ".lock", ".generation"] {
        let mut file = outbox.as_os_str().to_owned();
        file.push(suffix);
        let file = PathBuf::from(file);
        match OpenOptions::new().append(true).open(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Some(files::cannot_write(&file, error.kind()));
            }
            _ => {}
        }
    }
    None
}

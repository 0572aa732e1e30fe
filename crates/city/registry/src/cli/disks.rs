//! Disks that the registry writes to by itself: under a store in a file, under the auditor's folder,
//! and under a queue in a directory. Those of servers show in the servers' own refusals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker::QueueConfig;
use telemetry::{Disk, DiskState, HealthPart};
use tokio_util::sync::CancellationToken;

use super::config_file::LoadedConfig;
use crate::StoreConfig;

/// Interval between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// A disk that the registry writes to by itself.
#[derive(Debug, Clone)]
pub(super) struct DiskInUse {
    /// `store`, `escrow` or `queue`, the label of its metrics.
    pub(super) name: &'static str,
    folder: PathBuf,
}

impl DiskInUse {
    /// Looks at the disk by `look`; `None` where its folder is not there yet.
    pub(super) fn found(&self, look: fn(&Path) -> Disk) -> Option<Disk> {
        self.folder.is_dir().then(|| look(&self.folder))
    }

    /// Sentence on the disk in this state; `None` for one that is well.
    pub(super) fn trouble(&self, disk: Disk) -> Option<String> {
        let place = match self.name {
            "store" => "the disk under the store",
            "escrow" => "the disk under the auditor's folder",
            _ => "the disk under the queue's directory",
        };
        let free = disk.free_bytes >> 10;
        (disk.state != DiskState::Ok).then(|| format!("{place} {} ({free} KiB free)", disk.state))
    }
}

/// Lists the disks of a configuration.
pub(super) fn disks_in_use(loaded: &LoadedConfig) -> Vec<DiskInUse> {
    let mut disks = Vec::new();
    if let StoreConfig::Sqlite(sqlite) = &loaded.config.store {
        let file = loaded.base.join(&sqlite.path);
        let folder = file.parent().filter(|folder| *folder != Path::new(""));
        disks.push(DiskInUse {
            name: "store",
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
        });
    }
    if let Some(escrow) = &loaded.config.escrow {
        disks.push(DiskInUse {
            name: "escrow",
            folder: loaded.base.join(&escrow.folder),
        });
    }
    if let QueueConfig::Directory(directory) = &loaded.config.queue {
        disks.push(DiskInUse {
            name: "queue",
            folder: loaded.base.join(&directory.path),
        });
    }
    disks
}

/// Shows the disks in the metrics, the log and the readiness page until `stop`.
pub(super) async fn disk_loop(disks: Vec<DiskInUse>, health: HealthPart, stop: CancellationToken) {
    let mut logged = BTreeMap::new();
    loop {
        let looked_at = disks.clone();
        // On a thread where a disk that hangs delays nothing else.
        let looking = tokio::task::spawn_blocking(move || {
            let found = |disk: DiskInUse| Some((disk.found(Disk::look)?, disk));
            looked_at.into_iter().filter_map(found).collect::<Vec<_>>()
        });
        let mut unwritable = None;
        for (found, disk) in looking.await.unwrap_or_default() {
            show(&disk, found);
            let trouble = disk.trouble(found);
            let before = logged.insert(disk.name, found.state);
            log_change(
                before.unwrap_or(DiskState::Ok),
                found.state,
                trouble.as_deref(),
            );
            if !found.state.takes_writes() {
                unwritable = unwritable.or(trouble);
            }
        }
        match unwritable {
            Some(trouble) => health.set_unready(trouble),
            None => health.set_ready(),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn log_change(before: DiskState, state: DiskState, trouble: Option<&str>) {
    let code = state.as_str();
    match trouble {
        _ if before == state => {}
        Some(trouble) => tracing::warn!(event = "disk", state = code, "{trouble}"),
        None => tracing::info!(event = "disk", state = code, "there is room again"),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; the bytes of a disk fit its 53 bits"
)]
fn show(disk: &DiskInUse, found: Disk) {
    metrics::gauge!("registry_disk_free_bytes", "disk" => disk.name).set(found.free_bytes as f64);
    for state in DiskState::ALL {
        let present = f64::from(u8::from(state == found.state));
        metrics::gauge!("registry_disk_state", "disk" => disk.name, "state" => state.as_str())
            .set(present);
    }
}

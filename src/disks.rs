//! Disks that the gateway writes to, and their state.

use std::path::{Path, PathBuf};

use broker::QueueConfig;
use serde::Serialize;
use telemetry::{Disk, DiskState};

use crate::config::LoadedConfig;

/// Name of the disk under the outbox, in JSON and metrics.
pub(crate) const OUTBOX: &str = "outbox";

/// Name of the disk under the queue's directory.
pub(crate) const QUEUE: &str = "queue";

/// A disk that the gateway writes to.
#[derive(Debug, Clone)]
pub(crate) struct DiskInUse {
    pub(crate) name: &'static str,
    folder: PathBuf,
}

/// State of a disk that the gateway writes to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DiskStatus {
    /// `outbox`, or `queue` for a queue in a directory.
    pub(crate) disk: &'static str,
    /// Code of its state.
    pub(crate) state: &'static str,
    /// Bytes that are free for this account.
    pub(crate) free_bytes: u64,
    #[serde(skip)]
    pub(crate) found: DiskState,
}

impl DiskStatus {
    pub(crate) const fn new(name: &'static str, disk: Disk) -> Self {
        Self {
            disk: name,
            state: disk.state.as_str(),
            free_bytes: disk.free_bytes,
            found: disk.state,
        }
    }

    /// Sentence on a disk that is not well; `None` for one that is.
    pub(crate) fn trouble(&self) -> Option<String> {
        let place = if self.disk == OUTBOX {
            "the disk under the outbox"
        } else {
            "the disk under the queue's directory"
        };
        (self.found != DiskState::Ok).then(|| {
            let free = self.free_bytes >> 10;
            format!("{place} {} ({free} KiB free)", self.found)
        })
    }
}

/// Lists the disks of a configuration.
pub(crate) fn disks_in_use(loaded: &LoadedConfig) -> Vec<DiskInUse> {
    let outbox = loaded.base.join(&loaded.config.outbox.path);
    let folder = match outbox.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut disks = vec![DiskInUse {
        name: OUTBOX,
        folder,
    }];
    if let QueueConfig::Directory(directory) = &loaded.config.queue {
        disks.push(DiskInUse {
            name: QUEUE,
            folder: loaded.base.join(&directory.path),
        });
    }
    disks
}

/// Looks at the disks by `look`, on a thread where a disk that hangs delays nothing else; those
/// whose folder is not there yet are left out.
pub(crate) async fn look_at(disks: &[DiskInUse], look: fn(&Path) -> Disk) -> Vec<DiskStatus> {
    let disks = disks.to_vec();
    let looking = tokio::task::spawn_blocking(move || {
        let there = disks.iter().filter(|disk| disk.folder.is_dir());
        there
            .map(|disk| DiskStatus::new(disk.name, look(&disk.folder)))
            .collect()
    });
    looking.await.unwrap_or_default()
}

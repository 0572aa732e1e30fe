//! The queue as a directory: `incoming/`, `work/<consumer>/`, `dead/`, `receipts/`, and
//! `tmp/<publisher>/` for half-written files.

mod blocking;
mod consumer;
mod dead_letters;
mod layout;
mod opening;
mod process_folder;
mod publisher;
mod receipt_file;
mod receipt_publisher;
mod receipt_subscriber;
mod scratch;

use std::path::Path;

use blocking::run_blocking;
pub(crate) use consumer::{consumer, limited_consumer};
pub(crate) use dead_letters::dead_letters;
use layout::QueueLayout;
use process_folder::ProcessFolder;
pub(crate) use publisher::publisher;
pub(crate) use receipt_publisher::receipt_publisher;
pub(crate) use receipt_subscriber::receipt_subscriber;

use crate::{BrokerError, Depth, DirectoryConfig};

pub(crate) async fn check(
    config: &DirectoryConfig,
    base: &Path,
) -> Result<Vec<String>, BrokerError> {
    let layout = QueueLayout::new(&config.path, base);
    run_blocking(move || {
        layout.create()?;
        // As for publishing: a file of our own is written through to the disk, and removed.
        let folder = ProcessFolder::create(&layout.tmp)
            .map_err(|error| layout.error("be written to", &error))?;
        drop(folder);
        let depth = layout.depth()?;
        Ok(vec![
            format!(
                "the queue directory {} can be written",
                layout.root.display()
            ),
            format!(
                "waiting batches: {}, dead letters: {}",
                depth.waiting, depth.dead
            ),
        ])
    })
    .await
}

pub(crate) async fn readers(config: &DirectoryConfig, base: &Path) -> Result<u64, BrokerError> {
    let layout = QueueLayout::new(&config.path, base);
    run_blocking(move || {
        layout.create()?;
        ProcessFolder::count_live(&layout.work).map_err(|error| layout.error("be read", &error))
    })
    .await
}

pub(crate) async fn depth(config: &DirectoryConfig, base: &Path) -> Result<Depth, BrokerError> {
    let layout = QueueLayout::new(&config.path, base);
    run_blocking(move || layout.depth()).await
}

//! The queue as a directory: `incoming/`, `work/<consumer>/`, `dead/`, `receipts/`, and
//! `tmp/<publisher>/` for half-written files.

mod consumer;
mod dead;
mod den;
mod layout;
mod publisher;
mod receipt_reader;
mod receipt_writer;
mod scratch;

use std::path::Path;

pub(crate) use consumer::DirectoryConsumer;
pub(crate) use dead::DeadFiles;
pub(crate) use layout::Name;
use layout::{Layout, count};
pub(crate) use publisher::DirectoryPublisher;
pub(crate) use receipt_reader::ReceiptReader;
pub(crate) use receipt_writer::ReceiptWriter;

use crate::{BrokerError, Depth, DirectoryConfig};

pub(crate) async fn check(
    config: &DirectoryConfig,
    base: &Path,
) -> Result<Vec<String>, BrokerError> {
    let layout = Layout::new(&config.path, base);
    blocking(move || {
        layout.create()?;
        // What publishing needs: a file of ours, written through to the disk, and renamed.
        let den =
            den::Den::make(&layout.tmp).map_err(|error| layout.error("be written to", &error))?;
        drop(den);
        let depth = count(&layout)?;
        Ok(vec![
            format!(
                "the queue directory {} can be written",
                layout.root.display()
            ),
            format!(
                "{} batches are waiting, {} are dead letters",
                depth.waiting, depth.dead
            ),
        ])
    })
    .await
}

pub(crate) async fn depth(config: &DirectoryConfig, base: &Path) -> Result<Depth, BrokerError> {
    let layout = Layout::new(&config.path, base);
    blocking(move || count(&layout)).await
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(BrokerError::retry(
            "work on the queue directory was broken off",
        ))
    })
}

//! What batches state, laid down for the auditor before it is committed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use escrow::{Entry, EscrowError, StatedRecord, Writer};
use linking::{IncomingEvent, OpenBatch, StoredRecord, version_from_column};
use parking_lot::Mutex;

use super::error::StoreError;

/// Longest wait for the folder's disk. Shorter than a transaction may take, so that a disk that
/// hangs is told from a slow database.
const LIMIT: Duration = Duration::from_secs(30);

/// Folder of entries for the auditor, shared by the consumers of a process.
#[derive(Debug)]
pub(crate) struct BatchEscrow {
    writer: Arc<Mutex<Writer>>,
}

impl BatchEscrow {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer: Arc::new(Mutex::new(writer)),
        }
    }

    /// Returns whether anything more may be laid down, by the folder's files.
    #[cfg(feature = "cli")]
    pub(crate) fn check_room(&self) -> Result<(), EscrowError> {
        self.writer.lock().check_room()
    }

    /// Returns once the entries are on the disk.
    pub(super) async fn lay_down(
        &self,
        entries: Vec<Entry>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let writer = Arc::clone(&self.writer);
        let work = move || match writer.try_lock_for(LIMIT) {
            Some(mut writer) => writer.append(now, &entries).map_err(StoreError::from),
            None => Err(hangs()),
        };
        match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(work)).await {
            Ok(Ok(laid_down)) => laid_down,
            Ok(Err(stopped)) => std::panic::resume_unwind(stopped.into_panic()),
            Err(_) => Err(hangs()),
        }
    }
}

fn hangs() -> StoreError {
    StoreError::Escrow {
        what: format!("its disk has not answered for {} s", LIMIT.as_secs()),
    }
}

impl From<EscrowError> for StoreError {
    fn from(error: EscrowError) -> Self {
        Self::Escrow {
            what: error.to_string(),
        }
    }
}

/// Entries of a group: for each batch the versions that are written out of it. A batch of which
/// nothing is written has an entry without records, so that the auditor knows that it arrived.
pub(super) fn stated(
    batches: &[&OpenBatch],
    written: &[&IncomingEvent],
) -> Result<Vec<Entry>, StoreError> {
    let written: HashMap<StoredRecord, &IncomingEvent> = written
        .iter()
        .map(|event| (event.record.stored, *event))
        .collect();
    let is_written = |event: &&IncomingEvent| {
        let of_record = written.get(&event.record.stored);
        of_record.is_some_and(|written| std::ptr::eq(*written, *event))
    };
    let entry = |batch: &&OpenBatch| {
        let name = batch.name.ok_or_else(|| StoreError::Escrow {
            what: "a batch came without a name; this is a mistake of the program".into(),
        });
        let events = batch.events.iter().filter(is_written);
        Ok(Entry::Stated {
            batch: name?,
            records: events.map(stated_record).collect(),
        })
    };
    batches.iter().map(entry).collect()
}

fn stated_record(event: &IncomingEvent) -> StatedRecord {
    StatedRecord {
        record: event.record.stored,
        version: version_from_column(event.version),
    }
}

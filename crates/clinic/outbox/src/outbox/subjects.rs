//! Subjects of the outbox, each with the others that it needs.

use std::sync::Arc;

use crate::batches::{BatchReceipts, Beacons, Capacity, Leases, ReceiptRules, Sealing};
use crate::dead_letters::DeadLetters;
use crate::feeds::Feeds;
use crate::file::{Database, LockFile};
use crate::operator::{OutboxReader, Reconciliations, Requests, Retries};
use crate::options::OutboxOptions;
use crate::page::Pages;
use crate::records::Records;
use crate::sweep::{RemovedSources, Sweeps, Withdrawals};
use crate::versions::Versions;

/// Subjects of the outbox. None of them knows this struct.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) database: Arc<Database>,
    pub(super) versions: Arc<Versions>,
    pub(super) capacity: Arc<Capacity>,
    pub(super) reader: OutboxReader,
    pub(super) feeds: Feeds,
    pub(super) pages: Pages,
    pub(super) leases: Leases,
    pub(super) receipts: BatchReceipts,
    pub(super) beacons: Arc<Beacons>,
    pub(super) sweeps: Sweeps,
    pub(super) removed_sources: RemovedSources,
    pub(super) dead_letters: DeadLetters,
    pub(super) requests: Requests,
    pub(super) retries: Retries,
    pub(super) reconciliations: Reconciliations,
    pub(super) records: Arc<Records>,
    pub(super) withdrawals: Arc<Withdrawals>,
    /// Last, so that it is released last.
    _lock: LockFile,
}

impl Subjects {
    pub(super) fn new(
        database: &Arc<Database>,
        versions: &Arc<Versions>,
        records: &Arc<Records>,
        options: &OutboxOptions,
        lock: LockFile,
    ) -> Self {
        let database = || Arc::clone(database);
        let versions = || Arc::clone(versions);
        let records = || Arc::clone(records);
        let sealing = Arc::new(Sealing::new(options));
        let sealing = || Arc::clone(&sealing);
        let capacity = Arc::new(Capacity::new(options.max_bytes, database(), versions()));
        let capacity = || Arc::clone(&capacity);
        let beacons = Beacons::new(database(), versions(), sealing(), options.receipts);
        let beacons = Arc::new(beacons);
        let withdrawals = Arc::new(Withdrawals::new(
            database(),
            records(),
            versions(),
            sealing(),
            capacity(),
        ));
        let withdrawals = || Arc::clone(&withdrawals);
        Self {
            reader: OutboxReader::over(database().readers().clone()),
            feeds: Feeds::new(database()),
            pages: Pages::new(database(), records(), versions(), sealing(), capacity()),
            leases: Leases::new(database(), ReceiptRules::of(options)),
            receipts: BatchReceipts::new(
                database(),
                records(),
                versions(),
                sealing(),
                Arc::clone(&beacons),
            ),
            beacons,
            sweeps: Sweeps::new(database(), records(), withdrawals()),
            removed_sources: RemovedSources::new(database(), records(), withdrawals()),
            dead_letters: DeadLetters::new(database()),
            requests: Requests::new(database()),
            retries: Retries::new(database(), records(), versions(), withdrawals()),
            reconciliations: Reconciliations::new(
                database(),
                records(),
                versions(),
                sealing(),
                capacity(),
                withdrawals(),
                options.receipts,
            ),
            database: database(),
            versions: versions(),
            capacity: capacity(),
            records: records(),
            withdrawals: withdrawals(),
            _lock: lock,
        }
    }
}

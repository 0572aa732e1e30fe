//! Subjects of the outbox, each with the others that it needs.

use std::sync::Arc;

use crate::batches::{BatchReceipts, Beacons, Capacity, Leases, ReceiptRules, Sealing};
use crate::classes::ClassRecords;
use crate::dead_letters::DeadLetters;
use crate::feeds::Feeds;
use state_folder::FileLock;

use crate::file::Database;
use crate::operator::{Links, OutboxReader, Reconciliations, Requests, Retries};
use crate::options::OutboxOptions;
use crate::page::Pages;
use crate::records::Records;
use crate::sweep::{Corrections, RemovedSources, Sweeps, Withdrawals};
use crate::versions::Versions;

/// Subjects of the outbox. None of them knows this struct.
#[derive(Debug)]
pub(super) struct Subjects {
    pub(super) database: Arc<Database>,
    pub(super) versions: Arc<Versions>,
    pub(super) capacity: Arc<Capacity>,
    pub(super) reader: OutboxReader,
    pub(super) feeds: Feeds,
    pub(super) links: Links,
    pub(super) pages: Pages,
    pub(super) sealing: Arc<Sealing>,
    pub(super) leases: Leases,
    pub(super) receipts: BatchReceipts,
    pub(super) beacons: Arc<Beacons>,
    pub(super) sweeps: Sweeps,
    pub(super) removed_sources: RemovedSources,
    pub(super) corrections: Corrections,
    pub(super) classes: ClassRecords,
    pub(super) dead_letters: DeadLetters,
    pub(super) requests: Requests,
    pub(super) retries: Retries,
    pub(super) reconciliations: Reconciliations,
    pub(super) records: Arc<Records>,
    pub(super) withdrawals: Arc<Withdrawals>,
    /// Last, so that it is released last.
    _lock: FileLock,
}

impl Subjects {
    pub(super) fn new(
        database: &Arc<Database>,
        versions: &Arc<Versions>,
        records: &Arc<Records>,
        options: &OutboxOptions,
        lock: FileLock,
    ) -> Self {
        let foundation = Foundation::new(database, versions, records, options);
        let database = || Arc::clone(database);
        let versions = || Arc::clone(versions);
        let records = || Arc::clone(records);
        let sealing = || Arc::clone(&foundation.sealing);
        let capacity = || Arc::clone(&foundation.capacity);
        let beacons = Beacons::new(database(), versions(), sealing(), options);
        let beacons = Arc::new(beacons);
        let withdrawals = || Arc::clone(&foundation.withdrawals);
        Self {
            reader: OutboxReader::over(database().readers().clone()),
            feeds: Feeds::new(database()),
            links: Links::new(database()),
            pages: Pages::new(database(), records(), versions(), sealing(), capacity()),
            sealing: sealing(),
            leases: Leases::new(database(), ReceiptRules::of(options)),
            receipts: foundation.receipts(&beacons),
            beacons,
            sweeps: Sweeps::new(database(), records(), withdrawals()),
            removed_sources: RemovedSources::new(database(), records(), withdrawals()),
            corrections: foundation.corrections(),
            classes: ClassRecords::new(
                database(),
                versions(),
                Arc::clone(foundation.sealing.secrets()),
            ),
            dead_letters: DeadLetters::new(database()),
            requests: Requests::new(database()),
            retries: Retries::new(database(), records(), versions(), withdrawals()),
            reconciliations: foundation.reconciliations(options.receipts),
            database: database(),
            versions: versions(),
            capacity: capacity(),
            records: records(),
            withdrawals: withdrawals(),
            _lock: lock,
        }
    }
}

/// Subjects that others stand on.
struct Foundation {
    database: Arc<Database>,
    versions: Arc<Versions>,
    records: Arc<Records>,
    sealing: Arc<Sealing>,
    capacity: Arc<Capacity>,
    withdrawals: Arc<Withdrawals>,
}

impl Foundation {
    fn new(
        database: &Arc<Database>,
        versions: &Arc<Versions>,
        records: &Arc<Records>,
        options: &OutboxOptions,
    ) -> Self {
        let sealing = Arc::new(Sealing::new(options));
        let capacity = Capacity::new(
            options.max_bytes,
            Arc::clone(database),
            Arc::clone(versions),
        );
        let capacity = Arc::new(capacity);
        let withdrawals = Withdrawals::new(
            Arc::clone(database),
            Arc::clone(records),
            Arc::clone(versions),
            Arc::clone(&sealing),
            Arc::clone(&capacity),
        );
        Self {
            database: Arc::clone(database),
            versions: Arc::clone(versions),
            records: Arc::clone(records),
            sealing,
            capacity,
            withdrawals: Arc::new(withdrawals),
        }
    }

    fn receipts(&self, beacons: &Arc<Beacons>) -> BatchReceipts {
        BatchReceipts::new(
            Arc::clone(&self.database),
            Arc::clone(&self.records),
            Arc::clone(&self.versions),
            Arc::clone(&self.sealing),
            Arc::clone(beacons),
        )
    }

    fn corrections(&self) -> Corrections {
        Corrections::new(
            Arc::clone(&self.database),
            Arc::clone(&self.records),
            Arc::clone(&self.versions),
            Arc::clone(&self.capacity),
            Arc::clone(&self.withdrawals),
        )
    }

    fn reconciliations(&self, receipts: bool) -> Reconciliations {
        Reconciliations::new(
            Arc::clone(&self.database),
            Arc::clone(&self.records),
            Arc::clone(&self.versions),
            Arc::clone(&self.sealing),
            Arc::clone(&self.capacity),
            Arc::clone(&self.withdrawals),
            receipts,
        )
    }
}

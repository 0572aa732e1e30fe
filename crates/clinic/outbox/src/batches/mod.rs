//! Sealed batches: how many events each takes, sealing, leasing, settling, receipts.

mod backlog;
mod batch_size;
mod beacon;
mod dummies;
mod leases;
mod new_batch;
mod new_event;
mod probes;
mod receipts;
mod sealing;
mod settlements;
#[cfg(test)]
pub(crate) mod test_events;
mod verdicts;

pub use backlog::Backlog;
pub(crate) use backlog::{Capacity, awaits_answer, count_backlog, has_unsent};
pub use beacon::BeaconOccasion;
pub(crate) use beacon::Beacons;
pub use leases::Leased;
pub(crate) use leases::Leases;
pub(crate) use new_batch::{NewBatch, store_batches};
pub(crate) use new_event::NewEvent;
pub(crate) use probes::{MAX_DIFFERENCES, seal_probes};
pub(crate) use receipts::BatchReceipts;
pub(crate) use sealing::Sealing;
pub(crate) use settlements::ReceiptRules;
pub use settlements::{DeliveryOutcome, LeaseToken, Settled, Settlement};
pub use verdicts::SettledVerdicts;

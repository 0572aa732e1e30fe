//! The operator's side: status, requests, retries, reconciliation.

mod links;
mod overview;
mod reader;
mod reconcile;
mod requests;
mod retry;
mod status;

pub(crate) use links::Links;
pub use reader::OutboxReader;
pub(crate) use reconcile::Reconciliations;
pub use reconcile::{RepairPlan, Report};
pub(crate) use requests::Requests;
pub use requests::{Request, RequestQueue};
pub(crate) use retry::Retries;
pub use retry::RetryPlan;
pub use status::{
    DeadLetterCount, FeedStatus, LastSweep, Link, PublisherStatus, RaiseWaits, RejectedReceipts,
    RowCounts, ServiceWait, Status, Surprise, SweepStatus, UnfinishedLoad,
};

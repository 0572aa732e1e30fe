//! Fault injection: points on a record's way where tests make a step abort, fail for a moment, or
//! fail for good.
//!
//! Without the feature `inject` every call is a constant `None`, and nothing of it is left in the
//! program.

/// Fault that a step shows instead of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Failure as of a server that is away for a moment.
    Retry,
    /// Failure as of a wrong configuration.
    Permanent,
}

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// Injection point; variants are in the order in which a record passes them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Point { $($(#[doc = $doc])+ $name,)+ }

        impl Point {
            /// All points.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Returns the name of the point in [`ENVIRONMENT_VARIABLE`].
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

points! {
    /// Gateway: a page was fetched from the clinic.
    PullFetched = "pull-fetched";
    /// Gateway: a page was pseudonymised.
    PullTransformed = "pull-transformed";
    /// Outbox: batches are sealed, the transaction has not begun.
    OutboxSealed = "outbox-sealed";
    /// Outbox: everything is written, not committed.
    OutboxStored = "outbox-stored";
    /// Outbox: committed, the generation file is not written yet.
    OutboxCommitted = "outbox-committed";
    /// Outbox: the generation file is written.
    OutboxGenerationStored = "outbox-generation-stored";
    /// Outbox: a lease is committed.
    OutboxLeased = "outbox-leased";
    /// Broker: a batch is about to be handed over.
    BrokerPublishing = "broker-publishing";
    /// Directory queue: the file is written under its temporary name.
    DirectoryWritten = "directory-written";
    /// Directory queue: the file bears its name, the folder is not synced.
    DirectoryRenamed = "directory-renamed";
    /// Broker: the queue has the batch, its caller does not know yet.
    BrokerConfirmed = "broker-confirmed";
    /// Outbox: a settlement is written, not committed.
    OutboxSettling = "outbox-settling";
    /// Outbox: a settlement is committed.
    OutboxSettled = "outbox-settled";
    /// Broker: a delivery has arrived, its caller does not have it yet.
    BrokerReceived = "broker-received";
    /// Registry: deliveries have been received.
    RegistryReceived = "registry-received";
    /// Registry: batches are opened.
    RegistryOpened = "registry-opened";
    /// Registry: everything is written, not committed.
    RegistryStored = "registry-stored";
    /// Registry: committed, no receipt sent.
    RegistryCommitted = "registry-committed";
    /// Registry: the receipts are sent, nothing is acknowledged.
    RegistryReceiptSent = "registry-receipt-sent";
    /// Broker: acknowledgements are about to be sent.
    BrokerAcking = "broker-acking";
    /// Registry: acknowledged.
    RegistryAcked = "registry-acked";
    /// Registry: an unreadable batch is about to go to the dead letters.
    RegistryDeadLettering = "registry-dead-lettering";
    /// Gateway: receipts have arrived.
    ReceiptsReceived = "receipts-received";
    /// Outbox: verdicts are written, not committed.
    OutboxVerdict = "outbox-verdict";
    /// Outbox: verdicts are committed.
    OutboxVerdictDone = "outbox-verdict-done";
    /// Gateway: a page of keys was fetched in a sweep.
    SweepFetched = "sweep-fetched";
    /// Gateway: a page of whole rows was fetched in a sweep.
    SweepContentsFetched = "sweep-contents-fetched";
    /// Outbox: a page of whole rows is noted as seen by its sweep, not committed.
    OutboxSweepNoted = "outbox-sweep-noted";
    /// Outbox: a sweep is between two transactions of withdrawals.
    OutboxSweepWithdrawing = "outbox-sweep-withdrawing";
    /// Outbox: between two transactions that withdraw older versions of refused corrections.
    OutboxCorrectionsWithdrawing = "outbox-corrections-withdrawing";
}

/// Environment variable that [`arm_from_environment`] reads: `point=action;point=action`.
///
/// Actions are those of the crate `fail`: `return(retry)`, `return(permanent)`, `return(abort)`,
/// with counts as in `3*off->1*return(abort)`.
pub const ENVIRONMENT_VARIABLE: &str = "FAILPOINTS";

/// Returns true if faults are compiled into this program.
#[must_use]
pub const fn is_compiled_in() -> bool {
    cfg!(feature = "inject")
}

/// Returns the fault that a test asked for at this point. An abort does not return.
#[cfg(feature = "inject")]
#[must_use]
pub fn at(point: Point) -> Option<Fault> {
    fail::fail_point!(
        point.as_str(),
        |action: Option<String>| match action.as_deref() {
            Some("permanent") => Some(Fault::Permanent),
            Some("abort") => std::process::abort(),
            _ => Some(Fault::Retry),
        }
    );
    None
}

/// Returns no fault.
#[cfg(not(feature = "inject"))]
#[must_use]
pub const fn at(_point: Point) -> Option<Fault> {
    None
}

/// Error type that a test can have returned at a [`Point`].
pub trait Injected: Sized {
    /// Makes the error that stands for `fault` at `point`.
    fn injected(fault: Fault, point: Point) -> Self;
}

impl Injected for std::io::Error {
    /// Makes the error of a full disk, or of one that became read-only.
    fn injected(fault: Fault, _point: Point) -> Self {
        match fault {
            Fault::Retry => std::io::ErrorKind::StorageFull.into(),
            Fault::Permanent => std::io::ErrorKind::ReadOnlyFilesystem.into(),
        }
    }
}

/// Fails where a test asked for it, and nowhere in a program that is shipped.
///
/// # Errors
/// Error that stands for the fault of the test.
pub fn check<E: Injected>(point: Point) -> Result<(), E> {
    at(point).map_or(Ok(()), |fault| Err(E::injected(fault, point)))
}

/// Text of an error that was injected at `point`.
#[must_use]
pub fn injected_text(point: Point) -> String {
    format!("broken on purpose at {}", point.as_str())
}

/// Help that goes with an injected permanent error.
pub const INJECTED_HELP: &str = "take it out of FAILPOINTS";

/// Arms the points named in [`ENVIRONMENT_VARIABLE`] until the process ends; for the beginning of
/// `main`.
#[cfg(feature = "inject")]
pub fn arm_from_environment() {
    std::mem::forget(fail::FailScenario::setup());
}

/// Does nothing.
#[cfg(not(feature = "inject"))]
pub const fn arm_from_environment() {}

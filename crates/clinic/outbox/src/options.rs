//! Options of an outbox.

use std::sync::Arc;
use std::time::Duration;

use az::SaturatingAs as _;
use contract::{PaddedSizes, PublicKey, wire};
use record_secrets::{MAX_GENERATION, RecordSecrets};

use crate::file::{KeyFingerprints, OutboxError};
use crate::limits::MAX_RESEND_MS;
use crate::tokens::BatchTokens;

/// Options that an outbox is opened with.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// Public key of the registry: every batch is sealed to it.
    pub seal_to: PublicKey,
    /// Values that only this clinic can derive of its records: owner tokens, versions, contents of
    /// withdrawals.
    pub secrets: RecordSecrets,
    /// Names of the gateway's sources, in any order: states of a gateway with the same ones are
    /// compared with each other by the beacon.
    pub sources: Vec<String>,
    /// Most events in a batch, 1 to [`wire::MAX_EVENTS`]; fewer where fewer fill a padded size,
    /// which with usual events is 64 KiB.
    pub batch_events: usize,
    /// Sizes that batches are padded to.
    pub padded_sizes: PaddedSizes,
    /// Limit of kept sealed bytes, from which on pages are refused with [`OutboxError::Full`].
    pub max_bytes: u64,
    /// True if the events of a page are shuffled before they are cut into batches.
    pub shuffle: bool,
    /// Name of this process in a word or two (`run`, `sync`), shown to whoever finds the outbox
    /// locked.
    pub owner: &'static str,
    /// Lower bound of the generation. Raised by an operator after the outbox *and* its generation
    /// file were lost or restored together, which nothing local can notice; 1 otherwise.
    pub min_generation: u32,
    /// Fingerprints of the keys; the outbox refuses others than it has worked with. `None`: not
    /// compared.
    pub keys: Option<KeyFingerprints>,
    /// True if the registry sends receipts: a delivered batch then stays until its receipt has
    /// come.
    pub receipts: bool,
    /// Wait after the first delivery until a batch without a receipt is due again, 1 second to 24
    /// hours; doubles with every delivery up to [`MAX_RESEND_MS`].
    pub resend_after: Duration,
    /// Tokens of which every sealed batch carries one; `None` where the registry asks for none.
    pub tokens: Option<Arc<dyn BatchTokens>>,
}

impl OutboxOptions {
    /// Usual options: at most 1000 events a batch, fewer where fewer fill a padded size, all padded
    /// sizes, 1 GiB waiting at most, shuffled, from generation 1; no sources named; no tokens; no
    /// receipts, which if switched on are waited for one hour at first.
    #[must_use]
    pub const fn new(seal_to: PublicKey, secrets: RecordSecrets, owner: &'static str) -> Self {
        Self {
            seal_to,
            secrets,
            sources: Vec::new(),
            batch_events: wire::MAX_EVENTS,
            padded_sizes: PaddedSizes::ALL,
            max_bytes: 1 << 30,
            shuffle: true,
            owner,
            min_generation: 1,
            keys: None,
            receipts: false,
            resend_after: Duration::from_secs(3600),
            tokens: None,
        }
    }

    /// Checks that every option lies in its range.
    pub(crate) fn check(&self) -> Result<(), OutboxError> {
        let resend_after = 1000..=MAX_RESEND_MS;
        let checks = [
            (
                (1..=wire::MAX_EVENTS).contains(&self.batch_events),
                "batch_events",
                "1 to 1000",
            ),
            (self.max_bytes > 0, "max_bytes", "at least 1"),
            (
                (1..=MAX_GENERATION).contains(&self.min_generation),
                "min_generation",
                "1 to 536870911",
            ),
            (
                resend_after.contains(&self.resend_after_ms()),
                "resend_after",
                "1 second to 24 hours",
            ),
        ];
        match checks.into_iter().find(|(in_range, ..)| !in_range) {
            None => Ok(()),
            Some((_, what, allowed)) => Err(OutboxError::BadOption { what, allowed }),
        }
    }

    /// Wait until a batch without a receipt is due again, in milliseconds.
    pub(crate) fn resend_after_ms(&self) -> i64 {
        self.resend_after.as_millis().saturating_as()
    }
}

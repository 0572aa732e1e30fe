//! Answers to an operator's requests, as they are handed to another process.

use outbox::Report;
use serde::{Deserialize, Serialize};

use crate::sweep::FeedSweep;

/// Most dead letters listed in an answer, which has to fit into the outbox's table of requests.
pub const MAX_LISTED: usize = 100;

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A source was swept.
    Swept {
        /// Name of the source.
        source: String,
        /// Result of each feed.
        feeds: Vec<FeedSweep>,
    },
    /// Withdrawals were permitted and made.
    Confirmed {
        /// Name of the source.
        source: String,
        /// Number of withdrawals permitted.
        permitted: u64,
        /// Number of withdrawals made.
        withdrawn: u64,
        /// Number of withdrawals held even so: more is gone than was permitted.
        held: u64,
    },
    /// Dead letters were tried again.
    Retried {
        /// Dead letters one by one, at most [`MAX_LISTED`].
        letters: Vec<Retried>,
        /// Number of dead letters beyond those listed.
        more: u64,
        /// Number of refusals that the list of dead letters has no room for, and that were tried
        /// again too; 0 in an older gateway's answer.
        #[serde(default)]
        unlisted: u64,
    },
    /// Dead letters were put aside.
    Discarded {
        /// Number of dead letters.
        count: u64,
    },
    /// The registry was asked what it holds.
    Reconciled {
        /// The registry's answer.
        report: ReconcileReport,
        /// Result of a repair, where one was asked for and needed.
        repaired: Option<Repaired>,
    },
    /// Batches without a receipt were made due.
    Resent {
        /// Number of batches.
        batches: u64,
    },
}

/// Dead letter that was tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Number of the dead letter.
    pub id: i64,
    /// Name of its source.
    pub source: String,
    /// Name of its feed.
    pub feed: String,
    /// The clinic's own record id, where it is known.
    pub record_id: Option<String>,
    /// Outcome of the retry.
    pub outcome: RetryOutcome,
}

/// Outcome of a dead letter's retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOutcome {
    /// The row was read and is well now: sent, or nothing was left to send.
    Accepted,
    /// The row is well now, and the release policy withholds it: too few persons have a fact that says
    /// the same.
    Withheld,
    /// The row was refused again, for this reason.
    Refused(String),
    /// The row is no longer at the source; a sweep closes the dead letter.
    Gone,
    /// The source is not configured any more.
    NotConfigured,
}

/// Result of a comparison with the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileReport {
    /// Number of the comparison.
    pub id: i64,
    /// Name of the source compared; `None` stands for all.
    pub source: Option<String>,
    /// True if every probe was answered.
    pub finished: bool,
    /// Number of probes sent.
    pub probes: u64,
    /// Number of probes answered.
    pub answered: u64,
    /// Number of records the registry holds as they were sent.
    pub equal: u64,
    /// Number of records it does not hold.
    pub missing: u64,
    /// Number of records it holds in an older version.
    pub stale: u64,
    /// Number of records it holds in a newer version than this state ever sent.
    pub extra: u64,
    /// Number of records it holds in the same version with other content.
    pub conflicting: u64,
    /// Number of records that it was not asked about, since it refuses what the clinic says of
    /// them, or since no version is left to say it with; 0 in an older gateway's answer.
    #[serde(default)]
    pub refused: u64,
}

impl ReconcileReport {
    /// Number of records that differ in any way.
    #[must_use]
    pub const fn differing(&self) -> u64 {
        self.missing + self.stale + self.extra + self.conflicting
    }

    /// Makes the report of a comparison that left out `refused` records.
    pub(super) fn new(report: Report, refused: u64) -> Self {
        Self {
            id: report.id,
            source: report.source,
            finished: report.finished_at.is_some(),
            probes: report.probes,
            answered: report.answered,
            equal: report.equal,
            missing: report.missing,
            stale: report.stale,
            extra: report.extra,
            conflicting: report.conflicting,
            refused,
        }
    }
}

/// Result of a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Number of withdrawals sent again.
    pub withdrawals: u64,
    /// Number of records that became dead letters: no version of this clinic is above the
    /// registry's.
    #[serde(default)]
    pub parked: u64,
    /// Number of records read from the sources and sent, by the pull and the sweep of the repair.
    pub records: u64,
    /// Sources that are no longer configured, whose records could not be read again.
    pub not_configured: Vec<String>,
}

//! What an operator may ask for, done the same way by the daemon and by a command that runs without
//! one.

use std::collections::BTreeSet;
use std::time::Duration;

use connector_kit::Feed;
use outbox::{OutboxError, RemovedFeed, Report, Request, SweepEnd};
use pseudonym::{Policy, Pseudonymiser, fact_kind};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::pull::{Counters, RunEnd};
use crate::reconcile;
use crate::retry::{self, Retried};
use crate::room::{self, Waited};
use crate::run::{FeedFailure, Run};
use crate::sources::Source;
use crate::sweep::FeedSweep;
use crate::sync::run_with_retries;

/// Most dead letters listed in an answer, which has to fit into the outbox's table of requests.
pub const MAX_LISTED: usize = 100;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A source was swept.
    Swept {
        /// Which.
        source: String,
        /// Feed by feed.
        feeds: Vec<FeedSweep>,
    },
    /// Withdrawals were permitted and made.
    Confirmed {
        /// Which source's.
        source: String,
        /// So many were permitted.
        permitted: u64,
        /// So many were made.
        withdrawn: u64,
        /// So many are held even so: more is gone than was permitted.
        held: u64,
    },
    /// Dead letters were tried again.
    Retried {
        /// One by one, at most [`MAX_LISTED`].
        letters: Vec<Retried>,
        /// How many more there were.
        more: u64,
    },
    /// Dead letters were put aside.
    Discarded {
        /// So many.
        count: u64,
    },
    /// The registry was asked what it holds.
    Reconciled {
        /// What it said.
        report: ReconcileReport,
        /// What a repair did, where one was asked for and needed.
        repaired: Option<Repaired>,
    },
}

/// A comparison with the registry, as it is told to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileReport {
    /// Its number.
    pub id: i64,
    /// Of this source; `None`: of all.
    pub source: Option<String>,
    /// Whether every probe was answered.
    pub finished: bool,
    /// Probes sent.
    pub probes: u64,
    /// Probes answered.
    pub answered: u64,
    /// Records the registry holds as they were sent.
    pub equal: u64,
    /// Records it does not hold.
    pub missing: u64,
    /// Records it holds in an older version.
    pub stale: u64,
    /// Records it holds in a newer version than this state ever sent.
    pub extra: u64,
    /// Records it holds in the same version with other content.
    pub conflicting: u64,
}

impl ReconcileReport {
    /// Records that differ in any way.
    #[must_use]
    pub const fn differing(&self) -> u64 {
        self.missing + self.stale + self.extra + self.conflicting
    }
}

impl From<Report> for ReconcileReport {
    fn from(report: Report) -> Self {
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
        }
    }
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Withdrawals sent again.
    pub withdrawals: u64,
    /// Records read from the sources and sent, by the pull and the sweep of the repair.
    pub records: u64,
    /// Sources that are no longer configured, whose records could not be read again.
    pub not_configured: Vec<String>,
}

/// Why a request could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No such source.
    #[error("no source is named {0}; the configuration has: {1}")]
    UnknownSource(String, String),
    /// A source could not be read.
    #[error("source {source_name}: {}", .failure.error)]
    Source {
        /// Which.
        source_name: String,
        /// Why.
        failure: FeedFailure,
    },
    /// The gateway's own state.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The program was asked to stop.
    #[error("the program was stopped before the end; what was done stays done")]
    Stopped,
    /// The pseudonymiser of a removed source cannot be made.
    #[error("the source's name cannot be used: {0}")]
    Name(#[from] pseudonym::NewError),
    /// There is nothing to compare with.
    #[error(
        "the registry can only answer with receipts: set receipts = \"required\" and receipt_keys \
         in [registry]"
    )]
    ReceiptsOff,
}

/// Does what is asked. `patience` is how long the registry's answers are waited for.
///
/// # Errors
/// See [`RequestError`].
pub async fn perform(
    gateway: &Gateway,
    request: Request,
    patience: Duration,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    match request {
        Request::Sweep { source } => {
            let feeds = sweep(
                gateway,
                configured(gateway, &source)?,
                stop,
                &Counters::default(),
            )
            .await?;
            Ok(Answer::Swept { source, feeds })
        }
        Request::ConfirmWithdrawals { source } => confirm(gateway, source, stop).await,
        Request::Retry(filter) => {
            let mut letters = retry::retry(gateway, &filter, stop).await?;
            let more = letters.len().saturating_sub(MAX_LISTED) as u64;
            letters.truncate(MAX_LISTED);
            Ok(Answer::Retried { letters, more })
        }
        Request::Discard(filter) => {
            let count = gateway
                .outbox
                .discard_dead_letters(&filter, gateway.clock.now())
                .await?;
            Ok(Answer::Discarded { count })
        }
        Request::Reconcile { source, repair } => {
            let (report, repaired) =
                reconcile::reconcile(gateway, source.as_deref(), repair, patience, stop).await?;
            Ok(Answer::Reconciled {
                report: report.into(),
                repaired,
            })
        }
    }
}

fn configured<'a>(gateway: &'a Gateway, name: &str) -> Result<&'a Source, RequestError> {
    let known = || {
        gateway
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let source = gateway
        .source(name)
        .ok_or_else(|| RequestError::UnknownSource(name.to_owned(), known()))?;
    Ok(source)
}

/// A pull to its end and a sweep, in the source's turn.
pub(crate) async fn sweep(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Vec<FeedSweep>, RequestError> {
    loop {
        source.request_sweep();
        match run_with_retries(gateway, source, stop, counters).await {
            Ok(Run {
                end: RunEnd::Complete,
                sweep: Some(feeds),
            }) => return Ok(feeds),
            // Another turn has taken the wish along; its sweep may have begun before it was
            // uttered.
            Ok(Run {
                end: RunEnd::Complete,
                sweep: None,
            }) => {}
            Ok(Run {
                end: RunEnd::Stopped,
                ..
            }) => return Err(RequestError::Stopped),
            Err(failure) => {
                return Err(RequestError::Source {
                    source_name: source.name.clone(),
                    failure,
                });
            }
        }
    }
}

/// Permits what is held and makes it: by a sweep, or at once for feeds that are no longer
/// configured.
async fn confirm(
    gateway: &Gateway,
    source: String,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    let removed = removed_feeds(gateway, &source).await?;
    if gateway.source(&source).is_none() && removed.is_empty() {
        configured(gateway, &source)?;
    }
    let mut withdrawn = 0;
    let mut held = 0;
    // The first call tells what there is to withdraw, which is what the operator was shown and now
    // permits.
    if !removed.is_empty() {
        withdraw_removed(gateway, &source, &removed, stop).await?;
    }
    let permitted = gateway.outbox.confirm_withdrawals(&source).await?;
    if !removed.is_empty() {
        match withdraw_removed(gateway, &source, &removed, stop).await? {
            SweepEnd::Done {
                withdrawn: count, ..
            } => withdrawn += count,
            SweepEnd::Held { missing, .. } => held += missing,
            SweepEnd::LookAgain { .. } => {}
        }
    }
    if permitted > 0
        && let Some(source) = gateway.source(&source)
    {
        for feed in sweep(gateway, source, stop, &Counters::default()).await? {
            withdrawn += feed.withdrawn;
            held += feed.held.unwrap_or_default();
        }
    }
    Ok(Answer::Confirmed {
        source,
        permitted,
        withdrawn,
        held,
    })
}

/// Looks whether the state knows sources or feeds that the configuration does not (any more), and
/// holds their records for an operator's word, so that `status` tells of them. Nothing is
/// withdrawn.
///
/// # Errors
/// The gateway's own state.
pub async fn note_removed(gateway: &Gateway) -> Result<(), RequestError> {
    let status = gateway.outbox.reader().status().await?;
    let names: BTreeSet<String> = status.feeds.into_iter().map(|feed| feed.source).collect();
    for name in names {
        let removed = removed_feeds(gateway, &name).await?;
        if removed.is_empty() {
            continue;
        }
        let end = gateway
            .outbox
            .withdraw_removed_source(&name, &removed, gateway.clock.now())
            .await?;
        if let SweepEnd::Held { missing, .. } = end {
            tracing::warn!(
                event = "source-removed", source = %name, records = missing,
                "records of a source or feed that is not configured any more still stand at the \
                 registry. If they are \
                 to be withdrawn: clinic-gateway confirm-withdrawals {name}"
            );
        }
    }
    Ok(())
}

async fn withdraw_removed(
    gateway: &Gateway,
    source: &str,
    feeds: &[RemovedFeed],
    stop: &CancellationToken,
) -> Result<SweepEnd, RequestError> {
    loop {
        let end = gateway
            .outbox
            .withdraw_removed_source(source, feeds, gateway.clock.now())
            .await;
        gateway.batches_waiting.notify_one();
        match end {
            Err(OutboxError::Full { .. }) => {
                if room::wait(gateway, stop).await? == Waited::Stopped {
                    return Err(RequestError::Stopped);
                }
            }
            end => return Ok(end?),
        }
    }
}

/// The feeds of a source that the state knows and the configuration does not (any more).
async fn removed_feeds(gateway: &Gateway, name: &str) -> Result<Vec<RemovedFeed>, RequestError> {
    let status = gateway.outbox.reader().status().await?;
    let known: BTreeSet<&str> = status
        .feeds
        .iter()
        .filter(|feed| feed.source == name)
        .map(|feed| feed.feed.as_str())
        .collect();
    let configured = gateway
        .source(name)
        .map(|source| source.connector.feeds())
        .unwrap_or_default();
    let removed: Vec<Feed> = Feed::ALL
        .into_iter()
        .filter(|feed| known.contains(feed.as_str()) && !configured.contains(feed))
        .collect();
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let policy = Policy::new(&pseudonym::PolicyConfig::default());
    let policy = policy.expect("the policy without any setting is one");
    let pseudonymiser = Pseudonymiser::new(&gateway.ring, gateway.suite, name, policy)?;
    let removed = removed.into_iter().map(|feed| RemovedFeed {
        feed: feed.as_str().to_owned(),
        kind: fact_kind(feed),
        content: pseudonymiser.withdrawal_content(feed),
    });
    Ok(removed.collect())
}

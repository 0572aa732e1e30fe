//! Withdrawals that wait for an operator: those a sweep holds back, those of older versions whose
//! correction is refused, and those of sources and feeds that are not configured any more.

use std::collections::BTreeSet;

use connector_kit::Feed;
use outbox::{HeldCorrections, RemovedFeed, SweepEnd};
use pseudonym::fact_kind;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::answer::Answer;
use super::error::RequestError;
use super::sweep::{configured_source, sweep};
use crate::corrections;
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedRun};

/// Permits the withdrawals that are held back, and makes them: by a sweep, or at once for feeds
/// that are no longer configured. `shown` are the refused corrections that the operator has seen.
pub(super) async fn confirm(
    gateway: &Gateway,
    source: String,
    shown: Option<HeldCorrections>,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    let removed = removed_feeds(gateway, &source).await?;
    if removed.is_empty() {
        configured_source(gateway, &source)?;
    }
    let corrections = confirm_corrections(gateway, &source, shown, stop).await?;
    let mut withdrawn = corrections.withdrawn;
    let mut held = corrections.held;
    // The first call counts what there is to withdraw, which is what the operator was shown and now
    // permits.
    if !removed.is_empty() {
        withdraw_removed(gateway, &source, &removed, stop).await?;
    }
    let by_sweep = gateway.outbox.confirm_withdrawals(&source).await?;
    if !removed.is_empty() {
        match withdraw_removed(gateway, &source, &removed, stop).await? {
            SweepEnd::Done {
                withdrawn: count, ..
            } => withdrawn += count,
            SweepEnd::Held { missing, .. } => held += missing,
            SweepEnd::LookAgain { .. } | SweepEnd::Missing { .. } => {}
        }
    }
    if by_sweep > 0
        && let Some(source) = gateway.source(&source)
    {
        for feed in sweep(gateway, source, stop, &Counters::default()).await? {
            withdrawn += feed.withdrawn;
            held += feed.held.unwrap_or_default();
        }
    }
    Ok(Answer::Confirmed {
        source,
        permitted: corrections.permitted + by_sweep,
        withdrawn,
        held,
    })
}

/// Older versions of refused corrections that an operator permits to withdraw, counted.
#[derive(Default)]
struct ConfirmedCorrections {
    permitted: u64,
    withdrawn: u64,
    held: u64,
}

/// Permits the withdrawals that are held for refused corrections, and makes them. What comes to be
/// held after it was `shown` stays so.
async fn confirm_corrections(
    gateway: &Gateway,
    source: &str,
    shown: Option<HeldCorrections>,
    stop: &CancellationToken,
) -> Result<ConfirmedCorrections, RequestError> {
    let mut confirmed = ConfirmedCorrections::default();
    let Some(source) = gateway.source(source) else {
        return Ok(confirmed);
    };
    let outbox = &gateway.outbox;
    let held = outbox.reader().status().await?;
    let held = held.held_corrections(&source.name);
    if held.is_empty() {
        return Ok(confirmed);
    }
    // A run may go on, and hold more at its end: nobody has seen those.
    let shown = shown.unwrap_or(held);
    // First the lock: a run that ends now would make the withdrawals, and nobody would count them.
    let _lock = source.run_lock.lock().await;
    let permitting = outbox.permit_refused_corrections(&source.name, &shown);
    confirmed.permitted = permitting.await?;
    for feed in source.connector.feeds() {
        let run = FeedRun {
            gateway,
            source,
            feed,
            stop,
            counters: &Counters::default(),
        };
        let settled = corrections::settle(&run, None)
            .instrument(run.span())
            .await?;
        let settled = settled.ok_or(RequestError::Stopped)?;
        confirmed.withdrawn += settled.withdrawn;
        confirmed.held += settled.held;
    }
    Ok(confirmed)
}

/// Holds the records of sources and feeds that the state knows and the configuration does not (any
/// more) for an operator's permission, so that `status` shows them. Nothing is withdrawn.
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
                event = "source-removed",
                source = %name,
                records = missing,
                "records of a source or feed that is not configured any more still stand at the \
                 registry. If they are to be withdrawn: clinic-gateway confirm-withdrawals {name}"
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
    let outbox = &gateway.outbox;
    gateway
        .add_batches(stop, || {
            outbox.withdraw_removed_source(source, feeds, gateway.clock.now())
        })
        .await?
        .ok_or(RequestError::Stopped)
}

/// Lists the feeds of a source that the state knows and the configuration does not (any more).
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
    let removed = removed.into_iter().map(|feed| RemovedFeed {
        feed: feed.as_str().to_owned(),
        kind: fact_kind(feed),
    });
    Ok(removed.collect())
}

//! Withdrawals that wait for an operator: those a sweep holds back, those of older versions whose
//! correction is refused, and those of sources and feeds that are not configured any more.

use std::collections::BTreeSet;

use connector_kit::Feed;
use outbox::{HeldCorrections, RemovedFeed, ShownMissing, SweepEnd, SweepKind};
use pseudonym::fact_kind;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::answer::Answer;
use super::error::RequestError;
use super::sweep::{configured_source, sweep};
use crate::corrections;
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedRun};
use crate::sources::Source;

/// Withdrawals that the operator was shown and permits; `None`, as of an older command: all that
/// are held.
pub(super) struct Shown {
    /// Refused corrections.
    pub(super) corrections: Option<HeldCorrections>,
    /// Records that are gone, or belong to a source that is not configured any more.
    pub(super) missing: Option<ShownMissing>,
}

/// Withdrawals that an operator permits, counted.
#[derive(Default)]
struct Confirmed {
    permitted: u64,
    withdrawn: u64,
    held: u64,
}

/// Permits the withdrawals that are held back, and makes them: by a sweep, or at once for feeds
/// that are no longer configured. What comes to be held after it was `shown` stays so, and counts
/// as held.
///
/// # Errors
/// [`RequestError::UnknownSource`], [`RequestError::Source`], [`RequestError::Stopped`] and the
/// gateway's own state.
pub(super) async fn confirm(
    gateway: &Gateway,
    source: String,
    shown: Shown,
    stop: &CancellationToken,
) -> Result<Answer, RequestError> {
    let removed = removed_feeds(gateway, &source).await?;
    if removed.is_empty() {
        configured_source(gateway, &source)?;
    }
    let mut confirmed = confirm_corrections(gateway, &source, shown.corrections, stop).await?;
    let held_corrections = confirmed.held;
    // The first call notes what there is to withdraw now, of which no more is permitted than the
    // operator was shown.
    for feed in &removed {
        confirmed.withdrawn += withdraw_removed(gateway, &source, feed, stop)
            .await?
            .withdrawn;
    }
    let permitting = gateway
        .outbox
        .confirm_withdrawals(&source, shown.missing.as_ref());
    let permitted = permitting.await?;
    confirmed.permitted += permitted;
    // Each by itself: one of which more is there than was shown holds none of the others.
    for feed in &removed {
        let made = withdraw_removed(gateway, &source, feed, stop).await?;
        confirmed.withdrawn += made.withdrawn;
        confirmed.held += made.held;
    }
    if let Some(source) = gateway.source(&source) {
        if permitted > 0 {
            // It looks at the older versions once more, those that were counted among them.
            confirmed.held -= held_corrections;
            for feed in sweep(gateway, source, SweepKind::Keys, stop, &Counters::default()).await? {
                confirmed.withdrawn += feed.withdrawn + feed.older_withdrawn;
                confirmed.held += feed.held.unwrap_or_default() + feed.older_held;
            }
        } else {
            confirmed.held += held_by_sweeps(gateway, source).await?;
        }
    }
    Ok(Answer::Confirmed {
        source,
        permitted: confirmed.permitted,
        withdrawn: confirmed.withdrawn,
        held: confirmed.held,
    })
}

/// Number of withdrawals that sweeps of the source's configured feeds hold back.
async fn held_by_sweeps(gateway: &Gateway, source: &Source) -> Result<u64, RequestError> {
    let status = gateway.outbox.reader().status().await?;
    let configured = source.connector.feeds();
    let feeds = status.feeds.iter().filter(|feed| {
        feed.source == source.name && configured.iter().any(|known| known.as_str() == feed.feed)
    });
    Ok(feeds.filter_map(|feed| feed.sweep.as_ref()?.held).sum())
}

/// Permits the withdrawals that are held for refused corrections, and makes them. What comes to be
/// held after it was `shown` stays so.
async fn confirm_corrections(
    gateway: &Gateway,
    source: &str,
    shown: Option<HeldCorrections>,
    stop: &CancellationToken,
) -> Result<Confirmed, RequestError> {
    let mut confirmed = Confirmed::default();
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
    let _lock = source.lock_for_run().await;
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

/// Withdraws all records of a removed feed if so many are permitted, and holds them otherwise.
async fn withdraw_removed(
    gateway: &Gateway,
    source: &str,
    feed: &RemovedFeed,
    stop: &CancellationToken,
) -> Result<Confirmed, RequestError> {
    let outbox = &gateway.outbox;
    let feeds = std::slice::from_ref(feed);
    let end = gateway
        .add_batches(stop, || {
            outbox.withdraw_removed_source(source, feeds, gateway.clock.now())
        })
        .await?
        .ok_or(RequestError::Stopped)?;
    let mut made = Confirmed::default();
    match end {
        SweepEnd::Done { withdrawn, .. } => made.withdrawn = withdrawn,
        SweepEnd::Held { missing, .. } => made.held = missing,
        SweepEnd::LookAgain { .. } | SweepEnd::Missing { .. } => {}
    }
    Ok(made)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    /// Permits so many gone records of each feed; returns what came of it: permitted, withdrawn
    /// and held.
    async fn permit(world: &World, missing: &[(&str, u64)]) -> [u64; 3] {
        let missing = missing.iter().map(|(feed, count)| ((*feed).into(), *count));
        let shown = Shown {
            corrections: Some(HeldCorrections::default()),
            missing: Some(missing.collect()),
        };
        let stop = CancellationToken::new();
        let answer = confirm(&world.gateway, "mis".into(), shown, &stop).await;
        let Ok(Answer::Confirmed {
            permitted,
            withdrawn,
            held,
            ..
        }) = answer
        else {
            panic!("{answer:?}")
        };
        [permitted, withdrawn, held]
    }

    async fn held_by_a_sweep(world: &World) -> Option<u64> {
        let source = &world.gateway.sources[0];
        let stop = CancellationToken::new();
        let swept = sweep(
            &world.gateway,
            source,
            SweepKind::Keys,
            &stop,
            &Counters::default(),
        )
        .await;
        swept.expect("swept")[0].held
    }

    #[tokio::test]
    async fn what_is_gone_beyond_what_was_shown_stays_held_and_is_told() {
        let world = World::new("", 0..200).await;
        world.pull().await;
        world.rows.lock().retain(|id, _| *id >= 50);
        assert_eq!(held_by_a_sweep(&world).await, Some(50));
        world.rows.lock().retain(|id, _| *id >= 90);
        assert_eq!(held_by_a_sweep(&world).await, Some(90));
        assert_eq!(permit(&world, &[]).await, [0, 0, 90]);
        assert_eq!(permit(&world, &[("vaccinations", 50)]).await, [50, 0, 90]);
        assert_eq!(permit(&world, &[("vaccinations", 90)]).await, [90, 90, 0]);
        assert_eq!(permit(&world, &[("vaccinations", 90)]).await, [0, 0, 0]);
    }

    #[tokio::test]
    async fn removed_feeds_go_as_far_as_they_were_shown() {
        let world = World::new("", 0..30).await;
        *world.rows.other_feeds.lock() = vec![Feed::Tests, Feed::Recoveries];
        world.pull().await;
        world.rows.other_feeds.lock().clear();
        let fewer = [("tests", 29), ("recoveries", 30)];
        assert_eq!(permit(&world, &fewer).await, [59, 30, 30]);
        let status = world.gateway.outbox.reader().status().await.expect("read");
        let held = status.feeds.iter().map(|feed| feed.sweep.as_ref()?.held);
        assert_eq!(held.flatten().sum::<u64>(), 30, "the tests are held");
        assert_eq!(permit(&world, &[("tests", 30)]).await, [30, 30, 0]);
    }
}

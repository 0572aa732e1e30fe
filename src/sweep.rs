//! One source's key sweep: ids and change stamps of every row are read, what differs from what is
//! remembered is read again by id, and what no key names any more is withdrawn after a second look.

use std::collections::BTreeSet;

use connector_kit::{
    ClinicRecord, Cursor, Feed, KeysRequest, MAX_FETCH_IDS, RecordKey, SourceSurprise,
};
use contract::RecordDigest;
use fault::Point;
use outbox::{OutboxError, SweepEnd, SweepLimits, SweepStep};
use pseudonym::fact_kind;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::commit::Committer;
use crate::endless::Endless;
use crate::gateway::Gateway;
use crate::pull::{Counters, PullError, transformer};
use crate::room::{self, Waited};
use crate::run::FeedFailure;
use crate::sources::Source;
use crate::transform::Transformer;
use crate::{cursor, surprise};

/// Keys in one page: a few kilobytes of ids, and one look-up in the outbox.
const KEYS_PER_PAGE: u32 = 2000;

/// Passes of one sweep of a feed in one go: two, and some for a sweep that was resumed.
const MOST_PASSES: u32 = 8;

/// What a sweep of one feed came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSweep {
    /// Which feed.
    pub feed: String,
    /// Keys read, in all passes.
    pub keys: u64,
    /// Rows read again by id.
    pub reread: u64,
    /// Of them, those whose content had changed without a pull's noticing.
    pub missed: u64,
    /// Records withdrawn because no key names them any more.
    pub withdrawn: u64,
    /// So many would have been withdrawn, but need an operator's word first.
    pub held: Option<u64>,
    /// True when all keys were read; false when the program was stopped before.
    pub finished: bool,
}

/// Sweeps every feed of a source, each from where it was left. A feed that fails does not keep the
/// others from their turn. To be called by whoever holds the source's turn, after a pull that
/// reached its end.
///
/// # Errors
/// The first feed that failed.
pub async fn sweep_source(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Vec<FeedSweep>, FeedFailure> {
    let mut swept = Vec::new();
    let mut first_failure = None;
    for feed in source.connector.feeds() {
        let result = sweep_feed(gateway, source, feed, stop, counters).await;
        let outcome = match &result {
            Ok(sweep) if sweep.held.is_some() => "held",
            Ok(sweep) if sweep.finished => "ok",
            Ok(_) => "stopped",
            Err(_) => "failed",
        };
        metrics::counter!("gateway_sweep_runs_total", "source" => source.name.clone(), "feed" => feed.as_str(), "outcome" => outcome)
            .increment(1);
        match result {
            Ok(sweep) => {
                report(source, &sweep);
                swept.push(sweep);
            }
            Err(error) => {
                let failure = FeedFailure { feed, error };
                let error = failure.error.to_string();
                tracing::warn!(
                    event = "sweep-failed", source = %source.name, feed = %feed, code = failure.code(), error,
                    "a sweep stopped before its end; it goes on from there after the next pull"
                );
                first_failure = first_failure.or(Some(failure));
            }
        }
    }
    first_failure.map_or(Ok(swept), Err)
}

/// Sweeps one feed to its end, from where it was left.
async fn sweep_feed(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<FeedSweep, PullError> {
    let mut done = FeedSweep {
        feed: feed.as_str().to_owned(),
        keys: 0,
        reread: 0,
        missed: 0,
        withdrawn: 0,
        held: None,
        finished: false,
    };
    let transformer = transformer(gateway, source, feed, gateway.clock.now()).await?;
    let committer = Committer {
        gateway,
        source,
        feed,
        stop,
        counters,
        read_in: None,
    };
    for _ in 0..MOST_PASSES {
        let begun = gateway
            .outbox
            .begin_or_resume_sweep(&source.name, feed.as_str(), gateway.clock.now())
            .await?;
        let after = cursor::read(&source.settings, begun.cursor.as_deref());
        let mut pass = Pass {
            committer: &committer,
            transformer: &transformer,
            after,
            endless: Endless::default(),
        };
        let mut more = !begun.all_read;
        while more {
            if stop.is_cancelled() || room::wait(gateway, stop).await? == Waited::Stopped {
                return Ok(done);
            }
            match pass.page_once(&mut done).await? {
                Some(goes_on) => more = goes_on,
                None => return Ok(done),
            }
        }
        match finish_pass(&committer, &mut done).await? {
            Some(false) => {}
            end => {
                done.finished = end.is_some();
                return Ok(done);
            }
        }
    }
    Ok(done)
}

/// Ends a pass over all keys; true when the sweep has come to its end with it, `None` when the
/// program was stopped while it waited for room.
async fn finish_pass(at: &Committer<'_>, done: &mut FeedSweep) -> Result<Option<bool>, PullError> {
    let gateway = at.gateway;
    let source = at.source;
    let feed = at.feed;
    let limits = SweepLimits {
        percent: source.sweep.max_withdrawn_percent,
        always: source.sweep.always_allowed,
    };
    let content = source.pseudonymiser.withdrawal_content(feed);
    let end = loop {
        let name = &source.name;
        let kind = fact_kind(feed);
        let now = gateway.clock.now();
        let end = gateway
            .outbox
            .finish_sweep_pass(name, feed.as_str(), content, kind, limits, now)
            .await;
        gateway.batches_waiting.notify_one();
        match end {
            Ok(end) => break end,
            // What was withdrawn stays withdrawn; the rest follows when there is room.
            Err(OutboxError::Full { .. }) => {
                if room::wait(gateway, at.stop).await? == Waited::Stopped {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    };
    let withdrawn = match end {
        SweepEnd::LookAgain { .. } => return Ok(Some(false)),
        SweepEnd::Done { withdrawn, .. } => withdrawn,
        SweepEnd::Held { missing, .. } => {
            done.held = Some(missing);
            surprise::note(gateway, source, feed, surprise::WITHDRAWALS_HELD, 1).await;
            0
        }
    };
    done.withdrawn += withdrawn;
    at.counters
        .withdrawn
        .fetch_add(withdrawn, std::sync::atomic::Ordering::Relaxed);
    metrics::counter!("gateway_records_total", "source" => source.name.clone(), "feed" => feed.as_str(), "outcome" => "withdrawn")
        .increment(withdrawn);
    if done.missed > 0 {
        surprise::note(
            gateway,
            source,
            feed,
            surprise::CHANGED_UNNOTICED,
            done.missed,
        )
        .await;
    }
    Ok(Some(true))
}

/// One pass over the keys of a feed.
struct Pass<'a> {
    committer: &'a Committer<'a>,
    transformer: &'a Transformer,
    after: Option<Cursor>,
    endless: Endless,
}

impl Pass<'_> {
    /// The step: one page of keys, the rows that differ, one commit. True when more keys follow;
    /// `None` when the program was stopped while it waited for room.
    async fn page_once(&mut self, done: &mut FeedSweep) -> Result<Option<bool>, PullError> {
        let Committer {
            gateway,
            source,
            feed,
            ..
        } = *self.committer;
        let now = gateway.clock.now();
        let request = KeysRequest {
            feed,
            after: self.after.clone(),
            limit: KEYS_PER_PAGE,
            now,
        };
        let page = source.connector.keys(request).await?;
        fault::check::<connector_kit::SourceError>(Point::SweepFetched)?;
        if let Some(next) = &page.next {
            self.endless.advance(next)?;
        }
        let digests: Vec<(RecordDigest, Option<i64>)> = page
            .keys
            .iter()
            .map(|key| {
                (
                    source.pseudonymiser.record_digest(feed, &key.record_id),
                    key.stamp,
                )
            })
            .collect();
        let found = gateway
            .outbox
            .sweep_look_up(&source.name, feed.as_str(), &digests)
            .await?;
        if found.went_back > 0 {
            let code = SourceSurprise::StampsWentBack.as_str();
            surprise::note(gateway, source, feed, code, found.went_back).await;
        }
        let reread = read_again(self.committer, &page.keys, &found.reread, &found.unnamed).await?;
        done.keys += page.keys.len() as u64;
        done.reread += reread.len() as u64;
        let transformed = self.transformer.transform(reread).await?;
        let step = SweepStep {
            names: found
                .unnamed
                .iter()
                .filter_map(|place| {
                    Some((
                        digests.get(*place)?.0,
                        page.keys.get(*place)?.record_id.clone(),
                    ))
                })
                .collect(),
            seen: found.seen,
            cursor: page
                .next
                .as_ref()
                .map(|next| cursor::write(&source.settings, next)),
        };
        let Some(committed) = self.committer.commit(transformed, None, Some(step)).await? else {
            return Ok(None);
        };
        done.missed += committed.missed;
        self.after = page.next;
        Ok(Some(self.after.is_some()))
    }
}

/// The rows at these places, as they are now.
async fn read_again(
    at: &Committer<'_>,
    keys: &[RecordKey],
    reread: &[usize],
    unnamed: &[usize],
) -> Result<Vec<ClinicRecord>, PullError> {
    let places: BTreeSet<usize> = reread.iter().chain(unnamed).copied().collect();
    let ids: Vec<String> = places
        .into_iter()
        .filter_map(|place| keys.get(place))
        .map(|key| key.record_id.clone())
        .collect();
    fetch_by_id(at.source, at.feed, &ids, at.gateway).await
}

/// The rows with these ids as they are now, however many; those that are gone are left out.
pub(crate) async fn fetch_by_id(
    source: &Source,
    feed: Feed,
    ids: &[String],
    gateway: &Gateway,
) -> Result<Vec<ClinicRecord>, PullError> {
    let mut records = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(MAX_FETCH_IDS) {
        records.extend(
            source
                .connector
                .fetch(feed, chunk, gateway.clock.now())
                .await?,
        );
    }
    Ok(records)
}

fn report(source: &Source, sweep: &FeedSweep) {
    let FeedSweep {
        feed,
        keys,
        reread,
        missed,
        withdrawn,
        held,
        finished,
    } = sweep;
    if let Some(missing) = held {
        tracing::warn!(
            event = "sweep-held", source = %source.name, feed, keys, missing,
            "more records are gone at the source than may be withdrawn unasked; nothing was \
             withdrawn. If they are \
             gone on purpose: clinic-gateway confirm-withdrawals {}", source.name
        );
    } else if *finished && (*withdrawn > 0 || *missed > 0) {
        tracing::info!(
            event = "swept", source = %source.name, feed, keys, reread, missed, withdrawn,
            "all keys of a feed were read"
        );
    } else {
        tracing::debug!(event = "swept", source = %source.name, feed, keys, reread, finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run_in_turn;
    use crate::testing::World;

    async fn swept(world: &World) -> FeedSweep {
        let source = &world.gateway.sources[0];
        source.request_sweep();
        let run = run_in_turn(
            &world.gateway,
            source,
            &CancellationToken::new(),
            &Counters::default(),
        )
        .await;
        let mut feeds = run
            .expect("nothing fails")
            .sweep
            .expect("a sweep was asked for");
        assert_eq!(feeds.len(), 1);
        feeds.remove(0)
    }

    #[tokio::test]
    async fn a_sweep_withdraws_what_is_gone_and_reads_what_pulls_cannot_see() {
        let world = World::new("", 0..4500).await;
        let first = swept(&world).await;
        assert_eq!(
            (first.keys, first.reread, first.missed, first.withdrawn),
            (4500, 0, 0, 0)
        );
        world.rows.lock().remove(&17);
        world.rows.lock().insert(18, 1);
        let second = swept(&world).await;
        // Two passes of 4499 keys: something was missing, so all are looked at twice.
        assert_eq!((second.keys, second.reread, second.withdrawn), (8998, 1, 1));
        assert_eq!((second.held, second.finished), (None, true));
        let third = swept(&world).await;
        assert_eq!((third.keys, third.reread, third.withdrawn), (4499, 0, 0));
        let status = world
            .gateway
            .outbox
            .reader()
            .status()
            .await
            .expect("the state");
        let codes: Vec<&str> = status
            .surprises
            .iter()
            .map(|surprise| surprise.code.as_str())
            .collect();
        assert_eq!(codes, ["stamps-went-back"]);
    }

    #[tokio::test]
    async fn too_many_withdrawals_are_held_and_a_failed_sweep_stays_due() {
        let world = World::new("", 0..100).await;
        swept(&world).await;
        world.rows.lock().retain(|id, _| *id >= 50);
        let held = swept(&world).await;
        assert_eq!(
            (held.held, held.withdrawn, held.finished),
            (Some(50), 0, true)
        );
        let source = &world.gateway.sources[0];
        assert!(!source.take_sweep_request(), "held is an end");

        source.request_sweep();
        world
            .rows
            .away
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let run = run_in_turn(
            &world.gateway,
            source,
            &CancellationToken::new(),
            &Counters::default(),
        )
        .await;
        assert_eq!(run.expect_err("the source is away").code(), "source-away");
        assert!(
            source.take_sweep_request(),
            "no sweep after a failed pull, but after the next good one"
        );
    }
}

//! Tries dead letters again: the row is read from the source by its id and transformed anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use connector_kit::Feed;
use contract::RecordDigest;
use outbox::{DeadLetter, DeadLetterFilter, RecordName, SweepKind, VERSIONS_EXHAUSTED};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::answer::{Retried, RetryOutcome};
use super::error::RequestError;
use super::sweep::sweep;
use crate::codes_file;
use crate::corrections;
use crate::gateway::Gateway;
use crate::pull::{
    Counters, FeedFailure, FeedRun, PageOrigin, PullError, Transformer, commit_page, fetch_by_id,
    seal_page,
};
use crate::sources::Source;

/// Names of a source and one of its feeds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct FeedKey {
    source: String,
    feed: String,
}

/// Outcomes of the rows of one feed, by the clinic's record id.
type Outcomes = HashMap<String, RetryOutcome>;

/// Everything that a retry has tried again.
pub(super) struct Retries {
    /// Outcome of each dead letter.
    pub(super) letters: Vec<Retried>,
    /// Number of refusals that the list has no room for.
    pub(super) unlisted: u64,
}

/// Tries the dead letters again that the filter chooses, and the refusals that the list has no room
/// for, if they are meant too.
///
/// # Errors
/// The first source that cannot be read; what was read before stays done.
pub(super) async fn retry(
    gateway: &Gateway,
    filter: &DeadLetterFilter,
    stop: &CancellationToken,
) -> Result<Retries, RequestError> {
    let letters = gateway.outbox.reader().dead_letters(filter).await?;
    let plan = gateway
        .outbox
        .prepare_retry(filter, gateway.clock.now())
        .await?;
    let mut by_id: BTreeMap<FeedKey, BTreeSet<String>> = BTreeMap::new();
    for (source, feed, record_id) in plan.by_id {
        by_id
            .entry(FeedKey { source, feed })
            .or_default()
            .insert(record_id);
    }
    let mut outcomes: HashMap<FeedKey, Outcomes> = HashMap::new();
    for (key, ids) in by_id {
        let Some((source, feed)) = find(gateway, &key.source, &key.feed) else {
            continue;
        };
        let run = FeedRun {
            gateway,
            source,
            feed,
            stop,
            counters: &Counters::default(),
        };
        let ids: Vec<String> = ids.into_iter().collect();
        let result = reread(&run, &ids).instrument(run.span()).await;
        let reread = result.map_err(|error| RequestError::Source {
            source_name: key.source.clone(),
            failure: FeedFailure { feed, error },
        })?;
        outcomes.insert(key, reread);
    }
    let swept: BTreeSet<String> = plan
        .by_sweep
        .into_iter()
        .map(|(source, _)| source)
        .collect();
    for name in swept {
        if let Some(source) = gateway.source(&name) {
            sweep(gateway, source, SweepKind::Keys, stop, &Counters::default()).await?;
        }
    }
    Ok(Retries {
        letters: list_retried(gateway, letters, &outcomes).await?,
        unlisted: plan.unlisted,
    })
}

fn find<'a>(gateway: &'a Gateway, source: &str, feed: &str) -> Option<(&'a Source, Feed)> {
    let source = gateway.source(source)?;
    let feed = source
        .connector
        .feeds()
        .into_iter()
        .find(|known| known.as_str() == feed)?;
    Some((source, feed))
}

/// Reads rows again, and commits those that are well; returns the outcome of each id.
async fn reread(run: &FeedRun<'_>, ids: &[String]) -> Result<Outcomes, PullError> {
    let _lock = run.source.lock_for_run().await;
    codes_file::refresh(run.gateway, run.source).await;
    let transformer = Transformer::new(run).await?;
    let records = fetch_by_id(run, ids).await?;
    let gone = ids.iter().map(|id| (id.clone(), RetryOutcome::Gone));
    let mut outcomes: Outcomes = gone.collect();
    for record in &records {
        outcomes.insert(record.record_id.clone(), RetryOutcome::Accepted);
    }
    let transformed = transformer.transform(records).await?;
    for refused in &transformed.refused {
        let outcome = RetryOutcome::Refused(refused.reason.to_owned());
        outcomes.insert(refused.record_id.clone(), outcome);
    }
    let names = transformed.names.clone();
    let sealed = seal_page(run, transformed, PageOrigin::ById).await?;
    commit_page(run, sealed).await?;
    note_withheld(run, &names, &mut outcomes).await?;
    corrections::settle(run, None).await?;
    Ok(outcomes)
}

/// Notes the rows that are well and that the release policy withholds.
async fn note_withheld(
    run: &FeedRun<'_>,
    names: &[RecordName],
    outcomes: &mut Outcomes,
) -> Result<(), PullError> {
    let records: Vec<RecordDigest> = names.iter().map(|name| name.record).collect();
    let withheld = run.gateway.outbox.withheld_among(&records).await?;
    for name in names.iter().filter(|name| withheld.contains(&name.record)) {
        outcomes.insert(name.record_id.clone(), RetryOutcome::Withheld);
    }
    Ok(())
}

/// Lists the outcome of each dead letter; those that only a sweep could reach are looked up again.
async fn list_retried(
    gateway: &Gateway,
    letters: Vec<DeadLetter>,
    outcomes: &HashMap<FeedKey, Outcomes>,
) -> Result<Vec<Retried>, RequestError> {
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    let still_open = if ids.is_empty() {
        Vec::new()
    } else {
        let filter = DeadLetterFilter {
            ids,
            ..DeadLetterFilter::default()
        };
        gateway.outbox.reader().dead_letters(&filter).await?
    };
    let reasons: HashMap<i64, String> = still_open
        .into_iter()
        .map(|letter| (letter.id, letter.reason))
        .collect();
    let retried = letters.into_iter().map(|letter| {
        let key = FeedKey {
            source: letter.source,
            feed: letter.feed,
        };
        let reread = letter
            .record_id
            .as_ref()
            .and_then(|record_id| outcomes.get(&key)?.get(record_id));
        let outcome = match (reread, reasons.get(&letter.id)) {
            // The row is well, and could not be sent all the same.
            (Some(RetryOutcome::Accepted), Some(reason)) if reason == VERSIONS_EXHAUSTED => {
                RetryOutcome::Refused(reason.clone())
            }
            (Some(outcome), _) => outcome.clone(),
            (None, _) if find(gateway, &key.source, &key.feed).is_none() => {
                RetryOutcome::NotConfigured
            }
            (None, Some(reason)) => RetryOutcome::Refused(reason.clone()),
            (None, None) => RetryOutcome::Accepted,
        };
        Retried {
            id: letter.id,
            source: key.source,
            feed: key.feed,
            record_id: letter.record_id,
            outcome,
        }
    });
    Ok(retried.collect())
}

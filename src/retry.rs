//! Tries dead letters again: the row is read from the source by its id and goes its way anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use connector_kit::Feed;
use outbox::{DeadLetter, DeadLetterFilter};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::commit::Committer;
use crate::gateway::Gateway;
use crate::pull::{Counters, PullError, transformer};
use crate::requests::{self, RequestError};
use crate::run::FeedFailure;
use crate::sources::Source;
use crate::sweep::fetch_by_id;

/// What became of one dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// Its number.
    pub id: i64,
    /// Its source.
    pub source: String,
    /// Its feed.
    pub feed: String,
    /// The clinic's own record id, where it is known.
    pub record_id: Option<String>,
    /// What became of it.
    pub outcome: RetryOutcome,
}

/// What can become of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOutcome {
    /// The row was read and is well now: sent, or nothing was left to send.
    Accepted,
    /// The row was refused again, for this reason.
    Refused(String),
    /// The row is no longer at the source; a sweep closes the letter.
    Gone,
    /// The source is not configured any more.
    NotConfigured,
}

/// Rows to be read by id, by source and feed.
type ById = BTreeMap<(String, String), BTreeSet<String>>;

/// Tries the letters again.
///
/// # Errors
/// The first source that cannot be read; what was read before stays done.
pub(crate) async fn retry(
    gateway: &Gateway,
    filter: &DeadLetterFilter,
    stop: &CancellationToken,
) -> Result<Vec<Retried>, RequestError> {
    let letters = gateway.outbox.reader().dead_letters(filter).await?;
    let plan = gateway
        .outbox
        .mark_for_retry(filter, gateway.clock.now())
        .await?;
    let mut by_id = ById::new();
    for (source, feed, record_id) in plan.by_id {
        by_id.entry((source, feed)).or_default().insert(record_id);
    }
    let mut outcomes: HashMap<(String, String, String), RetryOutcome> = HashMap::new();
    for ((source, feed), ids) in by_id {
        let Some((configured, kind)) = find(gateway, &source, &feed) else {
            continue;
        };
        let ids: Vec<String> = ids.into_iter().collect();
        let _turn = configured.turn.lock().await;
        let result = reread(gateway, configured, kind, &ids, stop).await;
        let outcome = result.map_err(|error| RequestError::Source {
            source_name: source.clone(),
            failure: FeedFailure { feed: kind, error },
        })?;
        outcomes.extend(
            outcome
                .into_iter()
                .map(|(id, outcome)| ((source.clone(), feed.clone(), id), outcome)),
        );
    }
    let swept: BTreeSet<String> = plan
        .by_sweep
        .into_iter()
        .map(|(source, _)| source)
        .collect();
    for name in swept {
        if let Some(source) = gateway.source(&name) {
            requests::sweep(gateway, source, stop, &Counters::default()).await?;
        }
    }
    told(gateway, letters, &outcomes).await
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

/// Reads the rows, sends what is well; says of each id what became of it. To be called in the
/// source's turn.
async fn reread(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    ids: &[String],
    stop: &CancellationToken,
) -> Result<Vec<(String, RetryOutcome)>, PullError> {
    let counters = Counters::default();
    let committer = Committer {
        gateway,
        source,
        feed,
        stop,
        counters: &counters,
        read_in: None,
    };
    let transformer = transformer(gateway, source, feed, gateway.clock.now()).await?;
    let records = fetch_by_id(source, feed, ids, gateway).await?;
    let mut outcomes: HashMap<String, RetryOutcome> = ids
        .iter()
        .map(|id| (id.clone(), RetryOutcome::Gone))
        .collect();
    outcomes.extend(
        records
            .iter()
            .map(|record| (record.record_id.clone(), RetryOutcome::Accepted)),
    );
    let transformed = transformer.transform(records).await?;
    for refused in &transformed.refused {
        outcomes.insert(
            refused.record_id.clone(),
            RetryOutcome::Refused(refused.reason.to_owned()),
        );
    }
    committer.commit(transformed, None, None).await?;
    Ok(outcomes.into_iter().collect())
}

/// What became of each letter; those that only a sweep could reach are looked up again.
async fn told(
    gateway: &Gateway,
    letters: Vec<DeadLetter>,
    outcomes: &HashMap<(String, String, String), RetryOutcome>,
) -> Result<Vec<Retried>, RequestError> {
    let ids = letters.iter().map(|letter| letter.id).collect::<Vec<_>>();
    let still = if ids.is_empty() {
        Vec::new()
    } else {
        let filter = DeadLetterFilter {
            ids,
            ..DeadLetterFilter::default()
        };
        gateway.outbox.reader().dead_letters(&filter).await?
    };
    let still: HashMap<i64, String> = still
        .into_iter()
        .map(|letter| (letter.id, letter.reason))
        .collect();
    let retried = letters.into_iter().map(|letter| {
        let known = letter.record_id.as_ref().and_then(|record_id| {
            outcomes.get(&(
                letter.source.clone(),
                letter.feed.clone(),
                record_id.clone(),
            ))
        });
        let outcome = match (known, still.get(&letter.id)) {
            (Some(known), _) => known.clone(),
            (None, _) if find(gateway, &letter.source, &letter.feed).is_none() => {
                RetryOutcome::NotConfigured
            }
            (None, Some(reason)) => RetryOutcome::Refused(reason.clone()),
            (None, None) => RetryOutcome::Accepted,
        };
        Retried {
            id: letter.id,
            source: letter.source,
            feed: letter.feed,
            record_id: letter.record_id,
            outcome,
        }
    });
    Ok(retried.collect())
}

//! A sweep that an operator waits for, and the source that is swept.

use connector_kit::Feed;
use outbox::SweepKind;
use tokio_util::sync::CancellationToken;

use super::error::RequestError;
use crate::gateway::Gateway;
use crate::pull::{Counters, RunEnd};
use crate::run::SourceRun;
use crate::sources::Source;
use crate::sweep::FeedSweep;

/// Returns the configured source of this name.
///
/// # Errors
/// [`RequestError::UnknownSource`], with the names there are.
pub(super) fn configured_source<'a>(
    gateway: &'a Gateway,
    name: &str,
) -> Result<&'a Source, RequestError> {
    let unknown = || {
        let names = gateway.sources.iter().map(|source| source.name.as_str());
        let known = names.collect::<Vec<_>>().join(", ");
        RequestError::UnknownSource(name.to_owned(), known)
    };
    Ok(gateway.source(name).ok_or_else(unknown)?)
}

/// Pulls a source to its end and sweeps it, its contents as well where that is asked. A feed that
/// fails does not keep the others from being swept; it is the failure that is answered.
///
/// # Errors
/// [`RequestError::Source`] and [`RequestError::Stopped`].
pub(super) async fn sweep(
    gateway: &Gateway,
    source: &Source,
    kind: SweepKind,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Vec<FeedSweep>, RequestError> {
    let run = SourceRun {
        gateway,
        source,
        stop,
        counters,
    };
    let ledger = &source.sweeps;
    let feeds = source.connector.feeds();
    // A sweep that is under way has passed some rows before it was asked for.
    let begun: Vec<(Feed, u64)> = feeds
        .into_iter()
        .map(|feed| (feed, ledger.begun(feed)))
        .collect();
    let _request = ledger.begin_request().await;
    loop {
        let result = |(feed, begun): &(Feed, u64)| ledger.ended_after(*feed, *begun, kind);
        let results: Option<Vec<FeedSweep>> = begun.iter().map(result).collect();
        if let Some(results) = results {
            return Ok(results);
        }
        // Again after each round: a sweep that was begun before has ended, or another run of the
        // source has taken the request along.
        for feed in begun.iter().filter(|feed| result(feed).is_none()) {
            ledger.ask(feed.0, kind);
        }
        let mut summary = run.with_retries().await;
        if let Some(failure) = summary.take_failures().into_iter().next() {
            return Err(RequestError::Source {
                source_name: source.name.clone(),
                failure,
            });
        }
        if summary.end == RunEnd::Stopped {
            return Err(RequestError::Stopped);
        }
    }
}

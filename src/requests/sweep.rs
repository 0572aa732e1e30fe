//! A sweep that an operator waits for, and the source that is swept.

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

/// Pulls a source to its end and sweeps it. A feed that fails does not keep the others from being
/// swept; it is the failure that is answered.
///
/// # Errors
/// [`RequestError::Source`] and [`RequestError::Stopped`].
pub(super) async fn sweep(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Vec<FeedSweep>, RequestError> {
    let run = SourceRun {
        gateway,
        source,
        stop,
        counters,
    };
    loop {
        source.request_sweep();
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
        if let Some(feeds) = summary.sweep
            && feeds.len() == source.connector.feeds().len()
        {
            return Ok(feeds);
        }
        // Another run has taken the request along; its sweep may have begun before it was made.
    }
}

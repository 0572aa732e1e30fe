//! Resources without `meta.lastUpdated`, which no search for what has changed can find. Where a
//! server mixes them with stamped ones, its feed is read whole on every run.

use chrono::{DateTime, Utc};
use connector_kit::{Feed, SourceError};

use crate::bundle::ServerPage;
use crate::fact::resource_type;
use crate::refusal::Ask;
use crate::session::FhirSession;

/// Numbers of a feed's resources.
pub(crate) struct StampCount {
    pub all: u64,
    pub unstamped: u64,
}

/// Counts a feed's resources, and those of them that no search by stamps finds; `None` where the
/// server does not count.
///
/// All are counted twice, before and behind the stamped ones, so that what is added or deleted
/// meanwhile is not taken for a resource without a stamp.
pub(crate) async fn count(
    session: &FhirSession,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Option<StampCount>, SourceError> {
    let ask = Ask::Search(resource_type(feed));
    let total = async |stamped| {
        let url = session.queries.count(feed, stamped);
        match session.get_page(url, ask, now).await {
            Ok(fetched) => Ok(fetched.page.total),
            Err(refused) if matches!(refused.error, SourceError::Misconfigured { .. }) => Ok(None),
            Err(refused) => Err(refused.error),
        }
    };
    let (Some(before), Some(stamped)) = (total(false).await?, total(true).await?) else {
        return Ok(None);
    };
    let mut all = before;
    if stamped < all {
        let Some(behind) = total(false).await? else {
            return Ok(None);
        };
        all = all.min(behind);
    }
    Ok(Some(StampCount {
        all,
        unstamped: all.saturating_sub(stamped),
    }))
}

/// True if a run from a stamp would miss resources of the feed. It is counted once, at the first
/// run after a start that does not see everything on one page, and at the beginning of each sweep.
pub(crate) async fn are_there(
    session: &FhirSession,
    feed: Feed,
    first: &ServerPage,
    is_whole: bool,
    now: DateTime<Utc>,
) -> bool {
    let limits = session.limits.of(feed);
    if first
        .matches
        .iter()
        .any(|resource| resource.stamp.is_none())
    {
        limits.unstamped.learn();
    }
    if limits.unstamped.is_known() || limits.stamps_counted.is_known() {
        return limits.unstamped.is_known();
    }
    if is_whole {
        limits.stamps_counted.learn();
        return false;
    }
    count_anew(session, feed, now).await;
    limits.unstamped.is_known()
}

/// Counts, and remembers the result. A server that fails now is asked again by the next run.
pub(crate) async fn count_anew(session: &FhirSession, feed: Feed, now: DateTime<Utc>) {
    let limits = session.limits.of(feed);
    match count(session, feed, now).await {
        Ok(Some(count)) if count.unstamped > 0 => {
            if !limits.unstamped.is_known() {
                tracing::warn!(
                    %feed,
                    unstamped = count.unstamped,
                    "resources of the FHIR server come without meta.lastUpdated; every run reads \
                     all of them"
                );
            }
            limits.unstamped.learn();
        }
        Ok(_) => limits.stamps_counted.learn(),
        Err(error) => tracing::debug!(%feed, %error, "resources could not be counted"),
    }
}

//! Selection of dead letters on the command line.

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use connector_kit::Feed;
use outbox::{DeadLetterFilter, Origin};
use program::Failure;

use crate::cli::age;
use crate::cli::arguments::FeedArgument;

/// Selection of dead letters; all when it is empty.
#[derive(Debug, Args)]
pub(in crate::cli) struct FilterArguments {
    /// Their numbers.
    ids: Vec<i64>,
    /// Only of this source.
    #[arg(long)]
    source: Option<String>,
    /// Only of this feed.
    #[arg(long)]
    feed: Option<FeedArgument>,
    /// Only with this reason.
    #[arg(long)]
    reason: Option<String>,
    /// Only those refused here, or by the registry.
    #[arg(long)]
    origin: Option<OriginName>,
    /// Only those refused for longer than this: 90min, 12h, 3d, 2w.
    #[arg(long, value_parser = age::parse)]
    older_than: Option<TimeDelta>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OriginName {
    Clinic,
    Registry,
}

impl FilterArguments {
    pub(super) fn filter(&self, now: DateTime<Utc>) -> DeadLetterFilter {
        DeadLetterFilter {
            source: self.source.clone(),
            feed: self.feed.map(|feed| Feed::from(feed).as_str().to_owned()),
            reason: self.reason.clone(),
            origin: self.origin.map(|origin| match origin {
                OriginName::Clinic => Origin::Clinic,
                OriginName::Registry => Origin::Registry,
            }),
            older_than: self.older_than.map(|age| now - age),
            ids: self.ids.clone(),
            ..DeadLetterFilter::default()
        }
    }

    /// Refuses an empty selection: retrying or discarding everything must be asked for.
    pub(super) fn require_some(&self) -> Result<(), Failure> {
        let FilterArguments {
            ids,
            source,
            feed,
            reason,
            origin,
            older_than,
        } = self;
        let is_some = !ids.is_empty()
            || source.is_some()
            || feed.is_some()
            || reason.is_some()
            || origin.is_some()
            || older_than.is_some();
        if is_some {
            return Ok(());
        }
        Err(Failure::Usage(
            "say which: numbers as `dead-letters list` shows them, or --source, --feed, --reason, \
             --origin, --older-than"
                .to_owned(),
        ))
    }
}

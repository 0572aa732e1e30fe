//! `clinic-gateway codes`: the values of a source that nobody has mapped, as a block of
//! configuration to decide about.

mod block;
mod read;

use clap::Args;
use clock::Clock;
use connector_kit::Feed;
use outbox::{OutboxError, OutboxReader};
use program::Failure;
use program::terminal::{print_json, print_line};
use pseudonym::KeyRing;

use self::block::Block;
use self::read::ReadRecords;
use super::arguments::{FeedArgument, require_source};
use super::outbox_file;
use super::unknown::{Place, Stored};
use crate::config::LoadedConfig;
use crate::gateway::{self, StartError};
use crate::sources::Source;

#[derive(Debug, Args)]
pub(super) struct CodesArguments {
    /// The source, as the configuration names it.
    source: String,
    /// Only of this kind of fact.
    #[arg(long)]
    feed: Option<FeedArgument>,
    /// Read records from the source as well, as `check` does, in memory: of each kind as many of
    /// the first ones, and some of the newest.
    #[arg(
        long,
        value_name = "RECORDS",
        num_args = 0..=1,
        default_missing_value = "10000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    read: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn codes(
    arguments: &CodesArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let name = &arguments.source;
    require_source(loaded, name)?;
    let ring = gateway::read_ring(loaded)?;
    let config = &loaded.config.source[name];
    let suite = loaded.config.keys.suite.into();
    let source = Source::new(name, config, &loaded.base, &ring, suite);
    let source = source.map_err(|error| StartError::Source {
        name: name.clone(),
        error,
    })?;
    let feed = arguments.feed.map(Feed::from);
    let mut refused = read_refused(loaded, &ring, name, feed).await?;
    let without_value = refused.rows.saturating_sub(refused.values.rows());
    let known = refused.values.take_known_out(loaded, Some(&ring));
    let known = known.get(name).copied().unwrap_or_default();
    let read = match arguments.read {
        Some(records) => Some(read::records(&source, feed, records, clock.now()).await?),
        None => None,
    };
    let sections = config.sections();
    let place = Place {
        source: name,
        kind: sections.first().map_or("", |section| section.name),
    };
    let pseudonymiser = source.pseudonymiser();
    let block = Block {
        place,
        pseudonymiser: &pseudonymiser,
        mapped: block::mapped_tables(&config.policy),
        refused: refused
            .values
            .by_source()
            .remove(name.as_str())
            .unwrap_or_default(),
        without_value,
        known,
        read: read.as_ref().map(ReadRecords::values),
        rows_read: read.as_ref().map_or(0, |read| read.rows),
    };
    if arguments.json {
        print_json(&block.json());
    } else {
        block.lines().into_iter().for_each(print_line);
    }
    Ok(())
}

/// Rows of a source that are refused for a reason which a value can have.
#[derive(Default)]
struct RefusedRows {
    /// Their values, as far as they are kept.
    values: Stored,
    /// Number of the rows, with a value that is kept or without one.
    rows: u64,
}

async fn read_refused(
    loaded: &LoadedConfig,
    ring: &KeyRing,
    source: &str,
    feed: Option<Feed>,
) -> Result<RefusedRows, StartError> {
    let reader = match OutboxReader::open(&outbox_file::path(loaded)).await {
        // Before the first run nothing is refused.
        Err(OutboxError::Missing) => return Ok(RefusedRows::default()),
        reader => reader?,
    };
    let mut values = Stored::read(&reader, Some(ring), Some(source)).await?;
    if let Some(feed) = feed {
        values.retain_feed(feed.as_str());
    }
    let rows = refused_for_values(&reader, source, feed).await?;
    reader.close().await;
    Ok(RefusedRows { values, rows })
}

/// Number of rows of the source that are refused for a reason which a value can have, whether it is
/// kept or not.
async fn refused_for_values(
    reader: &OutboxReader,
    source: &str,
    feed: Option<Feed>,
) -> Result<u64, OutboxError> {
    const REASONS: [&str; 7] = [
        "vaccine-unknown",
        "test-unknown",
        "result-unknown",
        "diagnosis-unknown",
        "country-unknown",
        "status-unknown",
        "code-conflict",
    ];
    let counts = reader.status().await?.dead_letters;
    let counts = counts.iter().filter(|count| {
        count.source == source
            && feed.is_none_or(|feed| feed.as_str() == count.feed)
            && REASONS.contains(&count.reason.as_str())
    });
    Ok(counts.map(|count| count.count).sum())
}

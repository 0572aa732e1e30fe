//! `clinic-gateway codes`: the values of a source that nobody has mapped, as a block of
//! configuration to decide about.

mod block;
mod read;

use std::collections::BTreeMap;

use clap::Args;
use clock::Clock;
use connector_kit::Feed;
use outbox::{DeadLetterCount, OutboxReader};
use program::Failure;
use program::terminal::{print_json, print_line};
use pseudonym::{KeyRing, ValueTable};

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

/// Reason of rows whose status nobody has mapped.
const STATUS_UNKNOWN: &str = "status-unknown";

/// Reasons which a value can have.
const REASONS_WITH_VALUES: [&str; 7] = [
    "vaccine-unknown",
    "test-unknown",
    "result-unknown",
    "diagnosis-unknown",
    "country-unknown",
    STATUS_UNKNOWN,
    "code-conflict",
];

pub(super) async fn codes(
    arguments: &CodesArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let name = &arguments.source;
    require_source(loaded, name)?;
    let ring = gateway::read_ring(loaded)?;
    let config = &loaded.config.source[name];
    let suites = loaded.config.keys.suites();
    let release = loaded.config.release.facts();
    let source = Source::new(name, config, &loaded.base, &ring, suites, &release);
    let source = source.map_err(|error| StartError::Source {
        name: name.clone(),
        error,
    })?;
    let feed = arguments.feed.map(Feed::from);
    let mut refused = read_refused(loaded, &ring, name, feed).await?;
    let without_value = refused.rows.saturating_sub(refused.values.rows());
    let empty_status = refused.empty_status();
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
        empty_status,
        is_new: refused.is_new,
        known,
        read: read.as_ref().map(ReadRecords::values),
        rows_read: read.as_ref().map_or(0, |read| read.rows),
        empty_status_read: read.map(|read| read.empty_status).unwrap_or_default(),
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
    /// Number of those among them that are refused for their status, by feed.
    status: BTreeMap<String, u64>,
    /// True if nothing of the source was ever read.
    is_new: bool,
}

impl RefusedRows {
    /// Number of rows that are refused for their status and have no word for it that is kept, by
    /// feed.
    fn empty_status(&self) -> BTreeMap<String, u64> {
        let with_word = self.values.rows_by_feed(ValueTable::Status);
        let without = self.status.iter().map(|(feed, rows)| {
            let with_word = with_word.get(feed.as_str()).copied().unwrap_or(0);
            (feed.clone(), rows.saturating_sub(with_word))
        });
        without.filter(|(_, rows)| *rows > 0).collect()
    }
}

async fn read_refused(
    loaded: &LoadedConfig,
    ring: &KeyRing,
    source: &str,
    feed: Option<Feed>,
) -> Result<RefusedRows, StartError> {
    let reader = match OutboxReader::open(&outbox_file::path(loaded)).await {
        // Before the first run nothing is refused.
        Err(error) if error.is_missing() => {
            return Ok(RefusedRows {
                is_new: true,
                ..RefusedRows::default()
            });
        }
        reader => reader?,
    };
    let mut values = Stored::read(&reader, Some(ring), Some(source)).await?;
    if let Some(feed) = feed {
        values.retain_feed(feed.as_str());
    }
    let status = reader.status().await?;
    reader.close().await;
    let mut refused = RefusedRows {
        values,
        is_new: !status.feeds.iter().any(|known| known.source == source),
        ..RefusedRows::default()
    };
    let is_asked_for = |count: &&DeadLetterCount| {
        count.source == source && feed.is_none_or(|feed| feed.as_str() == count.feed)
    };
    for count in status.dead_letters.iter().filter(is_asked_for) {
        let reason = count.reason.as_str();
        if REASONS_WITH_VALUES.contains(&reason) {
            refused.rows += count.count;
        }
        if reason == STATUS_UNKNOWN {
            *refused.status.entry(count.feed.clone()).or_default() += count.count;
        }
    }
    Ok(refused)
}

//! `clinic-gateway preview`: shows the next records as they would leave, without sending anything.

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use connector_kit::{Cursor, Feed, PageRequest, SourceError};
use outbox::{OutboxError, OutboxReader};
use program::Failure;
use program::terminal::{print_json, print_line, visible};
use pseudonym::{Preview, PreviewVerdict};

use super::arguments::{FeedArgument, require_source};
use super::outbox_file;
use crate::config::LoadedConfig;
use crate::gateway::StartError;
use crate::sources::Source;
use crate::{cursor, gateway};

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// The source, as the configuration names it.
    source: String,
    /// Only this kind of fact.
    #[arg(long)]
    feed: Option<FeedArgument>,
    /// How many records of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    records: u32,
    /// From the oldest record on, not from where the last run ended.
    #[arg(long)]
    from_start: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Record with its preview. Its id is shown so that a person here can find the row; it does not
/// leave.
struct PreviewedRecord {
    record_id: String,
    preview: Preview,
}

pub(super) async fn preview(
    arguments: &PreviewArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    require_source(loaded, &arguments.source)?;
    let sources = gateway::build_sources(loaded, &gateway::read_ring(loaded)?)?;
    let source = sources
        .iter()
        .find(|source| source.name == arguments.source)
        .expect("a source was built for every name in the configuration");
    let wanted = arguments.feed.map(Feed::from);
    let mut records = Vec::new();
    for feed in source.connector.feeds() {
        if wanted.is_none_or(|wanted| wanted == feed) {
            records.extend(preview_feed(arguments, loaded, source, feed, clock.now()).await?);
        }
    }
    if arguments.json {
        let records: Vec<_> = records
            .iter()
            .map(|PreviewedRecord { record_id, preview }| {
                serde_json::json!({ "record_id_here": record_id, "outgoing": preview })
            })
            .collect();
        print_json(&records.into());
    } else {
        print_records(&records);
    }
    Ok(())
}

async fn preview_feed(
    arguments: &PreviewArguments,
    loaded: &LoadedConfig,
    source: &Source,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Vec<PreviewedRecord>, Failure> {
    let after = if arguments.from_start {
        None
    } else {
        stored_cursor(loaded, source, feed).await?
    };
    let request = PageRequest {
        feed,
        // No look back: what the overlap window would bring again was shown, and sent, before.
        first_of_run: false,
        hinted: false,
        after,
        limit: arguments.records,
        now,
    };
    let page = source
        .connector
        .page(request)
        .await
        .map_err(|error| unreadable(&source.name, &error))?;
    let today = now.with_timezone(&source.time_zone).date_naive();
    let previewed = page.records.iter().map(|record| PreviewedRecord {
        record_id: record.record_id.clone(),
        preview: source.pseudonymiser.preview(record, today),
    });
    Ok(previewed.collect())
}

fn unreadable(source: &str, error: &SourceError) -> Failure {
    let message = format!("source {source}: {error}");
    match error {
        SourceError::Retry { .. } => Failure::Later(message),
        SourceError::Misconfigured { .. } => Failure::Change(message),
    }
}

/// Reads the position where the last run ended; `None` before the first run.
async fn stored_cursor(
    loaded: &LoadedConfig,
    source: &Source,
    feed: Feed,
) -> Result<Option<Cursor>, StartError> {
    match OutboxReader::open(&outbox_file::path(loaded)).await {
        Ok(reader) => {
            let stored = reader.cursor(&source.name, feed.as_str()).await?;
            Ok(cursor::read(&source.settings, stored.as_deref()))
        }
        Err(OutboxError::Missing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn print_records(records: &[PreviewedRecord]) {
    if records.is_empty() {
        print_line(
            "Nothing is waiting at the source; --from-start shows records that were read before.",
        );
    }
    for PreviewedRecord { record_id, preview } in records {
        print_line(format!(
            "record {} (stays here) → {}: {}",
            visible(record_id),
            preview.kind,
            verdict_text(&preview.verdict)
        ));
        for field in &preview.fields {
            let value = field.outgoing.as_deref().unwrap_or("—");
            print_line(format!(
                "    {:<24} {:<14} {value}",
                field.field,
                field.treatment.as_str()
            ));
        }
    }
}

fn verdict_text(verdict: &PreviewVerdict) -> String {
    match verdict {
        PreviewVerdict::Leaves => "leaves".to_owned(),
        PreviewVerdict::Withdraws {
            only_if_sent: false,
        } => "is withdrawn".to_owned(),
        PreviewVerdict::Withdraws { only_if_sent: true } => {
            "is withdrawn, if it had been sent".to_owned()
        }
        PreviewVerdict::OutOfScope => "does not leave: not about COVID-19".to_owned(),
        PreviewVerdict::Refused(reason) => {
            format!("is refused: {} ({})", reason.as_str(), reason.help())
        }
    }
}

//! `clinic-gateway preview`: the next records as they would leave, without sending anything.

use clap::{Args, ValueEnum};
use clock::Clock;
use connector_kit::{Cursor, Feed, PageRequest, SourceError};
use outbox::{OutboxError, OutboxReader};
use pseudonym::{Preview, Verdict};

use super::{Failure, out};
use crate::config::LoadedConfig;
use crate::sources::Source;
use crate::{cursor, gateway};

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// The source, as the configuration names it.
    source: String,
    /// Only this kind of fact.
    #[arg(long)]
    feed: Option<FeedName>,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FeedName {
    Vaccinations,
    Tests,
    Recoveries,
}

impl From<FeedName> for Feed {
    fn from(name: FeedName) -> Self {
        match name {
            FeedName::Vaccinations => Self::Vaccinations,
            FeedName::Tests => Self::Tests,
            FeedName::Recoveries => Self::Recoveries,
        }
    }
}

/// Refuses a source's name that the configuration does not have.
pub(super) fn known_source(loaded: &LoadedConfig, name: &str) -> Result<(), Failure> {
    if loaded.config.source.contains_key(name) {
        return Ok(());
    }
    let known: Vec<_> = loaded.config.source.keys().map(String::as_str).collect();
    Err(Failure::Argument(format!(
        "no source is named {name}; the configuration has: {}",
        known.join(", ")
    )))
}

pub(super) async fn preview(
    arguments: &PreviewArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    known_source(loaded, &arguments.source)?;
    let sources = gateway::build_sources(loaded, &gateway::read_ring(loaded)?)?;
    let source = sources
        .iter()
        .find(|source| source.name == arguments.source)
        .expect("a source was built for every name in the configuration");
    let today = clock
        .now()
        .with_timezone(&loaded.config.time_zone.0)
        .date_naive();
    let mut shown = Vec::new();
    let wanted = arguments.feed.map(Feed::from);
    for feed in source
        .connector
        .feeds()
        .into_iter()
        .filter(|feed| wanted.is_none_or(|wanted| wanted == *feed))
    {
        let stored = if arguments.from_start {
            None
        } else {
            stored_cursor(loaded, source, feed).await?
        };
        let request = PageRequest {
            feed,
            // No look back: what the overlap window would bring again has been shown, and sent,
            // before.
            first_of_run: false,
            hinted: false,
            after: stored,
            limit: arguments.records,
            now: clock.now(),
        };
        let page = source
            .connector
            .page(request)
            .await
            .map_err(|error| unreadable(&source.name, &error))?;
        for record in &page.records {
            // The clinic's own id is shown, so that a person here can find the row; it does not
            // leave.
            shown.push((
                record.record_id.clone(),
                source.pseudonymiser.preview(record, today),
            ));
        }
    }
    if arguments.json {
        let records: Vec<_> = shown
            .iter()
            .map(|(id, preview)| serde_json::json!({ "record_id_here": id, "outgoing": preview }))
            .collect();
        out::json(&records.into());
    } else {
        tell(&shown);
    }
    Ok(())
}

fn unreadable(source: &str, error: &SourceError) -> Failure {
    let message = format!("source {source}: {error}");
    match error {
        SourceError::Retry { .. } => Failure::Later(message),
        SourceError::Misconfigured { .. } => Failure::Change(message),
    }
}

async fn stored_cursor(
    loaded: &LoadedConfig,
    source: &Source,
    feed: Feed,
) -> Result<Option<Cursor>, Failure> {
    match OutboxReader::open(&loaded.base.join(&loaded.config.outbox.path)).await {
        Ok(reader) => {
            let stored = reader.cursor(&source.name, feed.as_str()).await?;
            Ok(cursor::read(&source.settings, stored.as_deref()))
        }
        Err(OutboxError::Missing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn tell(shown: &[(String, Preview)]) {
    if shown.is_empty() {
        out::say(
            "Nothing is waiting at the source; --from-start shows records that were read before.",
        );
    }
    for (id, preview) in shown {
        let verdict = match &preview.verdict {
            Verdict::Leaves => "leaves".to_owned(),
            Verdict::Withdraws {
                only_if_sent: false,
            } => "is withdrawn".to_owned(),
            Verdict::Withdraws { only_if_sent: true } => {
                "is withdrawn, if it had been sent".to_owned()
            }
            Verdict::OutOfScope => "does not leave: not about COVID-19".to_owned(),
            Verdict::Refused(reason) => {
                format!("is refused: {} ({})", reason.as_str(), reason.help())
            }
        };
        out::say(format!(
            "record {id} (stays here) → {}: {verdict}",
            preview.kind
        ));
        for field in &preview.fields {
            let value = field.outgoing.as_deref().unwrap_or("—");
            out::say(format!(
                "    {:<24} {:<14} {value}",
                field.field,
                field.treatment.as_str()
            ));
        }
    }
}

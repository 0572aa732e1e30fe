//! Dead letters by the value that nobody has mapped.

use outbox::DeadLetterFilter;
use program::Failure;
use program::terminal::{print_json, print_line};

use crate::cli::outbox_file;
use crate::cli::unknown::{Hidden, Place, Shown, Stored, Values};
use crate::config::{LoadedConfig, SourceConfig};
use crate::gateway::{self, StartError};

/// Reads the values of a source, or of all; without the key ring they are counted only.
pub(super) async fn stored(loaded: &LoadedConfig, source: Option<&str>) -> Result<Stored, Failure> {
    let reader = outbox_file::open(loaded).await?;
    let ring = gateway::read_ring(loaded).ok();
    let stored = Stored::read(&reader, ring.as_ref(), source).await;
    reader.close().await;
    Ok(stored.map_err(StartError::from)?)
}

/// Lists the values that the filter's source and feed have, the most frequent first.
pub(super) async fn list(
    loaded: &LoadedConfig,
    filter: &DeadLetterFilter,
    json: bool,
) -> Result<(), Failure> {
    let DeadLetterFilter {
        source,
        feed,
        reason,
        origin,
        older_than,
        ids,
        ..
    } = filter;
    if reason.is_some() || origin.is_some() || older_than.is_some() || !ids.is_empty() {
        return Err(Failure::Usage(
            "--by value takes --source and --feed, and no other selection".to_owned(),
        ));
    }
    let mut stored = stored(loaded, source.as_deref()).await?;
    let ring = gateway::read_ring(loaded).ok();
    let known = stored.take_known_out(loaded, ring.as_ref());
    if let Some(feed) = feed {
        stored.retain_feed(feed);
    }
    let sources = stored.by_source();
    if json {
        let values = sources
            .iter()
            .flat_map(|(source, values)| as_json(source, values));
        print_json(&values.collect());
        return Ok(());
    }
    if sources.is_empty() {
        print_line("no dead letter is there for a value that nobody has mapped");
    }
    for (source, values) in &sources {
        let config = loaded.config.source.get(*source);
        let sections = config.map(SourceConfig::sections).unwrap_or_default();
        let place = Place {
            source,
            kind: sections.first().map_or("", |section| section.name),
        };
        let line = |shown: &Shown| format!("{source}: {}", place.line(shown));
        values.shown.iter().map(line).for_each(print_line);
        let line = |hidden: &Hidden| format!("{source} {}: {}", hidden.feed, hidden.text());
        values.hidden.iter().map(line).for_each(print_line);
    }
    for (source, taken) in &known {
        print_line(format!("{source}: {}", taken.text()));
    }
    if !stored.has_keys {
        print_line("the key ring, which opens values, cannot be read here: they are counted only");
    }
    Ok(())
}

fn as_json(source: &str, values: &Values) -> Vec<serde_json::Value> {
    let shown = values.shown.iter().map(|shown| {
        serde_json::json!({
            "source": source, "feed": shown.feed, "table": shown.value.table.as_str(),
            "value": shown.value.key(), "values": 1, "refused": shown.rows,
        })
    });
    let hidden = values.hidden.iter().map(|hidden| {
        serde_json::json!({
            "source": source, "feed": hidden.feed, "table": hidden.table.as_str(),
            "value": null, "values": hidden.values, "refused": hidden.rows,
        })
    });
    shown.chain(hidden).collect()
}

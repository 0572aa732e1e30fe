//! `clinic-gateway status`: how in sync each source is, what waits, what was refused; read from the outbox alone.

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use outbox::{OutboxError, OutboxReader, Status};

use super::{Failure, out};
use crate::config::LoadedConfig;

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// List the refused records as well: the clinic's own record id, the reason, since when.
    #[arg(long)]
    refused: bool,
}

/// Most refused records listed; the counts above the list are complete.
const MOST_LISTED: u32 = 1000;

pub(super) async fn status(
    arguments: &StatusArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let now = clock.now();
    let reader = match OutboxReader::open(&loaded.base.join(&loaded.config.outbox.path)).await {
        Err(error @ OutboxError::Missing) => return Err(Failure::Later(error.to_string())),
        other => other?,
    };
    let status = reader.status().await?;
    let refused = if arguments.refused { reader.dead_letters(MOST_LISTED).await? } else { Vec::new() };
    if arguments.json {
        out::json(&serde_json::json!({ "status": status, "refused": refused }));
        return Ok(());
    }
    tell(&status, now);
    for name in loaded.config.source.keys() {
        if !status.feeds.iter().any(|feed| feed.source == *name) {
            out::say(format!("source {name} has not been pulled yet"));
        }
    }
    if arguments.refused && !refused.is_empty() {
        out::say("");
        let rows: Vec<_> = refused
            .into_iter()
            .map(|letter| {
                [letter.source, letter.feed, letter.record_id, letter.reason, ago(now, letter.first_seen_at)]
            })
            .collect();
        out::table(["source", "feed", "record", "reason", "since"], &rows);
    }
    Ok(())
}

fn tell(status: &Status, now: DateTime<Utc>) {
    let rows: Vec<_> = status
        .feeds
        .iter()
        .map(|feed| {
            let state = match &feed.last_error {
                Some(code) => format!("{code} ({} in a row)", feed.consecutive_failures),
                None => "ok".to_owned(),
            };
            [
                feed.source.clone(),
                feed.feed.clone(),
                state,
                ago(now, feed.last_ok_at),
                feed.new_total.to_string(),
                feed.corrected_total.to_string(),
                feed.withdrawn_total.to_string(),
                refused(status, &feed.source, &feed.feed).to_string(),
            ]
        })
        .collect();
    out::table(["source", "feed", "state", "in sync", "sent", "corrected", "withdrawn", "refused"], &rows);
    out::say("");
    let oldest = status.backlog.oldest_at.map_or_else(
        || "none waits".to_owned(),
        |oldest| format!("the oldest since {}", ago(now, Some(oldest))),
    );
    out::say(format!(
        "outbox: {} ({}, {} bytes; {oldest}); generation {}",
        out::counted(status.backlog.batches, "batch waits", "batches wait"),
        out::counted(status.backlog.events, "event", "events"),
        status.backlog.bytes,
        status.generation
    ));
    let failing = status.publisher.last_error.as_ref().map_or_else(String::new, |code| {
        format!("; failing: {code} ({} in a row)", status.publisher.consecutive_failures)
    });
    out::say(format!(
        "queue: {} delivered, the last {}{failing}",
        out::counted(status.publisher.delivered_batches, "batch", "batches"),
        ago(now, status.publisher.last_delivered_at)
    ));
    for letters in &status.dead_letters {
        out::say(format!(
            "refused: {} {}: {} × {}",
            letters.source, letters.feed, letters.count, letters.reason
        ));
    }
}

fn refused(status: &Status, source: &str, feed: &str) -> u64 {
    let of_feed = |letters: &&outbox::DeadLetterCount| letters.source == source && letters.feed == feed;
    status.dead_letters.iter().filter(of_feed).map(|letters| letters.count).sum()
}

fn ago(now: DateTime<Utc>, then: Option<DateTime<Utc>>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| format!("{} ago", out::age((now - then).num_seconds())))
}

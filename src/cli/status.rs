//! `clinic-gateway status`: how in sync each source is, what waits, what was refused; read from the
//! outbox alone.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use outbox::{DeadLetterFilter, FeedStatus, OutboxError, OutboxReader, Report, Status};
use serde::Serialize;

use super::{Failure, out};
use crate::circuits::{QUEUE, QUEUE_NAME, SOURCE, source_name};
use crate::config::{LoadedConfig, ReceiptsMode};
use crate::surprise;

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

/// What is shown beside the outbox's own figures.
#[derive(Debug, Serialize)]
struct Around {
    /// Whether pulling pauses because the outbox is full.
    paused: bool,
    /// Endpoints by how often they failed in a row.
    circuits: Vec<Endpoint>,
    /// The last comparison with the registry: of everything, and of single sources.
    reconciliations: Vec<Report>,
    /// Sources that are not configured any more, and whose records still stand at the registry.
    not_configured: Vec<String>,
    /// Sources that were never pulled.
    never_pulled: Vec<String>,
    receipts: bool,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    endpoint: String,
    /// `closed`, or `open`: left alone but for probes.
    state: &'static str,
    failures_in_a_row: u64,
}

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
    let around = around(&status, &reader, loaded).await?;
    let filter = DeadLetterFilter {
        limit: MOST_LISTED,
        ..DeadLetterFilter::default()
    };
    let refused = if arguments.refused {
        reader.dead_letters(&filter).await?
    } else {
        Vec::new()
    };
    if arguments.json {
        out::json(&serde_json::json!({ "status": status, "around": around, "refused": refused }));
        return Ok(());
    }
    tell(&status, now);
    tell_receipts(&status, &around, now);
    tell_sweeps(&status, now);
    tell_around(&status, &around, now);
    if arguments.refused && !refused.is_empty() {
        out::say("");
        let rows: Vec<_> = refused
            .into_iter()
            .map(|letter| {
                let record = letter
                    .record_id
                    .unwrap_or_else(|| format!("[{}]", letter.record));
                [
                    letter.source,
                    letter.feed,
                    record,
                    letter.reason,
                    ago(now, letter.first_seen_at),
                ]
            })
            .collect();
        out::table(["source", "feed", "record", "reason", "since"], &rows);
    }
    Ok(())
}

async fn around(
    status: &Status,
    reader: &OutboxReader,
    loaded: &LoadedConfig,
) -> Result<Around, Failure> {
    let config = &loaded.config;
    let known = |name: &String| status.feeds.iter().any(|feed| feed.source == *name);
    let stands = |feed: &&FeedStatus| match &feed.sweep {
        Some(sweep) => sweep.held.is_some(),
        None => feed.new_total > feed.withdrawn_total,
    };
    let mut not_configured: Vec<String> = status
        .feeds
        .iter()
        .filter(stands)
        .map(|feed| feed.source.clone())
        .collect();
    not_configured.retain(|name| !config.source.contains_key(name));
    not_configured.dedup();
    let mut reconciliations = Vec::new();
    let names = std::iter::once(None).chain(config.source.keys().map(|name| Some(name.as_str())));
    for name in names {
        reconciliations.extend(reader.last_reconciliation(name).await?);
    }
    Ok(Around {
        paused: status.backlog.bytes >= config.outbox.max_mebibytes << 20,
        circuits: circuits(status, loaded),
        reconciliations,
        not_configured,
        never_pulled: config
            .source
            .keys()
            .filter(|name| !known(name))
            .cloned()
            .collect(),
        receipts: config.registry.receipts == ReceiptsMode::Required,
    })
}

/// What the failures in a row say of the circuit breakers of a running daemon.
fn circuits(status: &Status, loaded: &LoadedConfig) -> Vec<Endpoint> {
    let mut failures: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    failures.insert(
        QUEUE_NAME.to_owned(),
        (
            status.publisher.consecutive_failures,
            QUEUE.failures_to_open,
        ),
    );
    for name in loaded.config.source.keys() {
        let of_source = status.feeds.iter().filter(|feed| feed.source == *name);
        let own = of_source.filter(|feed| {
            feed.last_error
                .as_ref()
                .is_some_and(|code| code.starts_with("source-"))
        });
        let most = own
            .map(|feed| u64::from(feed.consecutive_failures))
            .max()
            .unwrap_or(0);
        failures.insert(source_name(name), (most, SOURCE.failures_to_open));
    }
    let endpoint = |(endpoint, (failures_in_a_row, to_open)): (String, (u64, u32))| {
        let state = if failures_in_a_row >= u64::from(to_open) {
            "open"
        } else {
            "closed"
        };
        Endpoint {
            endpoint,
            state,
            failures_in_a_row,
        }
    };
    failures.into_iter().map(endpoint).collect()
}

fn tell_receipts(status: &Status, around: &Around, now: DateTime<Utc>) {
    let publisher = &status.publisher;
    let backlog = &status.backlog;
    if !around.receipts {
        return out::say("receipts: off; batches are settled by the queue's confirm");
    }
    out::say(format!(
        "receipts: {} accepted, {} refused, the last {}; {}",
        out::counted(publisher.accepted_events, "event", "events"),
        publisher.refused_events,
        ago(now, publisher.last_receipt_at),
        out::counted(
            backlog.awaiting_receipt_batches,
            "batch awaits its own",
            "batches await theirs"
        )
    ));
    if backlog.unreadable_batches > 0 {
        let reason = publisher.unreadable.as_deref().unwrap_or("unknown");
        out::say(format!(
            "registry: {} not readable there ({reason}); sent again in time. {}",
            out::counted(backlog.unreadable_batches, "batch was", "batches were"),
            unreadable_help(reason)
        ));
    }
}

/// What to do about batches the registry could not read.
fn unreadable_help(reason: &str) -> &'static str {
    match reason {
        "sealed-to-another-key" => {
            "See that public_key of [registry] is the one that `city-registry keys public` \
             prints, then run \
             `clinic-gateway reconcile --repair`: it sends what is missing anew and lets these \
             batches go"
        }
        "store-refuses" => "The registry has to mend its store and retry its dead letters",
        "not-authentic" | "not-a-sealed-batch" => {
            "They were changed on the way: if they stay, look at the queue and run \
             `clinic-gateway reconcile --repair`"
        }
        _ => {
            "Is the registry older than the gateway? Once it is newer, run `clinic-gateway \
             reconcile --repair`"
        }
    }
}

fn tell_sweeps(status: &Status, now: DateTime<Utc>) {
    for FeedStatus {
        source,
        feed,
        sweep,
        ..
    } in &status.feeds
    {
        let Some(sweep) = sweep else { continue };
        let mut words = vec![format!("the last {}", ago(now, sweep.finished_at))];
        if let Some(pass) = sweep.pass {
            words.push(format!(
                "one runs: pass {pass}, {} seen",
                out::counted(sweep.seen, "key", "keys")
            ));
        }
        if sweep.withdrawn_total > 0 {
            words.push(format!("{} withdrawn in all", sweep.withdrawn_total));
        }
        if sweep.missed_total > 0 {
            words.push(format!(
                "{} found that no pull had seen",
                sweep.missed_total
            ));
        }
        if let Some(held) = sweep.held {
            let of = sweep.held_of.unwrap_or(held);
            words.push(format!(
                "HELD: {held} of {of} records are gone and not withdrawn; if they are gone on \
                 purpose: \
                 clinic-gateway confirm-withdrawals {source}"
            ));
        }
        out::say(format!("sweep: {source} {feed}: {}", words.join("; ")));
    }
}

fn tell_around(status: &Status, around: &Around, now: DateTime<Utc>) {
    if around.paused {
        out::say("paused: outbox full; pulling goes on when batches have left or been answered");
    }
    for Endpoint {
        endpoint,
        failures_in_a_row,
        ..
    } in around.circuits.iter().filter(|one| one.state == "open")
    {
        out::say(format!(
            "circuit: {endpoint} is open after {failures_in_a_row} failures in a row"
        ));
    }
    for surprise in &status.surprises {
        out::say(format!(
            "surprise: {} {}: {} × {}, the last {}: {}",
            surprise.source,
            surprise.feed,
            surprise.count,
            surprise.code,
            ago(now, surprise.last_seen_at),
            surprise::text(&surprise.code)
        ));
    }
    for report in &around.reconciliations {
        let what = report.source.as_deref().unwrap_or("all sources");
        let when = match report.finished_at {
            Some(_) => ago(now, report.finished_at),
            None => format!("running, {} of {} answered", report.answered, report.probes),
        };
        out::say(format!(
            "reconciled: {what}: {when}: {} equal, {} missing, {} stale, {} extra, {} conflicting",
            report.equal, report.missing, report.stale, report.extra, report.conflicting
        ));
    }
    for name in &around.not_configured {
        out::say(format!(
            "source {name} is not configured any more, and its records still stand; to withdraw \
             them: \
             clinic-gateway confirm-withdrawals {name}"
        ));
    }
    for name in &around.never_pulled {
        out::say(format!("source {name} has not been pulled yet"));
    }
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
    out::table(
        [
            "source",
            "feed",
            "state",
            "in sync",
            "sent",
            "corrected",
            "withdrawn",
            "refused",
        ],
        &rows,
    );
    out::say("");
    let oldest = status.backlog.oldest_at.map_or_else(
        || "none waits".to_owned(),
        |oldest| format!("the oldest since {}", ago(now, Some(oldest))),
    );
    out::say(format!(
        "outbox: {} ({}; {oldest}); {} bytes kept; generation {}",
        out::counted(status.backlog.batches, "batch waits", "batches wait"),
        out::counted(status.backlog.events, "event", "events"),
        status.backlog.bytes,
        status.generation
    ));
    let failing = status
        .publisher
        .last_error
        .as_ref()
        .map_or_else(String::new, |code| {
            format!(
                "; failing: {code} ({} in a row)",
                status.publisher.consecutive_failures
            )
        });
    out::say(format!(
        "queue: {} delivered, the last {}{failing}",
        out::counted(status.publisher.delivered_batches, "batch", "batches"),
        ago(now, status.publisher.last_delivered_at)
    ));
    for letters in &status.dead_letters {
        let source = &letters.source;
        let feed = &letters.feed;
        out::say(format!(
            "refused: {source} {feed}: {} × {}",
            letters.count, letters.reason
        ));
    }
}

fn refused(status: &Status, source: &str, feed: &str) -> u64 {
    let of_feed =
        |letters: &&outbox::DeadLetterCount| letters.source == source && letters.feed == feed;
    status
        .dead_letters
        .iter()
        .filter(of_feed)
        .map(|letters| letters.count)
        .sum()
}

pub(super) fn ago(now: DateTime<Utc>, then: Option<DateTime<Utc>>) -> String {
    then.map_or_else(
        || "never".to_owned(),
        |then| format!("{} ago", out::age((now - then).num_seconds())),
    )
}

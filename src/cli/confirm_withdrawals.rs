//! `clinic-gateway confirm-withdrawals`: permits withdrawals that a sweep holds back, or that wait
//! since too many rows cannot be sent any more.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use outbox::{
    FeedStatus, HeldCorrections, OutboxError, OutboxReader, Request, ShownMissing, Status,
};
use program::Failure;
use program::terminal::{counted, print_json, print_line};

use super::arguments::{WaitArguments, unknown_name};
use super::outbox_file;
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::gateway::StartError;
use crate::requests::Answer;

#[derive(Debug, Args)]
pub(super) struct ConfirmArguments {
    /// The source whose withdrawals are permitted; also one that is no longer in the configuration.
    source: String,
    /// Withdraw without asking: what is held back as the command begins, and nothing that comes
    /// to be held later.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn confirm(
    arguments: &ConfirmArguments,
    runner: &RequestRunner,
) -> Result<(), Failure> {
    let source = &arguments.source;
    let configured = runner.loaded.config.source.contains_key(source);
    let status = read_status(runner, source).await?;
    if !configured && !status.feeds.iter().any(|feed| feed.source == *source) {
        return Err(unknown_source(runner, Some(&status), source));
    }
    let held = held_withdrawals(&status, source, configured);
    if held.is_empty() {
        if arguments.json {
            print_json(&serde_json::json!({
                "source": source, "permitted": 0, "withdrawn": 0, "held": 0,
            }));
        } else {
            print_line(format!("nothing of {source} is held back"));
        }
        return Ok(());
    }
    if !arguments.yes {
        print_held(&held, source);
        ask_operator()?;
    }
    withdraw(arguments, runner, Shown::new(&status, source, configured)).await
}

/// Reads the state. Without one, the name of a source that is not configured is a mistake.
async fn read_status(runner: &RequestRunner, source: &str) -> Result<Status, Failure> {
    let configured = runner.loaded.config.source.contains_key(source);
    let reader = match OutboxReader::open(&outbox_file::path(&runner.loaded)).await {
        Err(OutboxError::Missing) if !configured => {
            return Err(unknown_source(runner, None, source));
        }
        Err(error @ OutboxError::Missing) => return Err(Failure::later(error)),
        reader => reader.map_err(StartError::from)?,
    };
    let status = reader.status().await;
    reader.close().await;
    Ok(status.map_err(StartError::from)?)
}

/// Makes the failure for a source that neither the configuration nor the state knows.
fn unknown_source(runner: &RequestRunner, status: Option<&Status>, source: &str) -> Failure {
    let configured = runner.loaded.config.source.keys().map(String::as_str);
    let mut known: BTreeSet<&str> = configured.collect();
    let feeds = status.map_or(&[][..], |status| &status.feeds);
    known.extend(feeds.iter().map(|feed| feed.source.as_str()));
    unknown_name("source", source, known)
}

/// What the operator permits: that which [`held_withdrawals`] lists, shown or taken as agreed to by
/// `--yes`, and nothing that comes to be held later.
struct Shown {
    corrections: HeldCorrections,
    missing: ShownMissing,
}

impl Shown {
    fn new(status: &Status, source: &str, configured: bool) -> Self {
        let of_source = status.feeds.iter().filter(|feed| feed.source == source);
        let missing = of_source.filter_map(|feed| held_by_sweep(feed, configured));
        Self {
            corrections: if configured {
                status.held_corrections(source)
            } else {
                HeldCorrections::default()
            },
            missing: missing.map(|held| (held.feed, held.missing)).collect(),
        }
    }
}

async fn withdraw(
    arguments: &ConfirmArguments,
    runner: &RequestRunner,
    shown: Shown,
) -> Result<(), Failure> {
    let request = Request::ConfirmWithdrawals {
        source: arguments.source.clone(),
        shown: Some(shown.corrections),
        shown_missing: Some(shown.missing),
    };
    let answer = runner
        .run("confirm-withdrawals", request, arguments.wait)
        .await?;
    let Answer::Confirmed {
        source,
        permitted,
        withdrawn,
        held,
    } = answer
    else {
        return Err(unexpected_answer());
    };
    if arguments.json {
        print_json(&serde_json::json!({
            "source": source, "permitted": permitted, "withdrawn": withdrawn, "held": held,
        }));
    } else {
        let records = counted(withdrawn, "record", "records");
        print_line(format!("{source}: {records} withdrawn"));
    }
    if held > 0 {
        return Err(Failure::Later(format!(
            "{held} records are held back all the same: more than were permitted; look again with \
             clinic-gateway confirm-withdrawals {source}"
        )));
    }
    Ok(())
}

/// Withdrawals of one feed that are held back.
struct HeldFeed {
    feed: String,
    /// Reason of the withdrawals, in words behind the number of records.
    reason: &'static str,
    /// Number of records that would be withdrawn.
    missing: u64,
    /// Number of records that the registry holds.
    of: u64,
}

fn held_withdrawals(status: &Status, source: &str, configured: bool) -> Vec<HeldFeed> {
    let of_source = status.feeds.iter().filter(|feed| feed.source == source);
    of_source
        .flat_map(|feed| {
            let by_sweep = held_by_sweep(feed, configured);
            let corrections = held_corrections(feed).filter(move |_| configured);
            by_sweep.into_iter().chain(corrections)
        })
        .collect()
}

/// Withdrawals that a sweep holds back, or of all records of a source that is not configured.
fn held_by_sweep(feed: &FeedStatus, configured: bool) -> Option<HeldFeed> {
    let reason = if configured {
        "are gone at the source"
    } else {
        "belong to a source that is not configured"
    };
    let held = |missing, of| HeldFeed {
        feed: feed.feed.clone(),
        reason,
        missing,
        of,
    };
    let sweep = feed.sweep.as_ref();
    if let Some((missing, of)) = sweep.and_then(|sweep| sweep.held.zip(sweep.held_of)) {
        return Some(held(missing, of));
    }
    // No gateway has run since the source left the configuration: the totals tell.
    let records = feed.new_total.saturating_sub(feed.withdrawn_total);
    (!configured && records > 0).then(|| held(records, records))
}

/// Withdrawals of older versions whose rows cannot be sent any more.
fn held_corrections(feed: &FeedStatus) -> impl Iterator<Item = HeldFeed> {
    let corrections = feed.refused_corrections;
    let of = corrections.held_of.unwrap_or(corrections.held);
    let certain = "cannot be sent any more as they are (see dead-letters list)";
    let possible = "cannot be sent, may have been by a state that was lost,";
    let held = [
        (certain, corrections.held, of),
        (possible, corrections.possible, corrections.possible),
    ];
    let held = held.into_iter().filter(|(_, missing, _)| *missing > 0);
    held.map(|(reason, missing, of)| HeldFeed {
        feed: feed.feed.clone(),
        reason,
        missing,
        of,
    })
}

fn print_held(held: &[HeldFeed], source: &str) {
    for HeldFeed {
        feed,
        reason,
        missing,
        of,
    } in held
    {
        print_line(format!(
            "{source} {feed}: {missing} of {of} records {reason} and would be withdrawn"
        ));
    }
}

/// Asks the operator to type `yes` on the terminal.
fn ask_operator() -> Result<(), Failure> {
    let refused = |reason: &str| Err(Failure::Usage(format!("nothing was withdrawn: {reason}")));
    if !std::io::stdin().is_terminal() {
        return refused("add --yes to withdraw these records");
    }
    let mut err = std::io::stderr();
    // A prompt that cannot be shown is followed by an answer nobody types.
    let _unseen = write!(err, "Withdraw them? Type yes: ").and_then(|()| err.flush());
    let mut answer = String::new();
    if std::io::stdin().lock().read_line(&mut answer).is_ok() && answer.trim() == "yes" {
        return Ok(());
    }
    refused("the answer was not yes")
}

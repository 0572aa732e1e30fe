//! `clinic-gateway confirm-withdrawals`: permits withdrawals that a sweep holds back, or that wait
//! since too many rows cannot be sent any more.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use outbox::{FeedStatus, HeldCorrections, OutboxError, OutboxReader, Request, Status};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line};

use super::arguments::{WaitArguments, unknown_name};
use super::outbox_file;
use super::removed::{self, RemovedFeed};
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::gateway::StartError;
use crate::requests::Answer;

#[derive(Debug, Args)]
pub(super) struct ConfirmArguments {
    /// The source whose withdrawals are permitted; also one that is no longer in the configuration, or
    /// of which a feed is not.
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
    counts: &mut Counts,
) -> Result<(), Failure> {
    let source = &arguments.source;
    let reader = open_reader(runner, source).await?;
    let shown = read_shown(runner, &reader, source).await;
    reader.close().await;
    let shown = shown?;
    if shown.feeds().next().is_none() {
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
        print_held(&shown, source);
        ask_operator()?;
    }
    withdraw(arguments, runner, shown, counts).await
}

/// Opens the state. Without one, the name of a source that is not configured is a mistake.
async fn open_reader(runner: &RequestRunner, source: &str) -> Result<OutboxReader, Failure> {
    let configured = runner.loaded.config.source.contains_key(source);
    match OutboxReader::open(&outbox_file::path(&runner.loaded)).await {
        Err(error) if error.is_missing() && !configured => {
            Err(unknown_source(runner, None, source))
        }
        Err(error @ OutboxError::Missing) => Err(Failure::later(error)),
        reader => Ok(reader.map_err(StartError::from)?),
    }
}

/// Reads what is held of a source that the configuration or the state knows.
async fn read_shown(
    runner: &RequestRunner,
    reader: &OutboxReader,
    source: &str,
) -> Result<Shown, Failure> {
    let status = reader.status().await.map_err(StartError::from)?;
    let config = &runner.loaded.config;
    let removed = removed::read(&status, reader, config).await;
    let mut removed = removed.map_err(StartError::from)?;
    removed.retain(|feed| feed.source == source && feed.records > 0);
    if config.source.contains_key(source) {
        return Ok(Shown::of_configured(&status, source, removed));
    }
    if !status.feeds.iter().any(|feed| feed.source == source) {
        return Err(unknown_source(runner, Some(&status), source));
    }
    Ok(Shown::of_removed(removed))
}

/// Makes the failure for a source that neither the configuration nor the state knows.
fn unknown_source(runner: &RequestRunner, status: Option<&Status>, source: &str) -> Failure {
    let configured = runner.loaded.config.source.keys().map(String::as_str);
    let mut known: BTreeSet<&str> = configured.collect();
    let feeds = status.map_or(&[][..], |status| &status.feeds);
    known.extend(feeds.iter().map(|feed| feed.source.as_str()));
    unknown_name("source", source, known)
}

/// Withdrawals that the operator is asked to permit, or permits by `--yes`: of what is held when
/// the command begins, and nothing that comes to be held later.
struct Shown {
    /// Feeds with gone records, or with records of a source that is not configured.
    missing: Vec<HeldFeed>,
    /// Feeds with rows that cannot be sent any more.
    refused: Vec<HeldFeed>,
    corrections: HeldCorrections,
}

impl Shown {
    /// Withdrawals of a source that is configured, of some of its feeds that are `removed` too.
    fn of_configured(status: &Status, source: &str, removed: Vec<RemovedFeed>) -> Self {
        let of_source = || status.feeds.iter().filter(|feed| feed.source == source);
        let is_removed = |name: &str| removed.iter().any(|feed| feed.feed == name);
        let configured = of_source().filter(|feed| !is_removed(&feed.feed));
        let held = configured.filter_map(held_by_sweep).collect::<Vec<_>>();
        Self {
            missing: held.into_iter().chain(of_removed_feeds(removed)).collect(),
            refused: of_source().flat_map(held_corrections).collect(),
            corrections: status.held_corrections(source),
        }
    }

    fn of_removed(removed: Vec<RemovedFeed>) -> Self {
        Self {
            missing: of_removed_feeds(removed).collect(),
            refused: Vec::new(),
            corrections: HeldCorrections::default(),
        }
    }

    fn feeds(&self) -> impl Iterator<Item = &HeldFeed> {
        self.missing.iter().chain(&self.refused)
    }
}

async fn withdraw(
    arguments: &ConfirmArguments,
    runner: &RequestRunner,
    shown: Shown,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let missing = shown.missing.into_iter();
    let shown_missing = missing.map(|held| (held.feed, held.missing));
    let request = Request::ConfirmWithdrawals {
        source: arguments.source.clone(),
        shown: Some(shown.corrections),
        shown_missing: Some(shown_missing.collect()),
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
    counts.note("permitted", permitted);
    counts.note("withdrawn", withdrawn);
    if arguments.json {
        print_json(&serde_json::json!({
            "source": source, "permitted": permitted, "withdrawn": withdrawn, "held": held,
        }));
    } else {
        let records = counted(withdrawn, "record", "records");
        print_line(format!(
            "{source}: {records} withdrawn; this counts at the registry once it has the batches, see \
             clinic-gateway status"
        ));
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

/// Withdrawals that a sweep holds back.
fn held_by_sweep(feed: &FeedStatus) -> Option<HeldFeed> {
    let sweep = feed.sweep.as_ref()?;
    Some(HeldFeed {
        feed: feed.feed.clone(),
        reason: "are gone at the source",
        missing: sweep.held?,
        of: sweep.held_of?,
    })
}

/// Withdrawals of all records of feeds that are not configured any more, by themselves or with
/// their source.
fn of_removed_feeds(removed: Vec<RemovedFeed>) -> impl Iterator<Item = HeldFeed> {
    removed.into_iter().map(|feed| HeldFeed {
        reason: if feed.with_its_source {
            "belong to a source that is not configured"
        } else {
            "belong to a feed that is not configured"
        },
        feed: feed.feed,
        missing: feed.records,
        of: feed.records,
    })
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

fn print_held(shown: &Shown, source: &str) {
    for HeldFeed {
        feed,
        reason,
        missing,
        of,
    } in shown.feeds()
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

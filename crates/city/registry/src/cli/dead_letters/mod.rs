//! `city-registry dead-letters`: batches that could not be read or stored, looked at, tried again
//! or thrown away.

mod inspect;
mod select;

use broker::DeadLetters;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use telemetry::terminal as out;

use self::inspect::Inspected;
use self::select::{Selection, Summary};
use super::{Failure, Loaded};
use crate::registry::OpenRegistryError;
use crate::{Keys, Reader};

/// Letters taken at a time; the transport bounds their bytes.
const PAGE: usize = 64;

#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Say which there are: batch id, reason, size.
    List(ListArguments),
    /// Say what one is, and whether it could be opened and stored now. Shows no pseudonym and no
    /// record.
    Show(ShowArguments),
    /// Put them back into the queue.
    Retry(RetryArguments),
    /// Throw them away for good. Their senders send what they hold no receipt for again.
    Discard(DiscardArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    selection: Selection,
    /// Most lines.
    #[arg(long, default_value = "1000")]
    limit: usize,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The batch's id, or its first characters (4 or more).
    #[arg(value_name = "ID", value_parser = select::id)]
    id: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "reason", "all"]))]
pub(super) struct RetryArguments {
    #[command(flatten)]
    selection: Selection,
    /// All of them.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "reason", "all"]))]
pub(super) struct DiscardArguments {
    #[command(flatten)]
    selection: Selection,
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Yes, throw away whatever matches. Not needed where ids are given.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn dead_letters(
    command: &DeadLettersCommand,
    loaded: &Loaded,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments, loaded).await,
        DeadLettersCommand::Show(arguments) => show(arguments, loaded, now).await,
        DeadLettersCommand::Retry(arguments) => {
            settle(&arguments.selection, Verb::Retry, loaded).await
        }
        DeadLettersCommand::Discard(arguments) => {
            if arguments.selection.ids.is_empty() && !arguments.yes {
                let what =
                    "this throws away every dead letter that matches: give their ids, or add --yes";
                return Err(Failure::Usage(what.into()));
            }
            settle(&arguments.selection, Verb::Discard, loaded).await
        }
    }
}

/// The dead letters, and how many there are now: one that is retried may come back while we look.
async fn open(loaded: &Loaded) -> Result<(Box<dyn DeadLetters>, u64), Failure> {
    let Loaded { config, base } = loaded;
    let opened = async {
        let depth = broker::depth(&config.queue, base).await?;
        Ok((broker::dead_letters(&config.queue, base).await?, depth.dead))
    };
    opened.await.map_err(failure)
}

fn failure(error: broker::BrokerError) -> Failure {
    OpenRegistryError::Queue(error).into()
}

async fn list(arguments: &ListArguments, loaded: &Loaded) -> Result<(), Failure> {
    let (mut letters, mut left) = open(loaded).await?;
    let mut found = Vec::new();
    let mut more = 0;
    while left > 0 {
        let page = letters.take(PAGE).await.map_err(failure)?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        for summary in page
            .iter()
            .map(Summary::of)
            .filter(|summary| arguments.selection.wants(summary))
        {
            if found.len() < arguments.limit {
                found.push(summary)
            } else {
                more += 1
            }
        }
    }
    letters.close().await;
    if arguments.json {
        let list: Vec<_> = found.iter().map(Summary::json).collect();
        out::say(format!(
            "{:#}",
            json!({ "dead_letters": list, "more": more })
        ));
        return Ok(());
    }
    if found.is_empty() {
        out::say("no dead letters");
        return Ok(());
    }
    let rows: Vec<[String; 3]> = found.iter().map(Summary::row).collect();
    out::table(["batch", "reason", "bytes"], &rows);
    if more > 0 {
        out::say(format!("and {more} more: raise --limit"));
    }
    Ok(())
}

async fn show(
    arguments: &ShowArguments,
    loaded: &Loaded,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let Loaded { config, base } = loaded;
    let keys = Keys::read(&config.keys, base)?;
    let (mut letters, mut left) = open(loaded).await?;
    let mut found: Vec<Inspected> = Vec::new();
    while left > 0 {
        let page = letters.take(PAGE).await.map_err(failure)?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let wanted = page
            .iter()
            .filter(|letter| Summary::of(letter).id.starts_with(&arguments.id));
        for letter in wanted {
            if let Some(same) = found.iter_mut().find(|other| other.is_same(letter)) {
                same.copies += 1;
            } else {
                found.push(Inspected::of(letter, &keys, now));
            }
        }
    }
    letters.close().await;
    if found.is_empty() {
        return Err(Failure::Later(
            "no dead letter has an id that begins so".into(),
        ));
    }
    let reader = Reader::open(&config.store, keys, base).await;
    for inspected in &mut found {
        inspected.compare(reader.as_ref().ok()).await;
    }
    if let Ok(reader) = reader {
        reader.close().await;
    }
    if arguments.json {
        let list: Vec<_> = found.iter().map(Inspected::json).collect();
        out::say(format!("{:#}", json!(list)));
    } else {
        found.iter().for_each(Inspected::say);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Retry,
    Discard,
}

/// Retries or discards what is selected.
async fn settle(selection: &Selection, verb: Verb, loaded: &Loaded) -> Result<(), Failure> {
    let (mut letters, mut left) = open(loaded).await?;
    let mut done = 0_u64;
    let mut failed = None;
    'pages: while left > 0 {
        let page = letters.take(PAGE).await.map_err(failure)?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        for letter in page {
            if !selection.wants(&Summary::of(&letter)) {
                continue;
            }
            let settled = match verb {
                Verb::Retry => letters.retry(letter).await,
                Verb::Discard => letters.discard(letter).await,
            };
            if let Err(error) = settled {
                failed = Some(error);
                break 'pages;
            }
            done += 1;
        }
    }
    letters.close().await;
    let did = match verb {
        Verb::Retry => "put back into the queue",
        Verb::Discard => "thrown away",
    };
    out::say(format!("{done} {did}"));
    match failed {
        Some(error) => Err(failure(error)),
        None if done == 0 => Err(Failure::Later("no dead letter matches".into())),
        None => Ok(()),
    }
}

//! `city-registry dead-letters`: shows, retries and discards batches that could not be read or
//! stored.

mod inspect;
mod pages;
mod select;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line, print_table};
use serde_json::json;

use self::inspect::Inspected;
use self::pages::DeadLetterPages;
use self::select::{Selection, Summary};
use super::config_file::LoadedConfig;
use crate::{Keys, Reader};

/// Limit of the dead letters that `show` opens at once.
const MAX_SHOWN: usize = 100;

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

/// Makes the rule that dead letters must be selected, if only by `--all`.
fn selection_group() -> ArgGroup {
    ArgGroup::new("which")
        .required(true)
        .multiple(true)
        .args(["ids", "reason", "all"])
}

#[derive(Debug, Args)]
#[command(group = selection_group())]
pub(super) struct RetryArguments {
    #[command(flatten)]
    selection: Selection,
    /// All of them.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
#[command(group = selection_group())]
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

impl DeadLettersCommand {
    /// Words of the command in the audit log: of those that change something, and of `show`, which
    /// opens what a clinic has sealed. `list` reads ids and reasons alone.
    pub(super) const fn audited(&self) -> Option<&'static str> {
        match self {
            Self::List(_) => None,
            Self::Show(_) => Some("dead-letters show"),
            Self::Retry(_) => Some("dead-letters retry"),
            Self::Discard(_) => Some("dead-letters discard"),
        }
    }
}

pub(super) async fn dead_letters(
    command: &DeadLettersCommand,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(arguments) => list(arguments, loaded).await,
        DeadLettersCommand::Show(arguments) => show(arguments, loaded, now, counts).await,
        DeadLettersCommand::Retry(arguments) => {
            settle(&arguments.selection, SettleAction::Retry, loaded, counts).await
        }
        DeadLettersCommand::Discard(arguments) => {
            if arguments.selection.ids.is_empty() && !arguments.yes {
                let what =
                    "this throws away every dead letter that matches: give their ids, or add --yes";
                return Err(Failure::Usage(what.into()));
            }
            settle(&arguments.selection, SettleAction::Discard, loaded, counts).await
        }
    }
}

async fn list(arguments: &ListArguments, loaded: &LoadedConfig) -> Result<(), Failure> {
    let mut pages = DeadLetterPages::open(loaded).await?;
    let mut found = Vec::new();
    let mut more = 0;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for summary in page
            .iter()
            .map(Summary::of)
            .filter(|summary| arguments.selection.matches(summary))
        {
            if found.len() < arguments.limit {
                found.push(summary);
            } else {
                more += 1;
            }
        }
    }
    pages.close().await;
    if found.is_empty() && more == 0 {
        arguments.selection.require_known_reason()?;
    }
    if arguments.json {
        let list: Vec<_> = found.iter().map(Summary::json).collect();
        print_json(&json!({ "dead_letters": list, "more": more }));
        return Ok(());
    }
    if found.is_empty() {
        print_line("no dead letters");
        return Ok(());
    }
    let rows: Vec<[String; 3]> = found.iter().map(Summary::row).collect();
    print_table(["batch", "reason", "bytes"], &rows);
    if more > 0 {
        print_line(format!("and {more} more: raise --limit"));
    }
    Ok(())
}

async fn show(
    arguments: &ShowArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let mut found = find(&arguments.id, loaded, &keys, now).await?;
    counts.note_len("opened", found.len());
    if found.is_empty() {
        return Err(Failure::Later(
            "no dead letter has an id that begins so".into(),
        ));
    }
    let reader = Reader::open(&loaded.config.store, keys, &loaded.base).await;
    for inspected in &mut found {
        inspected.compare(reader.as_ref().ok()).await;
    }
    if let Ok(reader) = reader {
        reader.close().await;
    }
    if arguments.json {
        let list: Vec<_> = found.iter().map(Inspected::json).collect();
        print_json(&list.into());
    } else {
        found.iter().for_each(Inspected::print);
    }
    Ok(())
}

/// Opens the dead letters whose id begins with `id`; equal ones are counted as copies of one.
async fn find(
    id: &str,
    loaded: &LoadedConfig,
    keys: &Keys,
    now: DateTime<Utc>,
) -> Result<Vec<Inspected>, Failure> {
    let mut pages = DeadLetterPages::open(loaded).await?;
    let mut found: Vec<Inspected> = Vec::new();
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        let matching = page
            .iter()
            .filter(|letter| Summary::of(letter).id.starts_with(id));
        for letter in matching {
            if let Some(same) = found.iter_mut().find(|other| other.is_same(letter)) {
                same.copies += 1;
            } else if found.len() == MAX_SHOWN {
                return Err(Failure::Usage(format!(
                    "more than {MAX_SHOWN} dead letters have an id that begins so: give more of it"
                )));
            } else {
                found.push(Inspected::of(letter, keys, now));
            }
        }
    }
    pages.close().await;
    Ok(found)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SettleAction {
    Retry,
    Discard,
}

/// Retries or discards the selected dead letters, up to the first one that fails.
async fn settle(
    selection: &Selection,
    action: SettleAction,
    loaded: &LoadedConfig,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut pages = DeadLetterPages::open(loaded).await?;
    let mut done = 0_u64;
    let mut failed = None;
    let mut unmet: Vec<&str> = selection.ids.iter().map(String::as_str).collect();
    'pages: loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for letter in page {
            let summary = Summary::of(&letter);
            unmet.retain(|id| !summary.id.starts_with(id));
            if !selection.matches(&summary) {
                continue;
            }
            let settled = match action {
                SettleAction::Retry => pages.retry(letter).await,
                SettleAction::Discard => pages.discard(letter).await,
            };
            if let Err(failure) = settled {
                failed = Some(failure);
                break 'pages;
            }
            done += 1;
            // At once: a later page may fail.
            counts.note("batches", done);
        }
    }
    pages.close().await;
    if done == 0 && failed.is_none() {
        selection.require_known_reason()?;
    }
    let done_text = match action {
        SettleAction::Retry => "put back into the queue",
        SettleAction::Discard => "thrown away",
    };
    print_line(format!("{done} {done_text}"));
    match failed {
        Some(failure) => Err(failure),
        None if !unmet.is_empty() => Err(Failure::Later(format!(
            "no dead letter has an id that begins with {}",
            unmet.join(" or ")
        ))),
        None if done == 0 => Err(Failure::Later("no dead letter matches".into())),
        None => Ok(()),
    }
}

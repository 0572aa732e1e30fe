//! `clinic-gateway sweep` and `confirm-withdrawals`: all keys are read now; what a sweep holds back
//! is permitted.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use outbox::{OutboxReader, Request, Status};

use super::ask::{Desk, WaitArguments};
use super::{Failure, out};
use crate::requests::Answer;
use crate::sweep::FeedSweep;

#[derive(Debug, Args)]
pub(super) struct SweepArguments {
    /// The source to sweep; all when none is named.
    source: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

#[derive(Debug, Args)]
pub(super) struct ConfirmArguments {
    /// The source whose withdrawals are permitted; also one that is no longer in the configuration.
    source: String,
    /// Withdraw without asking.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn sweep(arguments: &SweepArguments, desk: &Desk<'_>) -> Result<(), Failure> {
    let names: Vec<String> = match &arguments.source {
        Some(name) => {
            super::preview::known_source(desk.loaded, name)?;
            vec![name.clone()]
        }
        None => desk.loaded.config.source.keys().cloned().collect(),
    };
    let mut swept = Vec::new();
    let mut failure = None;
    for source in names {
        match desk
            .ask("sweep", Request::Sweep { source }, arguments.wait)
            .await
        {
            Ok(Answer::Swept { source, feeds }) => swept.push((source, feeds)),
            Ok(_) => failure = Some(super::unexpected()),
            Err(error) => failure = Some(error),
        }
    }
    if arguments.json {
        let swept: Vec<_> = swept
            .iter()
            .map(|(source, feeds)| serde_json::json!({ "source": source, "feeds": feeds }))
            .collect();
        out::json(&swept.into());
    } else {
        tell(&swept);
    }
    let held = swept
        .iter()
        .find(|(_, feeds)| feeds.iter().any(|feed| feed.held.is_some()));
    match (failure, held) {
        (Some(failure), _) => Err(failure),
        (None, Some((source, _))) => Err(Failure::Later(format!(
            "more records are gone at the source than may be withdrawn unasked, so none was. If \
             they are gone on \
             purpose: clinic-gateway confirm-withdrawals {source}"
        ))),
        (None, None) => Ok(()),
    }
}

fn tell(swept: &[(String, Vec<FeedSweep>)]) {
    let rows: Vec<_> = swept
        .iter()
        .flat_map(|(source, feeds)| feeds.iter().map(move |feed| (source, feed)))
        .map(|(source, feed)| {
            let held = feed.held.map_or_else(String::new, |held| held.to_string());
            [
                source.clone(),
                feed.feed.clone(),
                feed.keys.to_string(),
                feed.reread.to_string(),
                feed.missed.to_string(),
                feed.withdrawn.to_string(),
                held,
            ]
        })
        .collect();
    out::table(
        [
            "source",
            "feed",
            "keys",
            "read again",
            "missed",
            "withdrawn",
            "held",
        ],
        &rows,
    );
}

pub(super) async fn confirm(arguments: &ConfirmArguments, desk: &Desk<'_>) -> Result<(), Failure> {
    let source = &arguments.source;
    let reader =
        OutboxReader::open(&desk.loaded.base.join(&desk.loaded.config.outbox.path)).await?;
    let status = reader.status().await?;
    reader.close().await;
    let configured = desk.loaded.config.source.contains_key(source);
    let held = held(&status, source, configured);
    if held.is_empty() {
        if !configured && !status.feeds.iter().any(|feed| feed.source == *source) {
            super::preview::known_source(desk.loaded, source)?;
        }
        out::say(format!("nothing of {source} is held back"));
        return Ok(());
    }
    if !arguments.yes {
        for Held { feed, missing, of } in &held {
            let gone = if configured {
                "are gone at the source"
            } else {
                "belong to a source that is not configured"
            };
            out::say(format!(
                "{source} {feed}: {missing} of {of} records {gone} and would be withdrawn"
            ));
        }
        agreed()?;
    }
    let request = Request::ConfirmWithdrawals {
        source: source.clone(),
    };
    match desk
        .ask("confirm-withdrawals", request, arguments.wait)
        .await?
    {
        Answer::Confirmed {
            source,
            permitted,
            withdrawn,
            held,
        } => {
            if arguments.json {
                out::json(&serde_json::json!({
                    "source": source, "permitted": permitted, "withdrawn": withdrawn, "held": held,
                }));
            } else {
                out::say(format!(
                    "{source}: {} withdrawn",
                    out::counted(withdrawn, "record", "records")
                ));
            }
            if held > 0 {
                return Err(Failure::Later(format!(
                    "{held} records are held back all the same: more are gone than were \
                     permitted; look again with \
                     clinic-gateway confirm-withdrawals {source}"
                )));
            }
            Ok(())
        }
        _ => Err(super::unexpected()),
    }
}

/// What is held back of one feed.
struct Held {
    feed: String,
    missing: u64,
    of: u64,
}

fn held(status: &Status, source: &str, configured: bool) -> Vec<Held> {
    let of_source = status.feeds.iter().filter(|feed| feed.source == source);
    let held = of_source.filter_map(|feed| {
        let name = feed.feed.clone();
        if let Some((missing, of)) = feed
            .sweep
            .as_ref()
            .and_then(|sweep| sweep.held.zip(sweep.held_of))
        {
            return Some(Held {
                feed: name,
                missing,
                of,
            });
        }
        // No gateway has run since the source left the configuration: what the totals say.
        let records = feed.new_total.saturating_sub(feed.withdrawn_total);
        (!configured && records > 0).then_some(Held {
            feed: name,
            missing: records,
            of: records,
        })
    });
    held.collect()
}

/// The operator's word: typed on a terminal, or said before by `--yes`.
fn agreed() -> Result<(), Failure> {
    let refused = |why: &str| Err(Failure::Argument(format!("nothing was withdrawn: {why}")));
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

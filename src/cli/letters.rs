//! `clinic-gateway dead-letters`: what was refused, by the clinic's own rules or by the registry,
//! and what to do with it.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use connector_kit::Feed;
use outbox::{DeadLetter, DeadLetterFilter, Origin, OutboxError, OutboxReader, Request};
use pseudonym::RejectionReason;

use super::ask::{Desk, WaitArguments};
use super::preview::FeedName;
use super::{Failure, out};
use crate::requests::{Answer, Retried, RetryOutcome};

#[derive(Debug, Subcommand)]
pub(super) enum LettersCommand {
    /// List the open ones: the clinic's own record id (it stays here), the reason, since when.
    List {
        #[command(flatten)]
        filter: FilterArguments,
        /// List the discarded ones instead.
        #[arg(long)]
        discarded: bool,
        /// Most letters listed.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show single ones whole, with what to do about them.
    Show {
        /// Their numbers.
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read their records from the source again, and send what is well.
    Retry {
        #[command(flatten)]
        filter: FilterArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        wait: WaitArguments,
    },
    /// Put them aside until their record changes.
    Discard {
        #[command(flatten)]
        filter: FilterArguments,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        wait: WaitArguments,
    },
}

/// Which dead letters are meant; without any, all.
#[derive(Debug, Args)]
pub(super) struct FilterArguments {
    /// Their numbers.
    ids: Vec<i64>,
    /// Only of this source.
    #[arg(long)]
    source: Option<String>,
    /// Only of this feed.
    #[arg(long)]
    feed: Option<FeedName>,
    /// Only with this reason.
    #[arg(long)]
    reason: Option<String>,
    /// Only those refused here, or by the registry.
    #[arg(long)]
    origin: Option<OriginName>,
    /// Only those refused for longer than this: 90min, 12h, 3d, 2w.
    #[arg(long, value_parser = age)]
    older_than: Option<TimeDelta>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OriginName {
    Clinic,
    Registry,
}

impl FilterArguments {
    fn filter(&self, now: DateTime<Utc>) -> DeadLetterFilter {
        DeadLetterFilter {
            source: self.source.clone(),
            feed: self.feed.map(|feed| Feed::from(feed).as_str().to_owned()),
            reason: self.reason.clone(),
            origin: self.origin.map(|origin| match origin {
                OriginName::Clinic => Origin::Clinic,
                OriginName::Registry => Origin::Registry,
            }),
            older_than: self.older_than.map(|age| now - age),
            ids: self.ids.clone(),
            ..DeadLetterFilter::default()
        }
    }

    /// Retrying or discarding everything must be meant: some filter has to say so.
    fn names_something(&self) -> Result<(), Failure> {
        let FilterArguments {
            ids,
            source,
            feed,
            reason,
            origin,
            older_than,
        } = self;
        let named = !ids.is_empty()
            || source.is_some()
            || feed.is_some()
            || reason.is_some()
            || origin.is_some()
            || older_than.is_some();
        if named {
            return Ok(());
        }
        Err(Failure::Argument(
            "say which: numbers as `dead-letters list` shows them, or --source, --feed, --reason, \
             --origin, --older-than"
                .to_owned(),
        ))
    }
}

/// Longest age in any unit, so that no sum overflows.
const MAX_AGE: i64 = 100_000;

fn age(text: &str) -> Result<TimeDelta, String> {
    let help = || "a number and a unit: 90min, 12h, 3d, 2w".to_owned();
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: i64 = number
        .parse()
        .ok()
        .filter(|number| *number <= MAX_AGE)
        .ok_or_else(help)?;
    match unit {
        "s" => Ok(TimeDelta::seconds(number)),
        "min" => Ok(TimeDelta::minutes(number)),
        "h" => Ok(TimeDelta::hours(number)),
        "d" => Ok(TimeDelta::days(number)),
        "w" => Ok(TimeDelta::weeks(number)),
        _ => Err(help()),
    }
}

pub(super) async fn letters(command: &LettersCommand, desk: &Desk<'_>) -> Result<(), Failure> {
    let now = desk.clock.now();
    match command {
        LettersCommand::List {
            filter,
            discarded,
            limit,
            json,
        } => {
            let filter = DeadLetterFilter {
                discarded: *discarded,
                limit: *limit,
                ..filter.filter(now)
            };
            list(&read(desk, &filter).await?, *json, now);
            Ok(())
        }
        LettersCommand::Show { ids, json } => show(desk, ids, *json, now).await,
        LettersCommand::Retry { filter, json, wait } => {
            filter.names_something()?;
            match desk
                .ask(
                    "dead-letters retry",
                    Request::Retry(filter.filter(now)),
                    *wait,
                )
                .await?
            {
                Answer::Retried { letters, more } => tell_retried(&letters, more, *json),
                _ => return Err(super::unexpected()),
            }
            Ok(())
        }
        LettersCommand::Discard { filter, json, wait } => {
            filter.names_something()?;
            match desk
                .ask(
                    "dead-letters discard",
                    Request::Discard(filter.filter(now)),
                    *wait,
                )
                .await?
            {
                Answer::Discarded { count } if *json => {
                    out::json(&serde_json::json!({ "discarded": count }))
                }
                Answer::Discarded { count } => out::say(format!(
                    "{} put aside until the record changes",
                    out::counted(count, "dead letter is", "dead letters are")
                )),
                _ => return Err(super::unexpected()),
            }
            Ok(())
        }
    }
}

async fn read(desk: &Desk<'_>, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, Failure> {
    match OutboxReader::open(&desk.loaded.base.join(&desk.loaded.config.outbox.path)).await {
        Err(error @ OutboxError::Missing) => Err(Failure::Later(error.to_string())),
        reader => Ok(reader?.dead_letters(filter).await?),
    }
}

fn list(letters: &[DeadLetter], json: bool, now: DateTime<Utc>) {
    if json {
        return out::json(&letters.iter().map(as_json).collect::<Vec<_>>().into());
    }
    if letters.is_empty() {
        return out::say("no dead letters");
    }
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            [
                letter.id.to_string(),
                letter.source.clone(),
                letter.feed.clone(),
                letter.origin.as_str().to_owned(),
                record(letter.record_id.as_deref(), &letter.record),
                letter.reason.clone(),
                super::status::ago(now, letter.first_seen_at),
            ]
        })
        .collect();
    out::table(
        [
            "id",
            "source",
            "feed",
            "refused by",
            "record",
            "reason",
            "since",
        ],
        &rows,
    );
    out::say("");
    let reasons: BTreeSet<&str> = letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    for reason in reasons {
        out::say(format!("{reason}: {}", help(reason)));
    }
}

/// The clinic's own id; where only a sweep could tell it, the beginning of the digest.
fn record(record_id: Option<&str>, digest: &str) -> String {
    record_id.map_or_else(|| format!("[{digest}]"), str::to_owned)
}

fn as_json(letter: &DeadLetter) -> serde_json::Value {
    let mut value = serde_json::json!(letter);
    value["help"] = help(&letter.reason).into();
    value
}

async fn show(desk: &Desk<'_>, ids: &[i64], json: bool, now: DateTime<Utc>) -> Result<(), Failure> {
    let mut letters = Vec::new();
    for discarded in [false, true] {
        let filter = DeadLetterFilter {
            ids: ids.to_vec(),
            discarded,
            ..DeadLetterFilter::default()
        };
        letters.extend(read(desk, &filter).await?);
    }
    if let Some(missing) = ids
        .iter()
        .find(|id| !letters.iter().any(|letter| letter.id == **id))
    {
        return Err(Failure::Argument(format!(
            "there is no dead letter {missing} (any more); `dead-letters list` shows them"
        )));
    }
    if json {
        out::json(&letters.iter().map(as_json).collect::<Vec<_>>().into());
        return Ok(());
    }
    for letter in &letters {
        out::say(format!("dead letter {}", letter.id));
        for (name, value) in [
            ("source", letter.source.clone()),
            ("feed", letter.feed.clone()),
            (
                "record",
                record(letter.record_id.as_deref(), &letter.record),
            ),
            ("refused by", letter.origin.as_str().to_owned()),
            ("reason", letter.reason.clone()),
            (
                "first refused",
                super::status::ago(now, letter.first_seen_at),
            ),
            ("last refused", super::status::ago(now, letter.last_seen_at)),
        ] {
            out::say(format!("  {name:<14} {value}"));
        }
        if letter.discarded_at.is_some() {
            out::say(format!(
                "  {:<14} {}",
                "put aside",
                super::status::ago(now, letter.discarded_at)
            ));
        }
        out::say(format!("  {:<14} {}", "what to do", help(&letter.reason)));
    }
    Ok(())
}

fn tell_retried(letters: &[Retried], more: u64, json: bool) {
    if json {
        return out::json(&serde_json::json!({ "letters": letters, "more": more }));
    }
    if letters.is_empty() {
        return out::say("no dead letter is meant by that");
    }
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| {
            let outcome = match &letter.outcome {
                RetryOutcome::Accepted => {
                    "is well now: sent, or there was nothing left to send".to_owned()
                }
                RetryOutcome::Refused(reason) => format!("refused again: {reason}"),
                RetryOutcome::Gone => {
                    "is no longer at the source; the next sweep closes the letter".to_owned()
                }
                RetryOutcome::NotConfigured => "its source is not configured any more".to_owned(),
            };
            let record = letter.record_id.clone().unwrap_or_default();
            [
                letter.id.to_string(),
                letter.source.clone(),
                letter.feed.clone(),
                record,
                outcome,
            ]
        })
        .collect();
    out::table(
        ["id", "source", "feed", "record", "what became of it"],
        &rows,
    );
    if more > 0 {
        out::say(format!("… and {more} more"));
    }
}

/// One sentence for the operator: what to look at.
fn help(reason: &str) -> &'static str {
    if let Some(known) = RejectionReason::ALL
        .iter()
        .find(|known| known.as_str() == reason)
    {
        return known.help();
    }
    match reason.strip_prefix("registry:").unwrap_or(reason) {
        "malformed" | "unknown-code" | "bad-subject" => {
            "The registry does not understand the event: see that gateway and registry are of \
             versions that fit, then retry."
        }
        "bad-date" => {
            "The registry holds the date to be impossible: correct it at the clinic, and see that \
             both clocks are right."
        }
        "kind-changed" => {
            "The record was announced before as another kind of fact: the source's ids were \
             reused; give the record a new id."
        }
        "version-reused" => {
            "Another version was announced under the same number, as after a restored state: it \
             is sent again above it; retry."
        }
        _ => {
            "A reason that this version does not know: see that gateway and registry are of \
             versions that fit."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_nonsense_is_told() {
        assert_eq!(age("3d"), Ok(TimeDelta::days(3)));
        assert_eq!(age("90min"), Ok(TimeDelta::minutes(90)));
        for wrong in [
            "3",
            "d",
            "3 d",
            "-3d",
            "3m",
            "100001d",
            "99999999999999999999d",
            "",
        ] {
            assert!(age(wrong).is_err_and(|help| help.contains("3d")), "{wrong}");
        }
    }

    #[test]
    fn every_reason_has_its_help() {
        for reason in contract::RefusalReason::ALL {
            assert!(
                !help(&format!("registry:{}", reason.as_str())).contains("does not know"),
                "{reason:?}"
            );
        }
        assert!(help("date-future").contains("future") && help("x").contains("does not know"));
    }
}

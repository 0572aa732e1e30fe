//! `clinic-gateway dead-letters`: shows, retries and discards what the clinic's own rules or the
//! registry refused.

mod by_value;
mod filter;
mod help;
mod known;
mod print;

use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use outbox::{DeadLetter, DeadLetterCount, DeadLetterFilter, Request};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line};

use self::filter::FilterArguments;
use super::arguments::WaitArguments;
use super::outbox_file;
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::config::LoadedConfig;
use crate::gateway::StartError;
use crate::requests::{Answer, Retried, RetryOutcome};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// List the open ones: the clinic's own record id (it stays here), the reason, since when.
    List {
        #[command(flatten)]
        filter: FilterArguments,
        /// List the discarded ones instead.
        #[arg(long)]
        discarded: bool,
        /// Group them: `value` lists the values that nobody has mapped, each with the number of
        /// its rows and the line of configuration to write; takes --source and --feed.
        #[arg(long, value_name = "WHAT", conflicts_with_all = ["discarded", "limit"])]
        by: Option<Grouping>,
        /// Most letters listed.
        #[arg(
            long,
            default_value_t = 1000,
            value_parser = clap::value_parser!(u32).range(1..=100_000)
        )]
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
    /// Read their records from the source again, and send what is well. A selection without numbers
    /// and age takes the refusals too that the list has no room for.
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

/// What dead letters are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Grouping {
    /// The value that nobody has mapped.
    Value,
}

impl DeadLettersCommand {
    /// Words of the command in the audit log: all of them show or change single records.
    pub(super) const fn audited(&self) -> &'static str {
        match self {
            Self::List { .. } => "dead-letters list",
            Self::Show { .. } => "dead-letters show",
            Self::Retry { .. } => "dead-letters retry",
            Self::Discard { .. } => "dead-letters discard",
        }
    }
}

pub(super) async fn dead_letters(
    command: &DeadLettersCommand,
    runner: &RequestRunner,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let now = runner.clock.now();
    match command {
        DeadLettersCommand::List {
            filter,
            discarded,
            by,
            limit,
            json,
        } => {
            if let Some(Grouping::Value) = by {
                let filter = filter.filter(now);
                known::require_known(&runner.loaded, &filter).await?;
                return by_value::list(&runner.loaded, &filter, *json).await;
            }
            let filter = DeadLetterFilter {
                discarded: *discarded,
                // One more than is listed tells whether there are more.
                limit: limit.saturating_add(1),
                ..filter.filter(now)
            };
            known::require_known(&runner.loaded, &filter).await?;
            let mut found = read(&runner.loaded, &filter).await?;
            let stored = by_value::stored(&runner.loaded, filter.source.as_deref()).await?;
            let values = stored.by_id();
            let is_cut = found.len() > usize::try_from(*limit).unwrap_or(usize::MAX);
            found.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            counts.note_len("letters", found.len());
            if *json {
                print::print_as_json(&found, &values);
            } else {
                print::print_list(&found, &values, now);
            }
            let unlisted = unlisted(&runner.loaded, &filter).await?;
            print::print_bounds(is_cut.then_some(*limit), &unlisted);
            Ok(())
        }
        DeadLettersCommand::Show { ids, json } => {
            show(&runner.loaded, ids, *json, now, counts).await
        }
        DeadLettersCommand::Retry { filter, json, wait } => {
            filter.require_some()?;
            let filter = filter.filter(now);
            known::require_known(&runner.loaded, &filter).await?;
            retry(runner, filter, *json, *wait, counts).await
        }
        DeadLettersCommand::Discard { filter, json, wait } => {
            filter.require_some()?;
            let filter = filter.filter(now);
            known::require_known(&runner.loaded, &filter).await?;
            discard(runner, filter, *json, *wait, counts).await
        }
    }
}

async fn read(
    loaded: &LoadedConfig,
    filter: &DeadLetterFilter,
) -> Result<Vec<DeadLetter>, Failure> {
    let reader = outbox_file::open(loaded).await?;
    Ok(reader
        .dead_letters(filter)
        .await
        .map_err(StartError::from)?)
}

/// Counts the refusals that the filter means, and that the list has no room for. They have no
/// number and no time of their own.
async fn unlisted(
    loaded: &LoadedConfig,
    filter: &DeadLetterFilter,
) -> Result<Vec<DeadLetterCount>, Failure> {
    if !filter.may_mean_unlisted() {
        return Ok(Vec::new());
    }
    let reader = outbox_file::open(loaded).await?;
    let status = reader.status().await.map_err(StartError::from)?;
    let is_meant = |wanted: &Option<String>, given: &String| {
        wanted.as_ref().is_none_or(|wanted| wanted == given)
    };
    let mut counts = status.dead_letters;
    counts.retain(|count| {
        count.unlisted > 0
            && is_meant(&filter.source, &count.source)
            && is_meant(&filter.feed, &count.feed)
            && is_meant(&filter.reason, &count.reason)
            && filter.origin.is_none_or(|origin| origin == count.origin)
    });
    Ok(counts)
}

async fn show(
    loaded: &LoadedConfig,
    ids: &[i64],
    json: bool,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for discarded in [false, true] {
        let filter = DeadLetterFilter {
            ids: ids.to_vec(),
            discarded,
            ..DeadLetterFilter::default()
        };
        found.extend(read(loaded, &filter).await?);
    }
    if let Some(missing) = ids
        .iter()
        .find(|id| !found.iter().any(|letter| letter.id == **id))
    {
        return Err(Failure::Usage(format!(
            "there is no dead letter {missing} (any more); `dead-letters list` shows them"
        )));
    }
    let stored = by_value::stored(loaded, None).await?;
    let values = stored.by_id();
    counts.note_len("letters", found.len());
    if json {
        print::print_as_json(&found, &values);
    } else {
        for letter in &found {
            print::print_whole(letter, &values, now);
        }
    }
    Ok(())
}

async fn retry(
    runner: &RequestRunner,
    filter: DeadLetterFilter,
    json: bool,
    wait: WaitArguments,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let request = Request::Retry(filter);
    let Answer::Retried {
        letters,
        more,
        unlisted,
    } = runner.run("dead-letters retry", request, wait).await?
    else {
        return Err(unexpected_answer());
    };
    counts.note_len("letters", letters.len());
    counts.note("beyond-the-list", more + unlisted);
    if json {
        print_json(&serde_json::json!({
            "letters": letters, "more": more, "unlisted": unlisted,
        }));
    } else {
        print::print_retried(&letters, more, unlisted);
    }
    retry_outcome(&letters, more, unlisted)
}

/// Returns what is left to look at after a retry. Of letters that the answer does not list, and of
/// refusals beyond the list of dead letters, nothing is known here; their number alone says that
/// somebody has to look.
fn retry_outcome(letters: &[Retried], more: u64, unlisted: u64) -> Result<(), Failure> {
    let open = letters
        .iter()
        .filter(|letter| {
            !matches!(
                letter.outcome,
                RetryOutcome::Accepted | RetryOutcome::Withheld
            )
        })
        .count();
    let listed = letters.len();
    let unseen = more + unlisted;
    if listed == 0 && unseen == 0 {
        Err(nothing_meant())
    } else if open > 0 || unseen > 0 {
        let of_others = if unseen > 0 {
            format!(
                "; what became of {unseen} more is not told here: see `clinic-gateway \
                 dead-letters list`"
            )
        } else {
            String::new()
        };
        Err(Failure::look(format!(
            "{open} of {listed} dead letters are not well yet{of_others}"
        )))
    } else {
        Ok(())
    }
}

/// Makes the failure of a selection that no dead letter meets.
fn nothing_meant() -> Failure {
    Failure::later("no dead letter is meant by that")
}

async fn discard(
    runner: &RequestRunner,
    filter: DeadLetterFilter,
    json: bool,
    wait: WaitArguments,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let request = Request::Discard(filter);
    let Answer::Discarded { count } = runner.run("dead-letters discard", request, wait).await?
    else {
        return Err(unexpected_answer());
    };
    counts.note("letters", count);
    if json {
        print_json(&serde_json::json!({ "discarded": count }));
    } else {
        print_line(format!(
            "{} put aside until the record changes",
            counted(count, "dead letter is", "dead letters are")
        ));
    }
    if count == 0 {
        return Err(nothing_meant());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_of_refusals_beyond_the_list_is_done_and_to_be_looked_at() {
        let letter = Retried {
            id: 1,
            source: "mis".into(),
            feed: "tests".into(),
            record_id: None,
            outcome: RetryOutcome::Accepted,
        };
        let text = |letters: &[Retried], unlisted| {
            let outcome = retry_outcome(letters, 0, unlisted);
            outcome.map_err(|failure| failure.to_string())
        };
        let letters = std::slice::from_ref(&letter);
        assert_eq!(text(letters, 0), Ok(()));
        for some in [letters, &[]] {
            let told = text(some, 7).expect_err("nobody knows what became of them");
            assert!(told.contains("what became of 7 more"), "{told}");
        }
        let told = text(&[], 0).expect_err("nothing was meant");
        assert!(told.contains("no dead letter is meant"), "{told}");
    }
}

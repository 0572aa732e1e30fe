//! Printing of dead letters, as text and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use outbox::{DeadLetter, DeadLetterCount, MAX_DEAD_LETTERS_PER_FEED, OlderVersion};
use program::terminal::{counted, print_json, print_line, print_note, print_table, visible};
use pseudonym::UnknownValue;

use super::help::help;
use crate::cli::age::ago;
use crate::cli::dead_letter_text::{older_version_text, older_version_word, record_text};
use crate::requests::{Retried, RetryOutcome};

/// Prints dead letters as a table, with help for each reason below it.
pub(super) fn print_list(
    dead_letters: &[DeadLetter],
    values: &BTreeMap<i64, &UnknownValue>,
    now: DateTime<Utc>,
) {
    if dead_letters.is_empty() {
        return print_line("no dead letters");
    }
    let rows: Vec<_> = dead_letters
        .iter()
        .map(|letter| {
            [
                letter.id.to_string(),
                letter.source.clone(),
                letter.feed.clone(),
                letter.origin.as_str().to_owned(),
                record_text(letter),
                letter.reason.clone(),
                value_of(letter, values).unwrap_or_default(),
                ago(now, letter.first_seen_at),
                older_version_word(letter),
            ]
        })
        .collect();
    print_table(
        [
            "id",
            "source",
            "feed",
            "refused by",
            "record",
            "reason",
            "value",
            "since",
            "older version",
        ],
        &rows,
    );
    print_line("");
    let reasons: BTreeSet<&str> = dead_letters
        .iter()
        .map(|letter| letter.reason.as_str())
        .collect();
    for reason in reasons {
        print_line(format!("{}: {}", visible(reason), help(reason)));
    }
    if dead_letters.iter().any(|letter| letter.value_id.is_some()) {
        print_line(
            "value: shown once 3 persons have it, if it is short; `dead-letters list --by value` \
             says what to write for each",
        );
    }
    for older in OlderVersion::ALL {
        if dead_letters
            .iter()
            .any(|letter| letter.older_version == Some(older))
        {
            print_line(format!("{}: {}", older.as_str(), older_version_text(older)));
        }
    }
}

/// Says that the list is not all there is: it was cut at `limit`, or the outbox keeps no more. To
/// standard error, so that JSON stays JSON.
pub(super) fn print_bounds(limit: Option<u32>, unlisted: &[DeadLetterCount]) {
    if let Some(limit) = limit {
        print_note(&format!(
            "only the {limit} last seen are listed; --limit lists more"
        ));
    }
    for count in unlisted {
        print_note(&unlisted_text(count));
    }
}

/// Says that refusals of a reason are not listed, and how all of them are tried again.
fn unlisted_text(count: &DeadLetterCount) -> String {
    let DeadLetterCount {
        source,
        feed,
        reason,
        unlisted,
        ..
    } = count;
    // A record from before feeds were remembered names neither.
    let of_feed = if source.is_empty() {
        String::new()
    } else {
        format!(" --source {source} --feed {feed}")
    };
    format!(
        "{source} {feed}: {unlisted} more are refused ({reason}) and not listed, since the list \
         holds {MAX_DEAD_LETTERS_PER_FEED} a feed. Once their cause is mended, `clinic-gateway \
         dead-letters retry{of_feed} --reason {reason}` reads them again too"
    )
}

/// Value that the letter's row is refused for, where it may be shown.
fn value_of(letter: &DeadLetter, values: &BTreeMap<i64, &UnknownValue>) -> Option<String> {
    let value = values.get(&letter.value_id?)?;
    Some(value.key())
}

/// Prints all fields of a dead letter.
pub(super) fn print_whole(
    letter: &DeadLetter,
    values: &BTreeMap<i64, &UnknownValue>,
    now: DateTime<Utc>,
) {
    print_line(format!("dead letter {}", letter.id));
    let print_field =
        |name: &str, value: &str| print_line(format!("  {name:<14} {}", visible(value)));
    print_field("source", &letter.source);
    print_field("feed", &letter.feed);
    print_field("record", &record_text(letter));
    print_field("refused by", letter.origin.as_str());
    print_field("reason", &letter.reason);
    if let Some(value) = value_of(letter, values) {
        print_field("value", &value);
    }
    if let Some(older) = letter.older_version {
        print_field("older version", older_version_text(older));
    }
    print_field("first refused", &ago(now, letter.first_seen_at));
    print_field("last refused", &ago(now, letter.last_seen_at));
    if letter.discarded_at.is_some() {
        print_field("put aside", &ago(now, letter.discarded_at));
    }
    print_field("what to do", help(&letter.reason));
}

/// Prints dead letters as JSON, with help for each.
pub(super) fn print_as_json(dead_letters: &[DeadLetter], values: &BTreeMap<i64, &UnknownValue>) {
    let as_json = |letter: &DeadLetter| {
        let mut value = serde_json::json!(letter);
        value["help"] = help(&letter.reason).into();
        value["value"] = value_of(letter, values).into();
        value
    };
    print_json(&dead_letters.iter().map(as_json).collect());
}

/// Prints the outcome of a retry; `more` is the number of dead letters beyond those given,
/// `unlisted` that of the refusals that no list has room for.
pub(super) fn print_retried(retried: &[Retried], more: u64, unlisted: u64) {
    if !retried.is_empty() {
        print_outcomes(retried);
    }
    if more > 0 {
        print_line(format!("… and {more} more"));
    }
    if unlisted > 0 {
        let refusals = counted(unlisted, "refusal", "refusals");
        print_line(format!(
            "{refusals} beyond the list tried again too; `clinic-gateway status` tells what is \
             refused now"
        ));
    }
}

fn print_outcomes(retried: &[Retried]) {
    let rows: Vec<_> = retried
        .iter()
        .map(|letter| {
            [
                letter.id.to_string(),
                letter.source.clone(),
                letter.feed.clone(),
                letter.record_id.clone().unwrap_or_default(),
                outcome_text(&letter.outcome),
            ]
        })
        .collect();
    print_table(
        ["id", "source", "feed", "record", "what became of it"],
        &rows,
    );
}

fn outcome_text(outcome: &RetryOutcome) -> String {
    match outcome {
        RetryOutcome::Accepted => "is well now: sent, or there was nothing left to send".to_owned(),
        RetryOutcome::Withheld => {
            "is well now, and withheld: too few persons have a fact that says the same; \
             clinic-gateway withheld"
                .to_owned()
        }
        RetryOutcome::Refused(reason) => format!("refused again: {reason}"),
        RetryOutcome::Gone => {
            "is no longer at the source; the next sweep closes the letter".to_owned()
        }
        RetryOutcome::NotConfigured => "its source is not configured any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use outbox::Origin;

    use super::*;

    #[test]
    fn unlisted_refusals_of_either_origin_are_read_again_by_a_retry() {
        let mut count = DeadLetterCount {
            source: "mis".into(),
            feed: "tests".into(),
            origin: Origin::Registry,
            reason: "registry:bad-date".into(),
            count: 100_007,
            unlisted: 7,
        };
        let text = unlisted_text(&count);
        assert!(text.starts_with("mis tests: 7 more are refused (registry:bad-date)"));
        let retry = "dead-letters retry --source mis --feed tests --reason registry:bad-date`";
        assert!(text.contains(retry), "{text}");
        count.source.clear();
        count.feed.clear();
        let retry = "dead-letters retry --reason registry:bad-date`";
        assert!(unlisted_text(&count).contains(retry));
    }
}

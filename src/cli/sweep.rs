//! `clinic-gateway sweep`: reads all keys, or all rows, of a source now.

use clap::Args;
use outbox::Request;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_error, print_json, print_table};

use super::arguments::{WaitArguments, require_source};
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::requests::Answer;
use crate::sweep::FeedSweep;

#[derive(Debug, Args)]
#[command(after_help = super::sweep_help::COLUMNS)]
pub(super) struct SweepArguments {
    /// The source to sweep; all when none is named.
    source: Option<String>,
    /// Read every row whole and send what differs, also where change stamps are trusted: finds
    /// rows that changed while their stamp did not. Feeds without a stamp are always read so.
    ///
    /// Beside a running daemon, which goes on pulling and publishing meanwhile. It keeps the pace
    /// that [source.NAME.sweep] sets. If the answer is not waited for, the daemon finishes it all
    /// the same.
    #[arg(long)]
    contents: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

impl SweepArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        match self.contents {
            true => "sweep --contents",
            false => "sweep",
        }
    }
}

pub(super) async fn sweep(
    arguments: &SweepArguments,
    runner: &RequestRunner,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let names: Vec<String> = match &arguments.source {
        Some(name) => {
            require_source(&runner.loaded, name)?;
            vec![name.clone()]
        }
        None => runner.loaded.config.source.keys().cloned().collect(),
    };
    let mut swept = Vec::new();
    let mut failures = Vec::new();
    for source in names {
        let contents = arguments.contents;
        let request = Request::Sweep { source, contents };
        match runner.run("sweep", request, arguments.wait).await {
            Ok(Answer::Swept { source, feeds }) => swept.push((source, feeds)),
            Ok(_) => failures.push(unexpected_answer()),
            Err(error) => failures.push(error),
        }
    }
    let feeds = || swept.iter().flat_map(|(_, feeds)| feeds);
    counts.note("missed", feeds().map(|feed| feed.missed).sum());
    let withdrawn = feeds().map(|feed| feed.withdrawn + feed.older_withdrawn);
    counts.note("withdrawn", withdrawn.sum());
    if arguments.json {
        let swept: Vec<_> = swept
            .iter()
            .map(|(source, feeds)| serde_json::json!({ "source": source, "feeds": feeds }))
            .collect();
        print_json(&swept.into());
    } else {
        print_feeds(&swept);
    }
    failures.extend(
        swept
            .iter()
            .filter_map(|(source, feeds)| held(source, feeds)),
    );
    match gravest(failures) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Failure for withdrawals of a source that wait for an operator.
fn held(source: &str, feeds: &[FeedSweep]) -> Option<Failure> {
    let gone = feeds.iter().any(|feed| feed.held.is_some());
    let older: u64 = feeds.iter().map(|feed| feed.older_held).sum();
    let mut sentences = Vec::new();
    if gone {
        sentences.push(
            "more records are gone at the source than may be withdrawn unasked, so none was. If \
             they are gone on purpose: "
                .to_owned(),
        );
    }
    if older > 0 {
        sentences.push(format!(
            "more rows that were sent before cannot be sent any more than may be withdrawn unasked, \
             so {} at the registry. If the rows are right: ",
            counted(older, "older version stands", "older versions stand")
        ));
    }
    let command = format!("clinic-gateway confirm-withdrawals {source}");
    let told: Vec<String> = sentences
        .into_iter()
        .map(|sentence| sentence + &command)
        .collect();
    (!told.is_empty()).then(|| Failure::later(told.join("\nerror: ")))
}

/// Returns the failure that a person has to do something about, if there is one, and prints the
/// others.
fn gravest(mut failures: Vec<Failure>) -> Option<Failure> {
    failures.sort_by_key(Failure::exit_code);
    let gravest = failures.pop();
    for other in failures {
        print_error(other.message());
    }
    gravest
}

fn print_feeds(swept: &[(String, Vec<FeedSweep>)]) {
    let rows: Vec<_> = swept
        .iter()
        .flat_map(|(source, feeds)| feeds.iter().map(move |feed| (source, feed)))
        .map(|(source, feed)| {
            let told = |count: u64| match count {
                0 => String::new(),
                _ => count.to_string(),
            };
            [
                source.clone(),
                feed.feed.clone(),
                if feed.contents { "rows" } else { "keys" }.to_owned(),
                feed.keys.to_string(),
                feed.looks.to_string(),
                feed.reread.to_string(),
                feed.missed.to_string(),
                feed.unlisted.to_string(),
                feed.unanswered.to_string(),
                feed.withdrawn.to_string(),
                told(feed.held.unwrap_or(0)),
                told(feed.older_withdrawn),
                told(feed.older_held),
            ]
        })
        .collect();
    print_table(
        [
            "source",
            "feed",
            "reads",
            "found",
            "looks",
            "read again",
            "missed",
            "not listed",
            "no answer",
            "withdrawn",
            "held",
            "older withdrawn",
            "older held",
        ],
        &rows,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_held_is_told_with_the_command_that_permits_it() {
        let feed = |held, older_held| FeedSweep {
            held,
            older_held,
            ..FeedSweep::default()
        };
        let told = |feeds: &[FeedSweep]| {
            held("mis", feeds).map(|failure| (failure.exit_code(), failure.message().to_owned()))
        };
        assert_eq!(told(&[feed(None, 0)]), None);
        let (code, both) = told(&[feed(Some(50), 0), feed(None, 1)]).expect("held");
        assert_eq!(code, 1);
        assert!(both.contains("more records are gone"), "{both}");
        assert!(
            both.contains("so 1 older version stands at the registry"),
            "{both}"
        );
        assert_eq!(both.matches("confirm-withdrawals mis").count(), 2, "{both}");
    }
}

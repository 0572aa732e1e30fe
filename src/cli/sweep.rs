//! `clinic-gateway sweep`: reads all keys, or all rows, of a source now.

use clap::Args;
use outbox::Request;
use program::Failure;
use program::terminal::{print_error, print_json, print_table};

use super::arguments::{WaitArguments, require_source};
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::requests::Answer;
use crate::sweep::FeedSweep;

#[derive(Debug, Args)]
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

pub(super) async fn sweep(
    arguments: &SweepArguments,
    runner: &RequestRunner,
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
    if arguments.json {
        let swept: Vec<_> = swept
            .iter()
            .map(|(source, feeds)| serde_json::json!({ "source": source, "feeds": feeds }))
            .collect();
        print_json(&swept.into());
    } else {
        print_feeds(&swept);
    }
    let held = swept
        .iter()
        .find(|(_, feeds)| feeds.iter().any(|feed| feed.held.is_some()));
    let gravest = gravest(failures);
    match (gravest, held) {
        (Some(failure), _) => Err(failure),
        (None, Some((source, _))) => Err(Failure::Later(format!(
            "more records are gone at the source than may be withdrawn unasked, so none was. If \
             they are gone on purpose: clinic-gateway confirm-withdrawals {source}"
        ))),
        (None, None) => Ok(()),
    }
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
            let held = feed.held.map_or_else(String::new, |held| held.to_string());
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
                held,
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
        ],
        &rows,
    );
}

//! Looks at a database, says what was seen, and writes its section.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use connector_sql::{Database, MissingFeed, Proposal};
use program::Failure;
use pseudonym::{KeyRing, Suite};

use super::target::Target;
use super::{InitArguments, Section, maps, report};
use crate::cli::failure::of_source;

pub(super) async fn section(
    target: &Target,
    arguments: &InitArguments,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> Result<Section, Failure> {
    let database = open(target, &arguments.folder)?;
    let proposal = database.propose().await.map_err(|error| failure(&error))?;
    report::print(&proposal);
    Ok(Section {
        text: text(target, &arguments.name, &proposal, ring, now),
        has_feeds: !proposal.feeds.is_empty(),
    })
}

fn open(target: &Target, folder: &Path) -> Result<Database, Failure> {
    let text = target.connection();
    let place = Path::new("--look");
    let opened = match target.kind {
        #[cfg(feature = "postgres")]
        "postgres" => {
            let config = settings::parse(&text, place).map_err(Failure::change)?;
            Database::postgres(&config, folder)
        }
        #[cfg(feature = "mysql")]
        "mysql" => {
            let config = settings::parse(&text, place).map_err(Failure::change)?;
            Database::mysql(&config, folder)
        }
        "sqlite" => {
            let config = settings::parse(&text, place).map_err(Failure::change)?;
            Database::sqlite(&config, folder)
        }
        kind => {
            return Err(Failure::Usage(format!(
                "--look: this program was built without {kind}"
            )));
        }
    };
    opened.map_err(|error| failure(&error))
}

pub(super) fn failure(error: &SourceError) -> Failure {
    of_source(error, format!("--look: {error}; nothing was written"))
}

fn text(
    target: &Target,
    name: &str,
    proposal: &Proposal,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> String {
    let mut text = target.head(name);
    if proposal.feeds.is_empty() {
        for missing in &proposal.missing {
            text += &missing_text(missing, &format!("source.{name}.{}", target.kind));
        }
        text += "# Queries of another system, to see what they look like:\n";
        for line in target.feeds_of_example(name).lines() {
            text += format!("# {line}").trim_end();
            text.push('\n');
        }
        return text + "\n" + &target.tail(name);
    }
    text += "# The queries below were proposed by `init` from the names of tables and\n\
             # columns: check each, by `clinic-gateway preview`, against what you know of\n\
             # the system.\n\n";
    for feed in &proposal.feeds {
        text += &feed.section(&format!("source.{name}.{}", target.kind));
        text.push('\n');
    }
    for missing in &proposal.missing {
        text += &missing_text(missing, &format!("source.{name}.{}", target.kind));
    }
    text += "# How the clinic's own words are read; what the built-in lists know needs no line.\n";
    // The zone only tells which day is today, on which no code depends.
    if let Some(pseudonymiser) = maps::by_built_in_lists(ring, Suite::Hmac) {
        let known = maps::Known {
            pseudonymiser: &pseudonymiser,
            today: now.date_naive(),
        };
        text += &maps::sections(name, &proposal.feeds, &known);
    }
    text + &target.tail(name)
}

/// A feed that was not found, to be filled in.
fn missing_text(missing: &MissingFeed, section: &str) -> String {
    let feed = missing.feed;
    let mut text = format!("# No {feed} were found.");
    for (table, lacks) in &missing.likely {
        let _ = write!(text, "\n#   {table}: {lacks}");
    }
    let _ = write!(
        text,
        "\n# [{section}.{feed}]\n# query = \"\"\"SELECT … AS record_id, … AS changed_at, …\"\"\"\n\
         \n"
    );
    text
}

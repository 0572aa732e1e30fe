//! Looks at a database, says what was seen, and writes its section.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use connector_kit::SourceError;
use connector_sql::{Database, MissingFeed, Proposal};
use program::{Address, Failure};
use pseudonym::{KeyRing, Suite};

use super::target::{READER, Target};
use super::{InitArguments, Section, maps, report};
use crate::cli::failure::of_source;

pub(super) async fn section(
    target: &Target,
    arguments: &InitArguments,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> Result<Section, Failure> {
    let of_look = |error: SourceError| failure(&error, arguments);
    let database = open(target, arguments)?;
    // The zone only tells which day is today, on which no code depends.
    let today = now.date_naive();
    let pseudonymiser = maps::by_built_in_lists(ring, Suite::Hmac);
    let proposed = match &pseudonymiser {
        Some(pseudonymiser) => {
            let known = maps::Known {
                pseudonymiser,
                today,
            };
            let knows = |column: &str, code: &str| known.knows(column, code);
            database.propose_known(&knows).await
        }
        None => database.propose().await,
    };
    let proposal = proposed.map_err(of_look)?;
    report::print(&proposal);
    Ok(Section {
        text: text(target, arguments.source_name(), &proposal, ring, now),
        has_feeds: !proposal.feeds.is_empty(),
    })
}

fn open(target: &Target, arguments: &InitArguments) -> Result<Database, Failure> {
    let folder = &arguments.folder;
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
    opened.map_err(|error| failure(&error, arguments))
}

/// Failure to look at a system. Connectors speak of the settings of a configuration file; this says
/// where they were given on the command line.
pub(super) fn failure(error: &SourceError, arguments: &InitArguments) -> Failure {
    let told = error.to_string();
    let mut places = Vec::new();
    if told.contains("`user`") {
        places.push(match named_account(arguments) {
            true => "`user` is the account in the address of --look".to_owned(),
            false => format!(
                "`user` is {READER}, since the address of --look names no account; write it as \
                 scheme://ACCOUNT@host"
            ),
        });
    }
    if told.contains("password") {
        places.push(match &arguments.password_file {
            Some(file) => format!(
                "`password` is in the file of --password-file, {}",
                file.display()
            ),
            None => "no --password-file was given".to_owned(),
        });
    }
    let places: String = places.iter().map(|place| format!("; {place}")).collect();
    of_source(
        error,
        format!("--look: {told}{places}; nothing was written"),
    )
}

/// Returns whether the address of `--look` names an account.
fn named_account(arguments: &InitArguments) -> bool {
    let address = arguments.look.as_deref().unwrap_or_default();
    let address = Address::parse(address, "--look", "--password-file");
    address.is_ok_and(|address| address.user.is_some())
}

fn text(
    target: &Target,
    name: &str,
    proposal: &Proposal,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> String {
    let mut text = target.head(name);
    if proposal.system.is_some() {
        text += &(proposal.about_system() + "\n");
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        init: InitArguments,
    }

    fn told(arguments: &[&str]) -> String {
        let refused = SourceError::misconfigured(
            "the server refuses the password",
            "check `user` and what `password` points to",
        );
        let line = Line::parse_from([&["init"], arguments].concat());
        failure(&refused, &line.init).to_string()
    }

    #[test]
    fn settings_are_told_by_the_words_of_the_command_line() {
        let whole = told(&["--look", "postgres://r@db/mis", "--password-file", "pw"]);
        assert!(
            whole.contains("the account in the address of --look"),
            "{whole}"
        );
        assert!(
            whole.contains("the file of --password-file, pw;"),
            "{whole}"
        );
        let bare = told(&["--look", "postgres://db/mis"]);
        assert!(
            bare.contains("`user` is gateway_reader, since the address of --look names no account"),
            "{bare}"
        );
        assert!(bare.contains("no --password-file was given"), "{bare}");
    }
}

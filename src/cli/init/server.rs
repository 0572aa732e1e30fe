//! Looks at a FHIR server by its CapabilityStatement, and writes its section.

use std::path::Path;

use chrono::{DateTime, Utc};
use program::Failure;
use program::terminal::print_line;

use super::database::failure;
use super::target::Target;
use super::{InitArguments, Section};

pub(super) async fn section(
    target: &Target,
    arguments: &InitArguments,
    now: DateTime<Utc>,
) -> Result<Section, Failure> {
    let text = target.connection();
    let config = settings::parse(&text, Path::new("--look")).map_err(Failure::change)?;
    let proposal = connector_fhir::propose(&config, &arguments.folder, now)
        .await
        .map_err(|error| failure(&error, arguments))?;
    let feeds: Vec<&str> = proposal.feeds.iter().map(|feed| feed.as_str()).collect();
    print_line(format!(
        "the server speaks FHIR {} and declares {}",
        proposal.version,
        if feeds.is_empty() {
            "no facts".to_owned()
        } else {
            feeds.join(", ")
        }
    ));
    proposal
        .notes
        .iter()
        .for_each(|note| print_line(format!("    {note}")));
    let notes: String = proposal
        .notes
        .iter()
        .map(|note| format!("# - {note}.\n"))
        .collect();
    Ok(Section {
        text: target.head_of_server(arguments.source_name(), &notes, &proposal.settings),
        has_feeds: !proposal.feeds.is_empty(),
    })
}

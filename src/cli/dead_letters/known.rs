//! Names in a selection of dead letters: a source, a reason or a number that there is not is a
//! mistake of whoever typed it, and no selection of nothing.

use std::collections::BTreeSet;

use contract::RefusalReason;
use outbox::{
    DeadLetterFilter, FOREIGN_VERSION, OutboxError, OutboxReader, SUPERSEDED, VERSIONS_EXHAUSTED,
    WITHDRAWAL_OF_UNKNOWN_KIND,
};
use program::Failure;
use pseudonym::RejectionReason;

use crate::cli::arguments::unknown_name;
use crate::cli::outbox_file;
use crate::config::LoadedConfig;
use crate::gateway::StartError;

/// Refuses a filter that names a source or a reason that neither this version, the configuration
/// nor the state knows, or the number of a letter that there is not.
///
/// # Errors
/// [`Failure::Usage`] with the names there are, and the state's failures.
pub(super) async fn require_known(
    loaded: &LoadedConfig,
    filter: &DeadLetterFilter,
) -> Result<(), Failure> {
    let reader = match OutboxReader::open(&outbox_file::path(loaded)).await {
        Ok(reader) => Some(reader),
        // A file from before an update is brought up to date by whoever opens it for writing.
        Err(error) if error.is_missing() => None,
        Err(OutboxError::OlderSchema { .. }) => None,
        Err(error) => return Err(StartError::from(error).into()),
    };
    let checked = check(loaded, filter, reader.as_ref()).await;
    if let Some(reader) = reader {
        reader.close().await;
    }
    checked
}

async fn check(
    loaded: &LoadedConfig,
    filter: &DeadLetterFilter,
    reader: Option<&OutboxReader>,
) -> Result<(), Failure> {
    if let Some(source) = &filter.source {
        check_source(loaded, source, reader).await?;
    }
    if let Some(reason) = &filter.reason
        && !known_reasons().contains(reason.as_str())
    {
        let of_reason = DeadLetterFilter {
            reason: Some(reason.clone()),
            ..one()
        };
        if !is_met(reader, of_reason).await? {
            return Err(unknown_name("reason", reason, known_reasons()));
        }
    }
    if let Some(reader) = reader.filter(|_| !filter.ids.is_empty()) {
        check_ids(filter, reader).await?;
    }
    Ok(())
}

async fn check_source(
    loaded: &LoadedConfig,
    source: &str,
    reader: Option<&OutboxReader>,
) -> Result<(), Failure> {
    let of_source = DeadLetterFilter {
        source: Some(source.to_owned()),
        ..one()
    };
    if loaded.config.source.contains_key(source) || is_met(reader, of_source).await? {
        return Ok(());
    }
    let known = loaded.config.source.keys().map(String::as_str);
    Err(unknown_name("source", source, known))
}

async fn check_ids(filter: &DeadLetterFilter, reader: &OutboxReader) -> Result<(), Failure> {
    let of_ids = DeadLetterFilter {
        ids: filter.ids.clone(),
        discarded: filter.discarded,
        ..DeadLetterFilter::default()
    };
    let found = reader.dead_letters(&of_ids).await;
    let found: BTreeSet<i64> = found
        .map_err(StartError::from)?
        .into_iter()
        .map(|letter| letter.id)
        .collect();
    let missing: Vec<String> = filter
        .ids
        .iter()
        .filter(|id| !found.contains(id))
        .map(ToString::to_string)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let kind = if filter.discarded {
        "discarded"
    } else {
        "open"
    };
    Err(Failure::Usage(format!(
        "there is no {kind} dead letter {} (any more), and nothing was done; `dead-letters list` \
         shows them",
        missing.join(", ")
    )))
}

/// Filter that one letter is enough to meet.
fn one() -> DeadLetterFilter {
    DeadLetterFilter {
        limit: 1,
        ..DeadLetterFilter::default()
    }
}

/// Returns whether any letter, open or discarded, meets the filter.
async fn is_met(
    reader: Option<&OutboxReader>,
    filter: DeadLetterFilter,
) -> Result<bool, StartError> {
    let Some(reader) = reader else {
        return Ok(false);
    };
    for discarded in [false, true] {
        let filter = DeadLetterFilter {
            discarded,
            ..filter.clone()
        };
        if !reader.dead_letters(&filter).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reasons that this version gives.
fn known_reasons() -> BTreeSet<&'static str> {
    let clinic = RejectionReason::ALL.iter().map(|reason| reason.as_str());
    let own = [
        SUPERSEDED,
        FOREIGN_VERSION,
        VERSIONS_EXHAUSTED,
        WITHDRAWAL_OF_UNKNOWN_KIND,
    ];
    clinic.chain(own).chain(REGISTRY_REASONS).collect()
}

/// Reasons of the registry, as they stand in dead letters.
const REGISTRY_REASONS: [&str; 10] = [
    "registry:malformed",
    "registry:unknown-code",
    "registry:bad-subject",
    "registry:bad-date",
    "registry:kind-changed",
    "registry:version-reused",
    "registry:not-the-owner",
    "registry:epoch-not-open",
    "registry:purged",
    "registry:token",
];

/// Makes sure at build time that a new reason is not left out above.
const _: () = assert!(RefusalReason::ALL.len() == REGISTRY_REASONS.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_registry_is_known() {
        let known = known_reasons();
        for reason in RefusalReason::ALL {
            let stored = format!("registry:{}", reason.as_str());
            assert!(known.contains(stored.as_str()), "{stored}");
        }
        assert!(known.contains("date-future") && !known.contains("datum"));
    }
}

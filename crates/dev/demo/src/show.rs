//! Views for the reader: a batch on its way, the registry's facts, what stayed at the clinic.

use std::path::Path;
use std::time::Duration;

use clinic_gateway::config::LoadedConfig;
use contract::{Fact, TestMethod};
use outbox::DeadLetterFilter;
use registry::StoredFact;

use crate::print;
use crate::stage::Stage;

/// Looks into the waiting batches for a vaccination, shows it sealed and opened, and puts them
/// back.
pub(crate) async fn sample(stage: &Stage) -> Result<(), String> {
    let mut consumer =
        broker::consumer(&stage.queue, &stage.folder).map_err(|error| error.to_string())?;
    let batches = consumer
        .receive(16, Duration::from_secs(60))
        .await
        .map_err(|error| error.to_string())?;
    for batch in &batches {
        if show_vaccination(stage, &batch.bytes)? {
            break;
        }
    }
    let tokens = batches.into_iter().map(|batch| batch.token).collect();
    consumer
        .requeue(tokens)
        .await
        .map_err(|error| error.to_string())?;
    consumer.close().await;
    Ok(())
}

fn show_vaccination(stage: &Stage, sealed: &[u8]) -> Result<bool, String> {
    let opened = stage
        .private
        .open(sealed)
        .map_err(|error| error.to_string())?;
    let events: Vec<serde_json::Value> =
        serde_json::from_slice(&opened.encoded).map_err(|error| error.to_string())?;
    let Some(event) = events
        .iter()
        .find(|event| event["data"]["status"] == "completed")
    else {
        return Ok(false);
    };
    let head: String = sealed
        .iter()
        .take(24)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    print::line(format!(
        "  batch {}: {} events, padded and sealed to {} bytes: {head}…",
        opened.id,
        events.len(),
        sealed.len()
    ));
    if opened.tokens.is_some() {
        print::line(
            "  With it comes a one-use token: good for this batch alone, and from a clinic that \
             the issuer knows, without telling which.",
        );
    }
    print::line(format!("{event:#}"));
    Ok(true)
}

/// The registry's facts.
pub(crate) async fn registry(stage: &Stage) -> Result<(), String> {
    let mut facts = stage
        .registry
        .reader()
        .facts()
        .await
        .map_err(|error| error.to_string())?;
    facts.sort_by_key(|fact| (fact.fact.is_none(), subject(fact), describe(fact)));
    let rows: Vec<_> = facts
        .iter()
        .map(|fact| {
            let version = fact.version.to_u64().to_string();
            let known_by: Vec<_> = fact
                .subject
                .iter()
                .map(|pseudonym| pseudonym.scheme.as_str())
                .collect();
            [
                subject(fact),
                known_by.join(", "),
                describe(fact),
                version,
                hex::encode(&fact.record[..4]),
            ]
        })
        .collect();
    print::table(["subject", "known by", "fact", "version", "record"], &rows);
    print::line(
        "  One withdrawn record of each gateway is its beacon: no fact, but what shows a restored \
         state.",
    );
    Ok(())
}

fn subject(fact: &StoredFact) -> String {
    let strongest = fact.subject.first();
    strongest.map_or_else(
        || "—".to_owned(),
        |v| {
            v.value[..4]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        },
    )
}

/// Words for a fact.
pub(crate) fn describe(fact: &StoredFact) -> String {
    match &fact.fact {
        None => format!("{}: withdrawn", fact.kind.as_str()),
        Some(Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        }) => {
            let number =
                |dose: &Option<u8>| dose.map_or_else(|| "?".to_owned(), |dose| dose.to_string());
            format!(
                "{occurred_on} {} dose {} of {}",
                vaccine.as_str(),
                number(dose_number),
                number(series_doses)
            )
        }
        Some(Fact::Test {
            test,
            result,
            occurred_on,
        }) => {
            let kind = match test.method() {
                TestMethod::NucleicAcid => "PCR",
                TestMethod::Antigen => "antigen test",
            };
            format!(
                "{occurred_on} {kind} ({}): {}",
                test.loinc(),
                result.as_str()
            )
        }
        Some(Fact::Recovery { occurred_on, .. }) => format!("{occurred_on} recovered"),
    }
}

/// Prints the records that a clinic's gateway could not send.
pub(crate) async fn refused(clinic: &LoadedConfig, name: &str) -> Result<(), String> {
    let path: &Path = &clinic.base.join(&clinic.config.outbox.path);
    let reader = outbox::OutboxReader::open(path)
        .await
        .map_err(|error| error.to_string())?;
    let letters = reader
        .dead_letters(&DeadLetterFilter::default())
        .await
        .map_err(|error| error.to_string())?;
    let rows: Vec<_> = letters
        .into_iter()
        .map(|letter| {
            [
                name.to_owned(),
                letter.feed,
                letter.record_id.unwrap_or_default(),
                letter.reason,
            ]
        })
        .collect();
    print::table(["clinic", "feed", "record", "reason"], &rows);
    reader.close().await;
    Ok(())
}

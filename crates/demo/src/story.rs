//! The story: both clinics send, a record is corrected and one withdrawn, and nothing is sent that did not change.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clinic_gateway::config::LoadedConfig;
use clinic_gateway::gateway::Gateway;
use clinic_gateway::pull::Counters;
use clinic_gateway::sync::sync;
use contract::Fact;
use registry::StoredFact;
use testbed::fhir::FhirServer;
use tokio_util::sync::CancellationToken;

use crate::arguments::Arguments;
use crate::stage::{Example, Stage};
use crate::{fsb, fso, say};

/// Plays it.
pub async fn tell(arguments: &Arguments) -> Result<(), String> {
    let mut stage = Stage::set(arguments).await?;
    let mis = stage.folder.join("fsb-mis.db");
    let mut held = fsb::make(&mis).await?;
    let server = FhirServer::start().await.map_err(|error| error.to_string())?;
    held.extend(fso::fill(&server));
    let fsb = stage.clinic(Example::Fsb, mis.to_str().ok_or("the folder's path is not UTF-8")?)?;
    let fso = stage.clinic(Example::Fso, &server.base_url())?;

    say::heading("1. What the clinics hold (all people are invented)");
    say::table(["clinic", "record", "person", "what"], &held);

    say::heading("2. Both gateways send what they have");
    send(&stage, &fsb, "fsb").await?;
    send(&stage, &fso, "fso").await?;

    say::heading("3. What crossed: one event of one batch, opened with the registry's private key");
    sample(&stage).await?;

    say::heading("4. What the registry has: no name, no number, no clinic");
    receive(&mut stage).await?;
    show_registry(&stage).await?;

    say::heading("5. What the clinics did not send, and why (this list stays at the clinic)");
    show_refused(&fsb, "fsb").await?;
    show_refused(&fso, "fso").await?;

    say::heading("6. One record is corrected, one cancelled at its clinic; both gateways send again");
    fsb::cancel_one(&mis).await?;
    fso::correct(&server);
    send(&stage, &fsb, "fsb").await?;
    send(&stage, &fso, "fso").await?;
    receive(&mut stage).await?;
    show_registry(&stage).await?;

    say::heading("7. Nothing has changed since; both gateways look again");
    let again = send(&stage, &fsb, "fsb").await? + send(&stage, &fso, "fso").await?;
    if again != 0 {
        return Err(format!("{again} batches were sent although nothing had changed"));
    }
    if let Some(folder) = &arguments.keep {
        say::line(format!(
            "\nEverything is kept in {}: look at fsb/clinic-gateway.toml, or ask",
            folder.display()
        ));
        say::line(format!("  cargo run -- --config {}/fsb/clinic-gateway.toml status", folder.display()));
    }
    Ok(())
}

/// One pass of one clinic's gateway; the number of batches it delivered.
async fn send(stage: &Stage, clinic: &LoadedConfig, name: &str) -> Result<usize, String> {
    let gateway =
        Gateway::open(clinic, Arc::clone(&stage.clock), "sync").await.map_err(|error| error.to_string())?;
    let counters = Counters::default();
    let report =
        sync(&gateway, &[], false, &CancellationToken::new(), &counters).await.map_err(|e| e.to_string());
    gateway.close().await;
    let report = report?;
    if let Some((source, failure)) = report.failed.first() {
        return Err(format!("{name}: source {source}: {}", failure.error));
    }
    if !report.is_complete() {
        return Err(format!(
            "{name}: {} batches wait: {}",
            report.waiting,
            report.queue_error.unwrap_or_default()
        ));
    }
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    say::line(format!(
        "  {name}: {} read, {} new, {} corrected, {} withdrawn, {} unchanged, {} newly refused → {} sealed batches",
        count(&counters.pulled),
        count(&counters.new),
        count(&counters.corrected),
        count(&counters.withdrawn),
        count(&counters.unchanged),
        count(&counters.refused),
        report.delivered
    ));
    Ok(report.delivered)
}

/// Looks into the waiting batches for a vaccination, shows it sealed and opened, and puts them back.
async fn sample(stage: &Stage) -> Result<(), String> {
    let mut consumer = broker::consumer(&stage.queue, &stage.folder).map_err(|error| error.to_string())?;
    let batches = consumer.receive(16, Duration::from_secs(10)).await.map_err(|error| error.to_string())?;
    for batch in &batches {
        if show_vaccination(stage, &batch.bytes)? {
            break;
        }
    }
    let tokens = batches.into_iter().map(|batch| batch.token).collect();
    consumer.requeue(tokens).await.map_err(|error| error.to_string())?;
    consumer.close().await;
    Ok(())
}

fn show_vaccination(stage: &Stage, sealed: &[u8]) -> Result<bool, String> {
    let (id, encoded) = stage.private.open(sealed).map_err(|error| error.to_string())?;
    let events: Vec<serde_json::Value> =
        serde_json::from_slice(&encoded).map_err(|error| error.to_string())?;
    let Some(event) = events.iter().find(|event| event["data"]["status"] == "completed") else {
        return Ok(false);
    };
    let head: String = sealed.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
    say::line(format!(
        "  batch {id}: {} events, padded and sealed to {} bytes: {head}…",
        events.len(),
        sealed.len()
    ));
    say::line(format!("{event:#}"));
    Ok(true)
}

async fn receive(stage: &mut Stage) -> Result<(), String> {
    let (outcome, dead) = stage.registry.drain().await.map_err(|error| error.to_string())?;
    say::line(format!(
        "  applied {}, unchanged {}, refused {}, unreadable batches {dead}\n",
        outcome.applied, outcome.unchanged, outcome.refused
    ));
    Ok(())
}

async fn show_registry(stage: &Stage) -> Result<(), String> {
    let mut facts = stage.registry.reader().facts().await.map_err(|error| error.to_string())?;
    facts.sort_by_key(|fact| (fact.fact.is_none(), subject(fact), describe(fact)));
    let rows: Vec<_> = facts
        .iter()
        .map(|fact| {
            let version = format!("{}.{}", fact.version.generation, fact.version.count);
            let known_by: Vec<_> = fact.subject.iter().map(|pseudonym| pseudonym.scheme.as_str()).collect();
            [
                subject(fact),
                known_by.join(", "),
                describe(fact),
                version,
                fact.record.to_hex()[..8].to_owned(),
            ]
        })
        .collect();
    say::table(["subject", "known by", "fact", "version", "record"], &rows);
    Ok(())
}

fn subject(fact: &StoredFact) -> String {
    let strongest = fact.subject.first();
    strongest
        .map_or_else(|| "—".to_owned(), |v| v.value[..4].iter().map(|byte| format!("{byte:02x}")).collect())
}

fn describe(fact: &StoredFact) -> String {
    match &fact.fact {
        None => format!("{}: withdrawn", fact.kind.as_str()),
        Some(Fact::Vaccination { vaccine, dose_number, series_doses, occurred_on }) => {
            let number = |dose: &Option<u8>| dose.map_or_else(|| "?".to_owned(), |dose| dose.to_string());
            format!(
                "{occurred_on} {} dose {} of {}",
                vaccine.as_str(),
                number(dose_number),
                number(series_doses)
            )
        }
        Some(Fact::Test { test, result, occurred_on }) => {
            format!("{occurred_on} PCR ({}): {}", test.loinc(), result.as_str())
        }
        Some(Fact::Recovery { occurred_on, .. }) => format!("{occurred_on} recovered"),
    }
}

async fn show_refused(clinic: &LoadedConfig, name: &str) -> Result<(), String> {
    let path: &Path = &clinic.base.join(&clinic.config.outbox.path);
    let reader = outbox::OutboxReader::open(path).await.map_err(|error| error.to_string())?;
    let letters = reader.dead_letters(100).await.map_err(|error| error.to_string())?;
    let rows: Vec<_> = letters
        .into_iter()
        .map(|letter| [name.to_owned(), letter.feed, letter.record_id, letter.reason])
        .collect();
    say::table(["clinic", "feed", "record", "reason"], &rows);
    reader.close().await;
    Ok(())
}

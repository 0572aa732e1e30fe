//! `city-registry show`: prints the facts of a subject, or counts over the store.

use chrono::{DateTime, Utc};
use clap::Args;
use contract::Fact;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line};
use serde_json::{Value, json};

use super::config_file::LoadedConfig;
use super::name::{NameArgument, name, printed};
use crate::view::find_subjects;
use crate::{CityPseudonym, Keys, Reader, Stats, StoredFact, SubjectView};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct ShowArguments {
    /// A person's pseudonym as a portal computes it, SUITE/SCHEME/EPOCH/HEX, such as hmac/snils/1/…
    /// (64 hex characters); or a name as this program prints it, stored:SUITE/SCHEME/EPOCH/HEX. May
    /// be given several times for one person.
    #[arg(long, group = "what", value_parser = name, value_name = "NAME")]
    subject: Vec<NameArgument>,
    /// Counts over the whole store; "facts of", "persons of" and "passes of" by the suites of the
    /// names that records state, that persons have, and that passes are counted under. Among the
    /// withdrawn vaccinations are the beacons of gateways, which state nothing of anybody.
    #[arg(long, group = "what")]
    stats: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl ShowArguments {
    /// Returns whether facts of a person are asked for.
    pub(super) const fn is_about_a_person(&self) -> bool {
        !self.subject.is_empty()
    }

    /// Words of the command in the audit log: of one that shows a person, not counts alone.
    pub(super) fn audited(&self) -> Option<&'static str> {
        self.is_about_a_person().then_some("show subject")
    }
}

pub(super) async fn show(
    arguments: &ShowArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    if arguments.stats {
        let stats = reader.stats().await?;
        let alive = match &loaded.config.tokens {
            Some(_) => Some(reader.alive_clinics(now).await?),
            None => None,
        };
        if arguments.json {
            let mut all = json!(stats);
            if let Some(alive) = alive {
                all["alive_clinics"] = json!(alive);
            }
            print_json(&all);
        } else {
            print_stats(&stats);
            if let Some(alive) = alive {
                print_line(format!(
                    "alive       clinics by their tokens of the UTC day: {} today so far, {} \
                     yesterday",
                    alive.today, alive.yesterday
                ));
            }
        }
    }
    if arguments.is_about_a_person() {
        let names = arguments.subject.iter();
        let values: Vec<_> = names.flat_map(|name| name.values(&reader)).collect();
        let subjects = find_subjects(&reader.store, &values).await?;
        counts.note_len("subjects", subjects.len());
        if arguments.json {
            let list: Vec<Value> = subjects.iter().map(subject_json).collect();
            print_json(&list.into());
        }
        if subjects.is_empty() {
            return Err(Failure::Later("nobody is known under these names".into()));
        }
        if !arguments.json {
            subjects.iter().for_each(print_subject);
        }
    }
    reader.close().await;
    Ok(())
}

fn print_stats(stats: &Stats) {
    print_line(format!("subjects    {}", stats.subjects));
    for (name, counts) in [
        ("pseudonyms", &stats.pseudonyms),
        ("asserted", &stats.asserted),
        ("facts of", &stats.facts_by_suite),
        ("persons of", &stats.subjects_by_suite),
        ("passes of", &stats.passes_by_suite),
        ("withdrawn", &stats.withdrawn),
        ("purged", &stats.purged),
        ("deleted", &stats.deleted),
        ("expired", &stats.expired),
        ("refusals", &stats.refusals),
    ] {
        let entries: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        print_line(format!(
            "{name:<11} {}",
            if entries.is_empty() {
                "none".to_owned()
            } else {
                entries.join(", ")
            }
        ));
    }
    print_line(format!("conflicts   {}", stats.conflicts));
    if stats.without_owner > 0 {
        print_line(format!(
            "unclaimed   {} records from before owner tokens: the next version claims each",
            stats.without_owner
        ));
    }
}

fn print_subject(subject: &SubjectView) {
    print_line(format!(
        "subject with {} pseudonyms, {} facts",
        subject.pseudonyms.len(),
        subject.facts.len()
    ));
    for name in &subject.pseudonyms {
        print_line(format!("  {}", printed(name)));
    }
    for StoredFact {
        record,
        version,
        kind,
        fact,
        ..
    } in &subject.facts
    {
        let (date, text) = fact.as_ref().map(date_and_text).unwrap_or_default();
        let record = hex::encode(&record[..4]);
        print_line(format!(
            "  {date:<10}  {:<11}  {text:<40}  record {record}… version {}",
            kind.as_str(),
            version.to_u64()
        ));
    }
}

/// Formats a fact: its date, and the rest as text.
fn date_and_text(fact: &Fact) -> (String, String) {
    match fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => {
            let dose = match (dose_number, series_doses) {
                (Some(dose), Some(of)) => format!(", dose {dose} of {of}"),
                (Some(dose), None) => format!(", dose {dose}"),
                (None, _) => String::new(),
            };
            (
                occurred_on.to_string(),
                format!("{}{dose}", vaccine.as_str()),
            )
        }
        Fact::Test {
            test,
            result,
            occurred_on,
        } => (
            occurred_on.to_string(),
            format!("{} (LOINC {})", result.as_str(), test.loinc()),
        ),
        Fact::Recovery {
            began_on,
            occurred_on,
        } => (
            occurred_on.to_string(),
            began_on
                .map(|date| format!("ill since {date}"))
                .unwrap_or_default(),
        ),
    }
}

fn subject_json(subject: &SubjectView) -> Value {
    let pseudonym = |of: &CityPseudonym| {
        json!({
            "suite": of.suite.as_str(),
            "scheme": of.scheme.as_str(),
            "epoch": of.epoch,
            "value": hex::encode(of.value),
        })
    };
    json!({
        "pseudonyms": subject.pseudonyms.iter().map(pseudonym).collect::<Vec<_>>(),
        "facts": subject.facts.iter().map(fact_json).collect::<Vec<_>>(),
    })
}

fn fact_json(stored: &StoredFact) -> Value {
    let fact = stored.fact.as_ref().map(|fact| match fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => json!({
            "occurred_on": occurred_on.to_string(), "vaccine": vaccine.as_str(),
            "dose_number": dose_number, "series_doses": series_doses,
        }),
        Fact::Test {
            test,
            result,
            occurred_on,
        } => json!({
            "occurred_on": occurred_on.to_string(), "test": test.loinc(), "result": result.as_str(),
        }),
        Fact::Recovery {
            began_on,
            occurred_on,
        } => json!({
            "occurred_on": occurred_on.to_string(),
            "began_on": began_on.map(|date| date.to_string()),
        }),
    });
    json!({
        "record": hex::encode(stored.record),
        "version": stored.version.to_u64().to_string(),
        "kind": stored.kind.as_str(),
        "fact": fact,
    })
}

//! `clinic-gateway withheld`: lists the records that stay here since facts of too few persons leave
//! alike.

use chrono::{DateTime, Utc};
use clap::Args;
use clock::Clock;
use outbox::WithheldRecord;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line, print_table, visible};

use super::age::ago;
use super::arguments::require_source;
use super::outbox_file;
use crate::config::LoadedConfig;
use crate::gateway::{self, StartError};

#[derive(Debug, Args)]
pub(super) struct WithheldArguments {
    /// Only of this source.
    source: Option<String>,
    /// Number of records to list, the oldest first.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn withheld(
    arguments: &WithheldArguments,
    loaded: &LoadedConfig,
    clock: &dyn Clock,
    counts: &mut Counts,
) -> Result<(), Failure> {
    if let Some(source) = &arguments.source {
        require_source(loaded, source)?;
    }
    let secrets = gateway::read_ring(loaded)?.record_secrets();
    let reader = outbox_file::open(loaded).await?;
    let records = reader
        .withheld_records(&secrets, arguments.source.as_deref(), arguments.limit)
        .await
        .map_err(StartError::from)?;
    counts.note_len("records", records.len());
    if arguments.json {
        print_json(&serde_json::json!(records));
        return Ok(());
    }
    if records.is_empty() {
        print_line("nothing is withheld");
        return Ok(());
    }
    let now = clock.now();
    let rows: Vec<_> = records.iter().map(|record| row(record, now)).collect();
    print_table(["source", "feed", "record", "since", "persons"], &rows);
    if records.len() == usize::try_from(arguments.limit).unwrap_or(usize::MAX) {
        print_line("there may be more: --limit");
    }
    Ok(())
}

fn row(record: &WithheldRecord, now: DateTime<Utc>) -> [String; 5] {
    let persons = match record.persons {
        Some(persons) => format!("{persons} of {}", record.least_persons),
        None => format!(
            "{0} of {0}: leaves at the end of the next run",
            record.least_persons
        ),
    };
    [
        record.source.clone(),
        record.feed.clone(),
        visible(&record.record_id).into_owned(),
        ago(now, record.since),
        persons,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_what_it_waits_for() {
        let now = "2021-07-05T12:00:00Z".parse().expect("a time");
        let record = WithheldRecord {
            source: "mis".into(),
            feed: "vaccinations".into(),
            record_id: "17\u{1b}[2J".into(),
            since: Some(now - chrono::TimeDelta::hours(3)),
            persons: Some(2),
            least_persons: 5,
        };
        let [.., id, since, persons] = row(&record, now);
        assert!(!id.contains('\u{1b}'), "{id}");
        assert_eq!([&*since, &*persons], ["3 h ago", "2 of 5"]);
        let due = WithheldRecord {
            persons: None,
            ..record
        };
        let [.., persons] = row(&due, now);
        assert_eq!(persons, "5 of 5: leaves at the end of the next run");
    }
}

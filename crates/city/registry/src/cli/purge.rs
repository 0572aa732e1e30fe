//! `city-registry purge`: what a compromised account stated is withdrawn.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use contract::FactKind;
use escrow::RecordList;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line};
use serde_json::json;
use settings::read_regular_file;

use super::config_file::LoadedConfig;
use crate::{Keys, Purged, Reader};

#[derive(Debug, Args)]
pub(super) struct PurgeArguments {
    /// List of records, as `auditor open` writes it.
    #[arg(value_name = "FILE")]
    list: PathBuf,
    /// Count what would be withdrawn, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Withdraw nothing, and have newer versions of the purged records of this list taken again:
    /// once their clinic is in order, and is to send them anew.
    #[arg(long, conflicts_with = "dry_run")]
    permit: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl PurgeArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        match (self.dry_run, self.permit) {
            (true, _) => "purge --dry-run",
            (_, true) => "purge --permit",
            _ => "purge",
        }
    }
}

pub(super) async fn purge(
    arguments: &PurgeArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let path = arguments.list.display();
    let text = read_list(&arguments.list)?;
    let list = RecordList::from_text(&text).map_err(|error| {
        Failure::change(format!(
            "{path}: {error}; give a list that `auditor open` wrote"
        ))
    })?;
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let mut reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    reader.store.set_rules(loaded.config.consume.link_rules());
    let done = if arguments.permit {
        permit(&reader, &list, arguments.json, counts).await
    } else {
        withdraw(&reader, &list, arguments, now, counts).await
    };
    reader.close().await;
    done
}

fn read_list(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let bytes = read_regular_file(path, u64::MAX).map_err(|error| {
        Failure::Change(format!(
            "the list {shown} cannot be read: {error}; give a list that `auditor open` wrote"
        ))
    })?;
    if bytes.trim_ascii().is_empty() {
        return Err(Failure::Change(format!(
            "the list {shown} is empty; give a list that `auditor open` wrote"
        )));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::Change(format!(
            "the list {shown} is no text; give a list that `auditor open` wrote"
        ))
    })
}

async fn permit(
    reader: &Reader,
    list: &RecordList,
    as_json: bool,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let permitted = reader.permit(list).await?;
    counts.note("records", permitted);
    if as_json {
        print_json(&json!({ "permitted": permitted }));
    } else {
        print_line(format!(
            "purged records of which newer versions are taken again: {permitted}"
        ));
    }
    Ok(())
}

async fn withdraw(
    reader: &Reader,
    list: &RecordList,
    arguments: &PurgeArguments,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut shown = 0;
    let progress = |records: usize| {
        if records - shown >= SHOWN_EVERY && !arguments.json {
            shown = records;
            print_line(format!("{records} records looked at"));
        }
    };
    let purged = reader.purge(list, arguments.dry_run, now, progress).await?;
    counts.note_len("facts", purged.withdrawn.values().sum());
    counts.note_len("persons", purged.persons);
    if arguments.json {
        print_json(&report_json(list, &purged, arguments.dry_run));
    } else {
        print_line(format!("sha256 of the list: {}", list.checksum()));
        print_report(&purged, arguments.dry_run);
    }
    Ok(())
}

/// Number of records after which the progress is shown.
const SHOWN_EVERY: usize = 10_000;

fn print_report(purged: &Purged, is_dry_run: bool) {
    let all: usize = purged.withdrawn.values().sum();
    let done = if is_dry_run {
        "facts that would be withdrawn (nothing was changed)"
    } else {
        "facts withdrawn"
    };
    print_line(format!("{done}: {all}"));
    for kind in FactKind::ALL {
        let facts = purged.withdrawn.get(&kind).copied().unwrap_or_default();
        print_line(format!("  {}: {facts}", kind.as_str()));
    }
    let records = [
        (
            purged.already_withdrawn,
            "withdrawn already, by the account itself or by a purge that was permitted since",
        ),
        (
            purged.already_purged,
            "purged before, or of a deleted person",
        ),
        (
            purged.other_version,
            "stored in a version that the list does not name, and kept",
        ),
        (purged.unknown, "not stored"),
    ];
    for (count, what) in records {
        print_line(format!("records {what}: {count}"));
    }
    print_line(format!("persons who had such facts: {}", purged.persons));
    print_line(format!(
        "passes and certificates of these persons, judged anew by the portal's next look: {}",
        purged.passes
    ));
}

fn report_json(list: &RecordList, purged: &Purged, is_dry_run: bool) -> serde_json::Value {
    let facts = FactKind::ALL.map(|kind| {
        let facts = purged.withdrawn.get(&kind).copied().unwrap_or_default();
        (kind.as_str().to_owned(), json!(facts))
    });
    json!({
        "dry_run": is_dry_run,
        "listed_versions": list.records().len(),
        "list_sha256": list.checksum(),
        "facts_withdrawn": serde_json::Map::from_iter(facts),
        "already_withdrawn": purged.already_withdrawn,
        "already_purged": purged.already_purged,
        "other_version": purged.other_version,
        "unknown": purged.unknown,
        "persons": purged.persons,
        "passes": purged.passes,
    })
}

//! `city-registry delete-subject`: everything that is known of one person goes, because that person
//! has asked for it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use contract::{FactKind, Pseudonym};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line};
use serde_json::json;
use settings::read_regular_file;

use super::config_file::LoadedConfig;
use super::name::pseudonym;
use super::rules::check_epochs;
use crate::{Deleted, Keys, Reader};

/// Most bytes of pseudonyms that are read.
const MAX_BYTES: u64 = 16 * 1024;
/// Most pseudonyms of one person.
const MAX_PSEUDONYMS: usize = 64;

#[derive(Debug, Args)]
pub(super) struct DeleteSubjectArguments {
    /// File with the person's pseudonyms, each on a line of its own, as `city-portal pseudonyms`
    /// prints them. Default: standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Count what would go, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete also where the registry keeps the pseudonyms apart as several persons' names.
    #[arg(long)]
    several: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl DeleteSubjectArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        if self.dry_run {
            "delete-subject --dry-run"
        } else {
            "delete-subject"
        }
    }
}

pub(super) async fn delete_subject(
    arguments: &DeleteSubjectArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let pseudonyms = pseudonyms(&read(arguments.file.as_deref())?)?;
    check_epochs(&pseudonyms, &loaded.config.keys.pseudonym_epochs)?;
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let mut reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    reader.store.set_rules(loaded.config.consume.link_rules());
    let done = delete(&reader, &pseudonyms, arguments, now).await;
    reader.close().await;
    let deleted = done?;
    counts.note_len("persons", deleted.persons);
    counts.note_len("facts", deleted.facts());
    if arguments.json {
        print_json(&report_json(&deleted, arguments.dry_run));
    } else {
        print_report(&deleted, arguments.dry_run);
    }
    Ok(())
}

async fn delete(
    reader: &Reader,
    pseudonyms: &[Pseudonym],
    arguments: &DeleteSubjectArguments,
    now: DateTime<Utc>,
) -> Result<Deleted, Failure> {
    if !arguments.several {
        let persons = reader.persons_behind(pseudonyms).await?;
        match persons {
            0 => return Err(Failure::later("nobody is known under these pseudonyms")),
            1 => {}
            _ => {
                return Err(Failure::Look(format!(
                    "the registry keeps these pseudonyms apart, as names of {persons} persons: \
                     look at them with `city-registry persons show`, then repeat the command with \
                     --several to delete all of them"
                )));
            }
        }
    }
    let deleted = reader
        .delete_persons(pseudonyms, arguments.dry_run, now)
        .await?;
    if deleted.persons == 0 {
        return Err(Failure::later("nobody is known under these pseudonyms"));
    }
    Ok(deleted)
}

fn read(file: Option<&Path>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match file {
        Some(path) => {
            bytes = read_regular_file(path, MAX_BYTES + 1)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        }
        None => {
            let mut input = std::io::stdin().lock().take(MAX_BYTES + 1);
            input.read_to_end(&mut bytes).map_err(|error| {
                Failure::Usage(format!("standard input cannot be read: {}", error.kind()))
            })?;
        }
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::Usage(format!(
            "there are more than {MAX_BYTES} bytes of pseudonyms; name those of one person"
        )));
    }
    String::from_utf8(bytes).map_err(|_| Failure::usage("this is no UTF-8 text"))
}

/// Pseudonyms of one person, one a line. Errors name the line and nothing of it.
fn pseudonyms(text: &str) -> Result<Vec<Pseudonym>, Failure> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let read = |(number, line): (usize, &str)| {
        pseudonym(line).map_err(|what| Failure::Usage(format!("line {number}: {what}")))
    };
    let pseudonyms: Vec<Pseudonym> = lines.map(read).collect::<Result<_, _>>()?;
    match pseudonyms.len() {
        0 => Err(Failure::usage(
            "there is no pseudonym; `city-portal pseudonyms` prints those of a person",
        )),
        1..=MAX_PSEUDONYMS => Ok(pseudonyms),
        _ => Err(Failure::Usage(format!(
            "there are more than {MAX_PSEUDONYMS} pseudonyms; name those of one person"
        ))),
    }
}

fn print_report(deleted: &Deleted, is_dry_run: bool) {
    let done = if is_dry_run {
        "facts that would be deleted (nothing was changed)"
    } else {
        "facts deleted"
    };
    print_line(format!("{done}: {}", deleted.facts()));
    for kind in FactKind::ALL {
        let facts = deleted.purged.withdrawn.get(&kind).copied();
        print_line(format!(
            "  {}: {}",
            kind.as_str(),
            facts.unwrap_or_default()
        ));
    }
    print_line(format!("persons: {}", deleted.persons));
    print_line(format!("pseudonyms that they had: {}", deleted.pseudonyms));
    print_line(format!(
        "passes and certificates, ended by the portal's next look: {}",
        deleted.purged.passes
    ));
}

fn report_json(deleted: &Deleted, is_dry_run: bool) -> serde_json::Value {
    let facts = FactKind::ALL.map(|kind| {
        let facts = deleted.purged.withdrawn.get(&kind).copied();
        (kind.as_str().to_owned(), json!(facts.unwrap_or_default()))
    });
    json!({
        "dry_run": is_dry_run,
        "deleted": facts.into_iter().collect::<serde_json::Map<_, _>>(),
        "persons": deleted.persons,
        "pseudonyms": deleted.pseudonyms,
        "passes": deleted.purged.passes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_are_read_line_by_line_and_a_mistake_names_its_line() {
        let good = format!("hmac/snils/1/{}", "ab".repeat(32));
        let text = format!("\n{good}\n  {good} \n");
        assert_eq!(pseudonyms(&text).unwrap().len(), 2);
        let Err(Failure::Usage(told)) = pseudonyms(&format!("{good}\nhmac/snils/secret")) else {
            panic!("it was read");
        };
        assert!(
            told.starts_with("line 2: ") && !told.contains("secret"),
            "{told}"
        );
        assert!(pseudonyms("\n").is_err());
        assert!(pseudonyms(&format!("{good}\n").repeat(64)).is_ok());
        assert!(pseudonyms(&format!("{good}\n").repeat(65)).is_err());
    }
}

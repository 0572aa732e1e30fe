//! `city-registry persons`: shows names that records disagree about, and takes an operator's
//! decisions about them.

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use linking::{CityPseudonym, Decision, NameSet};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line, print_table};
use serde_json::{Value, json};

use super::config_file::LoadedConfig;
use super::name::{NameArgument, name, printed};
use crate::store::{ActionRow, Around, ContestRow, NameValue};
use crate::{Keys, Reader};

#[derive(Debug, Subcommand)]
pub(super) enum PersonsCommand {
    /// List names that records disagree about, the newest first.
    Conflicts(ListArguments),
    /// Show what is connected with a name: persons, and how many records state which names
    /// together.
    Show(ShowArguments),
    /// Let a name stand alone, whatever records say; or take that back with --undo.
    Split(SplitArguments),
    /// Make two names one person's, whatever records say; or take that back with --undo.
    Join(JoinArguments),
    /// List what operators have decided, the newest first.
    Actions(ListArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Most lines.
    #[arg(long, default_value = "1000")]
    limit: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The name as this program prints it, stored:SUITE/SCHEME/EPOCH/HEX or its 64 hex characters
    /// alone; or a person's pseudonym as a portal computes it, SUITE/SCHEME/EPOCH/HEX.
    #[arg(value_parser = name, value_name = "NAME")]
    name: NameArgument,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SplitArguments {
    /// The name, as in `persons show`.
    #[arg(value_parser = name, value_name = "NAME")]
    name: NameArgument,
    /// Take the decision back.
    #[arg(long)]
    undo: bool,
}

#[derive(Debug, Args)]
pub(super) struct JoinArguments {
    /// Name of one person, as in `persons show`.
    #[arg(value_parser = name, value_name = "NAME")]
    one: NameArgument,
    /// Name that is the same person's.
    #[arg(value_parser = name, value_name = "OTHER")]
    other: NameArgument,
    /// Take the decision back.
    #[arg(long)]
    undo: bool,
}

impl PersonsCommand {
    /// Words of the command in the audit log: all of them show or decide about single persons.
    pub(super) const fn audited(&self) -> Option<&'static str> {
        Some(match self {
            Self::Conflicts(_) => "persons conflicts",
            Self::Show(_) => "persons show",
            Self::Split(_) => "persons split",
            Self::Join(_) => "persons join",
            Self::Actions(_) => "persons actions",
        })
    }
}

pub(super) async fn persons(
    command: &PersonsCommand,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let mut reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    reader.store.set_rules(loaded.config.consume.link_rules());
    let done = match command {
        PersonsCommand::Conflicts(arguments) => conflicts(&reader, arguments, counts).await,
        PersonsCommand::Show(arguments) => show(&reader, arguments, counts).await,
        PersonsCommand::Split(arguments) => split(&reader, arguments, now, counts).await,
        PersonsCommand::Join(arguments) => join(&reader, arguments, now, counts).await,
        PersonsCommand::Actions(arguments) => actions(&reader, arguments, counts).await,
    };
    reader.close().await;
    done
}

async fn conflicts(
    reader: &Reader,
    arguments: &ListArguments,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let found = reader.contests(arguments.limit).await?;
    counts.note_len("names", found.len());
    if arguments.json {
        let list: Vec<Value> = found.iter().map(contest_json).collect();
        print_json(&list.into());
    } else if found.is_empty() {
        print_line("no name that records disagree about");
    } else {
        let rows = found.iter().map(|contest| {
            let words = kind_in_words(&contest.kind).to_owned();
            [contest.first_seen_at.clone(), printed(&contest.name), words]
        });
        print_table(["since", "name", "why"], &rows.collect::<Vec<_>>());
    }
    Ok(())
}

/// Words for a kind of disagreement.
fn kind_in_words(kind: &str) -> &'static str {
    match kind {
        "tie" => "as many records give it to one person as to another: it is with neither",
        "minority" => "some records give it to another person",
        "one-record" => "one record alone would join its person with another",
        _ => "more is connected with it than can be one person's",
    }
}

async fn show(
    reader: &Reader,
    arguments: &ShowArguments,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let found = find(reader, arguments.name).await?;
    counts.note_len("persons", found.around.persons.len());
    if arguments.json {
        print_json(&around_json(&found.around));
    } else {
        print_around(&found.around);
    }
    Ok(())
}

async fn split(
    reader: &Reader,
    arguments: &SplitArguments,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let name = decided(reader, arguments.name, arguments.undo).await?;
    let done = decide(reader, Decision::Alone(name), !arguments.undo, now).await?;
    counts.note("changed", u64::from(done));
    let name = hex::encode(name);
    if !done && arguments.undo {
        return Err(Failure::Later(format!(
            "nobody has decided that {name} stands alone"
        )));
    }
    print_line(match (done, arguments.undo) {
        (true, false) => format!("{name} stands alone from now on"),
        (true, true) => format!("records say again whose name {name} is"),
        (false, _) => format!("{name} stood alone already"),
    });
    Ok(())
}

async fn join(
    reader: &Reader,
    arguments: &JoinArguments,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let one = decided(reader, arguments.one, arguments.undo).await?;
    let other = decided(reader, arguments.other, arguments.undo).await?;
    if one == other {
        return Err(Failure::Usage("these are one and the same name".into()));
    }
    let decision = Decision::Together(one, other);
    let done = decide(reader, decision, !arguments.undo, now).await?;
    counts.note("changed", u64::from(done));
    if !done && arguments.undo {
        return Err(Failure::Later(
            "nobody has decided that the two are one person's".to_owned(),
        ));
    }
    print_line(match (done, arguments.undo) {
        (true, false) => {
            "the two are one person's from now on; a name that stands alone stays alone"
        }
        (true, true) => "records say again whether the two are one person's",
        (false, _) => "it was decided already that the two are one person's",
    });
    Ok(())
}

/// Writes a decision, and returns whether it changed anything.
async fn decide(
    reader: &Reader,
    decision: Decision,
    holds: bool,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    Ok(reader.decide(decision, holds, now).await?)
}

async fn actions(
    reader: &Reader,
    arguments: &ListArguments,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let found = reader.actions(arguments.limit).await?;
    counts.note_len("decisions", found.len());
    if arguments.json {
        let list: Vec<Value> = found.iter().map(action_json).collect();
        print_json(&list.into());
    } else if found.is_empty() {
        print_line("nothing was decided");
    } else {
        let rows = found.iter().map(|action| {
            let names = [Some(action.one), action.other].into_iter().flatten();
            let names: Vec<String> = names.map(hex::encode).collect();
            [
                action.done_at.clone(),
                action.action.clone(),
                names.join(" "),
            ]
        });
        print_table(["when", "what", "names"], &rows.collect::<Vec<_>>());
    }
    Ok(())
}

/// Name that is stored, with what is connected with it.
struct Found {
    value: NameValue,
    around: Around,
}

async fn find(reader: &Reader, name: NameArgument) -> Result<Found, Failure> {
    for value in name.values(reader) {
        if let Some(around) = reader.around(&value).await? {
            return Ok(Found { value, around });
        }
    }
    Err(Failure::Later("no such name is stored".into()))
}

/// Value of a name to decide about. A decision about a name that is not stored any more can be
/// taken back by its value.
async fn decided(
    reader: &Reader,
    name: NameArgument,
    is_undone: bool,
) -> Result<NameValue, Failure> {
    match (find(reader, name).await, name) {
        (Ok(found), _) => Ok(found.value),
        (Err(_), NameArgument::Value(value)) if is_undone => Ok(value),
        (Err(error), _) => Err(error),
    }
}

fn print_around(around: &Around) {
    for (place, person) in around.persons.iter().enumerate() {
        let which = if place == 0 {
            "the person"
        } else {
            "another person"
        };
        print_line(format!("{which}, {} records", person.records));
        for name in &person.names {
            print_line(format!("  {}", printed(name)));
        }
    }
    print_line("names that records state together");
    for set in &around.sets {
        let names: Vec<String> = set.names.iter().map(short).collect();
        print_line(format!("  {} records: {}", set.records, names.join(" + ")));
    }
    for decision in &around.decisions {
        print_line(match decision {
            Decision::Alone(name) => format!("decided: {} stands alone", hex::encode(name)),
            Decision::Together(one, other) => format!(
                "decided: {} and {} are one person's",
                hex::encode(one),
                hex::encode(other)
            ),
        });
    }
    if around.is_cut {
        print_line("more is connected with it than is shown here");
    }
}

/// Scheme and first characters of a name, enough to find it among the persons' names above.
fn short(name: &CityPseudonym) -> String {
    format!(
        "{}/{}/{}…",
        name.scheme.as_str(),
        name.epoch,
        hex::encode(&name.value[..4])
    )
}

fn contest_json(contest: &ContestRow) -> Value {
    json!({
        "since": contest.first_seen_at,
        "name": printed(&contest.name),
        "kind": contest.kind,
    })
}

fn action_json(action: &ActionRow) -> Value {
    json!({
        "when": action.done_at,
        "action": action.action,
        "one": hex::encode(action.one),
        "other": action.other.map(hex::encode),
    })
}

fn around_json(around: &Around) -> Value {
    let names = |names: &[CityPseudonym]| names.iter().map(printed).collect::<Vec<_>>();
    let persons = around
        .persons
        .iter()
        .map(|person| json!({ "names": names(&person.names), "records": person.records }));
    let set = |set: &NameSet| json!({ "names": names(&set.names), "records": set.records });
    let decisions = around.decisions.iter().map(|decision| match decision {
        Decision::Alone(name) => json!({ "alone": hex::encode(name) }),
        Decision::Together(one, other) => {
            json!({ "together": [hex::encode(one), hex::encode(other)] })
        }
    });
    json!({
        "persons": persons.collect::<Vec<_>>(),
        "sets": around.sets.iter().map(set).collect::<Vec<_>>(),
        "decisions": decisions.collect::<Vec<_>>(),
        "complete": !around.is_cut,
    })
}

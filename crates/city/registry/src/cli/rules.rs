//! `city-registry rules`: runs the worked cases beside the rules, applies the rules to a person.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use clock::Clock;
use contract::Pseudonym;
use eligibility::{Cases, Eligibility, Language, Rules, run_cases};
use linking::OpenEpoch;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{print_json, print_line};
use serde_json::{Value, json};
use settings::read_regular_file;

use super::audit::audited;
use super::config_file::{self, LoadedConfig};
use super::name::pseudonym;
use crate::passes::{PassesConfig, eligibility};
use crate::{Keys, Reader};

/// Largest file of rules or cases, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Apply the rules to the worked cases and compare the answers; needs no registry. Ends with 65
    /// if one differs.
    Test(TestArguments),
    /// Say on which days a person is entitled to a pass by these rules, or why not; needs the
    /// registry's configuration.
    Apply(ApplyArguments),
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// The rules.
    #[arg(long, default_value = "pass-rules.toml")]
    rules: PathBuf,
    /// The worked cases. Default: beside the rules, the same name ending with -cases.toml.
    #[arg(long)]
    cases: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// The rules.
    #[arg(long, default_value = "pass-rules.toml")]
    rules: PathBuf,
    /// The person's pseudonym as a portal computes it, SUITE/SCHEME/EPOCH/HEX, such as
    /// hmac/snils/1/… (64 hex characters). May be given several times for one person.
    #[arg(long, required = true, value_parser = pseudonym, value_name = "PSEUDONYM")]
    subject: Vec<Pseudonym>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl RulesCommand {
    /// Words of the command in the audit log: of the one that asks about a person.
    pub(super) const fn audited(&self) -> Option<&'static str> {
        match self {
            Self::Test(_) => None,
            Self::Apply(_) => Some("rules apply"),
        }
    }
}

pub(super) async fn rules(
    command: &RulesCommand,
    config: &Path,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    match command {
        RulesCommand::Test(arguments) => test(arguments),
        RulesCommand::Apply(arguments) => {
            let loaded = config_file::open(config)?;
            let work =
                async |counts: &mut Counts| apply(arguments, &loaded, clock.now(), counts).await;
            audited(command.audited(), &loaded, clock, work).await
        }
    }
}

fn test(arguments: &TestArguments) -> Result<(), Failure> {
    let rules = read_rules(&arguments.rules)?;
    let beside = || cases_beside(&arguments.rules);
    let path = arguments.cases.clone().unwrap_or_else(beside);
    let cases = Cases::parse(&read(&path)?, &path)?;
    let results = run_cases(&rules, &cases);
    for result in &results {
        print_line(result.to_string());
    }
    let failed = results.iter().filter(|result| !result.passed()).count();
    print_line(format!(
        "rules of version {}: {} cases passed, {failed} failed",
        rules.version(),
        results.len() - failed
    ));
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::look(
        "the rules give other answers than the worked cases expect",
    ))
}

async fn apply(
    arguments: &ApplyArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let rules = read_rules(&arguments.rules)?;
    check_epochs(&arguments.subject, &loaded.config.keys.pseudonym_epochs)?;
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    let answer = eligibility(&reader, &rules, &arguments.subject, now).await?;
    reader.close().await;
    counts.note("persons", 1);
    if arguments.json {
        print_json(&answer_json(&answer));
    } else {
        print_answer(&answer);
    }
    Ok(())
}

/// Refuses pseudonyms of keys that are not open: nothing is known under them, whoever it is.
pub(super) fn check_epochs(subject: &[Pseudonym], open: &[OpenEpoch]) -> Result<(), Failure> {
    match subject.iter().find(|one| !OpenEpoch::is_open(open, one)) {
        None => Ok(()),
        Some(one) => Err(Failure::Usage(format!(
            "epoch {} is not open for suite {}; keys.pseudonym_epochs says which are: {}",
            one.epoch,
            one.suite.as_str(),
            open_list(open)
        ))),
    }
}

/// Open epochs as configuration writes them.
pub(super) fn open_list(open: &[OpenEpoch]) -> String {
    let each: Vec<String> = open.iter().map(OpenEpoch::to_string).collect();
    format!("[{}]", each.join(", "))
}

fn answer_json(answer: &Eligibility) -> Value {
    let covered = answer.covered.iter().map(|interval| {
        let last = interval.last().map(|day| day.to_string());
        json!({ "from": interval.from.to_string(), "last": last })
    });
    let reasons = answer.reasons.iter().map(|reason| reason.as_str());
    json!({
        "today": answer.today.to_string(),
        "covered": covered.collect::<Vec<_>>(),
        "reasons": reasons.collect::<Vec<_>>(),
    })
}

fn print_answer(answer: &Eligibility) {
    for interval in &answer.covered {
        let last = interval.last().map_or_else(
            || "beyond the next 400 days".to_owned(),
            |day| format!("to {day}"),
        );
        print_line(format!("entitled from {} {last}", interval.from));
    }
    for reason in &answer.reasons {
        let sentence = reason.sentence(Language::English);
        print_line(format!("not today: {}: {sentence}", reason.as_str()));
    }
}

/// Section `[passes]` of the configuration.
pub(super) fn passes_config(loaded: &LoadedConfig) -> Result<&PassesConfig, Failure> {
    loaded.config.passes.as_ref().ok_or_else(|| {
        Failure::Change(
            "no passes are issued, as there is no [passes] in the configuration; \
             `city-registry init` in an empty folder writes one, with its keys"
                .into(),
        )
    })
}

/// Reads a file of rules.
pub(super) fn read_rules(path: &Path) -> Result<Rules, Failure> {
    Ok(Rules::parse(&read(path)?, path)?)
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = read_regular_file(path, MAX_BYTES + 1);
    let bytes = bytes.map_err(|error| Failure::Change(format!("{}: {error}", path.display())))?;
    // What was cut off would be missing in the rules without a word.
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::Change(format!(
            "{} is larger than {MAX_BYTES} bytes; is it the right file?",
            path.display()
        )));
    }
    String::from_utf8(bytes)
        .map_err(|_| Failure::Change(format!("{} is no UTF-8 text", path.display())))
}

/// Path of the worked cases beside the rules.
fn cases_beside(rules: &Path) -> PathBuf {
    let stem = rules.file_stem().unwrap_or_default().to_string_lossy();
    rules.with_file_name(format!("{stem}-cases.toml"))
}

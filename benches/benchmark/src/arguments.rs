//! Command line of the benchmark: its options, their limits and its help text.

use std::fmt;

use lexopt::prelude::{Long, Short, ValueExt};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Text that `--help` prints.
pub(crate) const HELP: &str = "\
Measures, on private servers made for it, how fast and in how much memory clinic-gateway and \
city-registry do their work,
beside what reading, writing and the broker cost at least and beside what a user would write or \
install instead. A
measurement fails when a fact is lost on the way; the others go on, and the exit code is 1.

Usage: cargo xtask bench [OPTIONS]

Parts, in this order:
  stages    each limit, and the gateway (PostgreSQL, MariaDB) and the registry beside it, in turn
  peers     scripts and general tools on the same job
  latency   from a commit at the clinic to the commit at the registry
  crowd     many gateways and several registries at once
  growth    loading, syncing again, sweeping, reconciling, restarting: from small clinics to \
  large ones
  idle      what the largest clinics of growth cost while nothing changes
  schemas   a first load, an unchanged run and a content sweep of clinics whose tables are joined
  fhir      a first load and an unchanged run of a clinic whose system offers FHIR
  suites    a first load in each pseudonym suite, with one key service and with two, beside the \
  bare evaluation
  relay     the mix relay beside a bare loop that consumes and publishes the same batches
  tokens    sending and storing batches with one-use tokens and without
  rekey     a change of stored names to a new key, beside bare multiplications
  passes    looking a person up at the registry, and looking for passes that have ended

  --only PART[,PART…]      only these parts
  --records N[,N…]         growth: sizes of the clinic [10000,100000,1000000,10000000], each 1000 \
  to 10000000
  --stage-records N[,N…]   stages and peers: sizes of the clinic, of peers the last one [1000000]
  --repetitions N          how often each size up to 1000000 is measured for stages, and up to \
  100000 for growth [3];
                           larger ones once
  --schema-records N       schemas: records of each clinic [500000]
  --fhir-records N         fhir: records of the clinic [100000]
  --fhir-url URL           fhir: base address of a FHIR server that somebody else made, empty and \
  without a login, which is filled
                           by ordinary requests and measured as well
  --fhir-url-records N     fhir: records that it gets [20000]
  --suite-records N        suites: persons of the clinic, a record each [20000]
  --pairs N                suites, relay, tokens, rekey: how often both sides of a ratio are \
  measured in turn [7]
  --token-records N        tokens: records of the clinic [100000]
  --rekey-names N          rekey: names at the registry [100000]
  --registry-records N     growth: the largest size that is taken to the registry and reconciled \
  [10000000]
  --subjects N             passes: persons at the registry [10000000]
  --page-records N         records in a page of the gateway [the gateway's default]
  --batch-events N         most events in one sealed batch, 1 to 1000 [the gateway's default]
  --write                  write docs/performance.md too, from the newest results of every part
  --compose                measure nothing: tell, and with --write write, the newest results of \
  every part
  --keep                   keep configurations, keys and outboxes, and say where they are
  -h, --help               this text

Each part's raw samples are kept in target/bench/PART-TIME.json, and with --write those the page \
shows, if nothing failed,
in benches/results/PART.json too; what the page should not show is to be deleted in both. Builds \
the programs first.
Needs the servers' packages (scripts/install-servers), no containers and no root, and 2 GiB of \
disk for each
million records of the largest clinic. Everything takes about half an hour. Leave the machine \
alone meanwhile.";

/// Action that the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Print the help text.
    Help,
    /// Measure, with these options.
    Measure(BenchOptions),
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// Each limit, and the programs beside it.
    Stages,
    /// Programs that a user would write or install instead.
    Peers,
    /// A single fact's way.
    Latency,
    /// Many gateways at once.
    Crowd,
    /// Small clinics to large ones.
    Growth,
    /// An unchanged clinic; after growth, whose gateways it takes over.
    Idle,
    /// Clinics whose tables are joined.
    Schemas,
    /// A clinic whose system offers FHIR.
    Fhir,
    /// A clinic in each pseudonym suite.
    Suites,
    /// The mix relay.
    Relay,
    /// Batches with one-use tokens.
    Tokens,
    /// Stored names under a new key of the key services.
    Rekey,
    /// Persons looked up at the registry, and passes that have ended.
    Passes,
}

impl Part {
    /// All, in the order they are run.
    pub(crate) const ALL: [Self; 13] = [
        Self::Stages,
        Self::Peers,
        Self::Latency,
        Self::Crowd,
        Self::Growth,
        Self::Idle,
        Self::Schemas,
        Self::Fhir,
        Self::Suites,
        Self::Relay,
        Self::Tokens,
        Self::Rekey,
        Self::Passes,
    ];

    /// Word for the part on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stages => "stages",
            Self::Peers => "peers",
            Self::Latency => "latency",
            Self::Crowd => "crowd",
            Self::Growth => "growth",
            Self::Idle => "idle",
            Self::Schemas => "schemas",
            Self::Fhir => "fhir",
            Self::Suites => "suites",
            Self::Relay => "relay",
            Self::Tokens => "tokens",
            Self::Rekey => "rekey",
            Self::Passes => "passes",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Options of the benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// The parts to measure, in order; none to compose only.
    pub parts: Vec<Part>,
    /// Sizes of the clinic for growth in records, rising.
    pub records: Vec<u64>,
    /// Sizes of the clinic for stages, rising.
    pub stage_records: Vec<u64>,
    /// Number of measurements of each of the smaller sizes.
    pub repetitions: u32,
    /// Size of each clinic for schemas, in records.
    pub schema_records: u64,
    /// Size of the clinic for fhir, in records.
    pub fhir_records: u64,
    /// Base address of a FHIR server that is measured as well, for fhir.
    pub fhir_url: Option<String>,
    /// Number of records that it gets.
    pub fhir_url_records: u64,
    /// Persons of the clinic for suites.
    pub suite_records: u64,
    /// Number of measurements of each side for suites, relay, tokens and rekey.
    pub pairs: u32,
    /// Size of the clinic for tokens, in records.
    pub token_records: u64,
    /// Names at the registry for rekey.
    pub rekey_names: u64,
    /// The largest clinic whose facts go to the registry.
    pub registry_records: u64,
    /// Persons at the registry, for passes.
    pub subjects: u64,
    /// Records in a page of the gateway; `None`: its default.
    pub page_records: Option<u32>,
    /// Most events in a sealed batch; `None`: the gateway's default.
    pub batch_events: Option<u32>,
    /// Keep what was made.
    pub keep: bool,
    /// Write `docs/performance.md`.
    pub write: bool,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            parts: Part::ALL.to_vec(),
            records: vec![10_000, 100_000, 1_000_000, 10_000_000],
            stage_records: vec![1_000_000],
            repetitions: 3,
            schema_records: 500_000,
            fhir_records: 100_000,
            fhir_url: None,
            fhir_url_records: 20_000,
            suite_records: 20_000,
            pairs: 7,
            token_records: 100_000,
            rekey_names: 100_000,
            registry_records: MOST_RECORDS.into(),
            subjects: MOST_RECORDS.into(),
            page_records: None,
            batch_events: None,
            keep: false,
            write: false,
        }
    }
}

/// The largest clinic.
const MOST_RECORDS: u32 = 10_000_000;

/// Reads the command line.
pub(crate) fn read(mut parser: lexopt::Parser) -> Result<Action, Error> {
    let mut options = BenchOptions::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("only") => options.parts = parts(&text(&mut parser)?)?,
            Long("compose") => options.parts.clear(),
            Long("records") => options.records = sizes(&text(&mut parser)?)?,
            Long("stage-records") => options.stage_records = sizes(&text(&mut parser)?)?,
            Long("repetitions") => options.repetitions = number(&text(&mut parser)?, 1, 100)?,
            Long("schema-records") => {
                options.schema_records = number(&text(&mut parser)?, 1000, MOST_RECORDS)?.into();
            }
            Long("fhir-records") => {
                options.fhir_records = number(&text(&mut parser)?, 1000, 1_000_000)?.into();
            }
            Long("fhir-url") => options.fhir_url = Some(text(&mut parser)?),
            Long("fhir-url-records") => {
                options.fhir_url_records = number(&text(&mut parser)?, 1000, 1_000_000)?.into();
            }
            Long("suite-records") => {
                options.suite_records = number(&text(&mut parser)?, 1000, 1_000_000)?.into();
            }
            Long("pairs") => options.pairs = number(&text(&mut parser)?, 1, 100)?,
            Long("token-records") => {
                options.token_records = number(&text(&mut parser)?, 1000, 1_000_000)?.into();
            }
            Long("rekey-names") => {
                options.rekey_names = number(&text(&mut parser)?, 1000, 1_000_000)?.into();
            }
            Long("registry-records") => {
                options.registry_records = number(&text(&mut parser)?, 0, MOST_RECORDS)?.into();
            }
            Long("subjects") => {
                options.subjects = number(&text(&mut parser)?, 1000, MOST_RECORDS)?.into();
            }
            Long("page-records") => {
                options.page_records = Some(number(&text(&mut parser)?, 1, 10_000)?)
            }
            Long("batch-events") => {
                options.batch_events = Some(number(&text(&mut parser)?, 1, 1000)?)
            }
            Long("keep") => options.keep = true,
            Long("write") => options.write = true,
            Long("help") | Short('h') => return Ok(Action::Help),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Action::Measure(options))
}

fn parts(list: &str) -> Result<Vec<Part>, Error> {
    let named = list.split(',').map(|word| {
        let part = Part::ALL
            .into_iter()
            .find(|part| part.name() == word.trim());
        part.ok_or_else(|| {
            let known = Part::ALL.map(Part::name).join(", ");
            Error::Usage(format!(
                "{word:?} is no part of the benchmark; there are {known}"
            ))
        })
    });
    let mut parts = named.collect::<Result<Vec<_>, _>>()?;
    parts.sort_unstable();
    parts.dedup();
    Ok(parts)
}

fn sizes(list: &str) -> Result<Vec<u64>, Error> {
    let sizes: Result<Vec<u64>, Error> = list
        .split(',')
        .map(|size| number(size, 1000, MOST_RECORDS).map(u64::from))
        .collect();
    let mut sizes = sizes?;
    sizes.sort_unstable();
    sizes.dedup();
    Ok(sizes)
}

fn number(text: &str, least: u32, most: u32) -> Result<u32, Error> {
    text.trim()
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            Error::Usage(format!(
                "{text:?} is not a whole number from {least} to {most}"
            ))
        })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Error> {
    parser.value().and_then(ValueExt::string).map_err(usage)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "signature of a map_err argument"
)]
fn usage(error: lexopt::Error) -> Error {
    Error::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Action, String> {
        let words = std::iter::once("benchmark").chain(line.split_whitespace());
        read(lexopt::Parser::from_iter(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_and_parts_are_sorted_and_everything_else_has_a_default() {
        let expected = BenchOptions {
            parts: vec![Part::Stages, Part::Growth],
            records: vec![1000, 20_000],
            keep: true,
            ..BenchOptions::default()
        };
        let line = "--only growth,stages,growth --records 20000,1000,20000 --keep";
        assert_eq!(parse(line), Ok(Action::Measure(expected)));
        assert_eq!(parse(""), Ok(Action::Measure(BenchOptions::default())));
        assert_eq!(parse("--help"), Ok(Action::Help));
    }

    #[test]
    fn the_gateways_own_settings_stay_unless_set() {
        let Ok(Action::Measure(BenchOptions {
            page_records: None,
            batch_events: None,
            ..
        })) = parse("")
        else {
            panic!("a default was set")
        };
        let expected = BenchOptions {
            parts: Vec::new(),
            stage_records: vec![5000],
            registry_records: 0,
            subjects: 2000,
            suite_records: 3000,
            page_records: Some(5000),
            batch_events: Some(1),
            write: true,
            ..BenchOptions::default()
        };
        let line = "--compose --write --stage-records 5000 --registry-records 0 \
            --subjects 2000 --suite-records 3000 --page-records 5000 --batch-events 1";
        assert_eq!(parse(line), Ok(Action::Measure(expected)));
    }

    #[test]
    fn every_part_stands_in_the_help() {
        for part in Part::ALL {
            assert!(HELP.contains(&format!("\n  {:<10}", part.name())), "{part}");
        }
    }

    #[test]
    fn impossible_options_are_refused() {
        for (line, part) in [
            ("--records 10", "\"10\" is not a whole number from 1000"),
            ("--records 10000001", "to 10000000"),
            ("--records 1000,", "\"\" is not"),
            (
                "--only stages,fast",
                "\"fast\" is no part of the benchmark; there are stages, peers",
            ),
            ("--batch-events 1001", "to 1000"),
            ("--subjects 999", "from 1000 to 10000000"),
            ("--suite-records 1000001", "from 1000 to 1000000"),
            ("--page-records 0", "from 1 to 10000"),
            ("--repetitions", "missing"),
            ("--fast", "--fast"),
            ("build", "build"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(
                error.contains(part) && error.ends_with("see cargo xtask bench --help"),
                "{error}"
            );
        }
    }
}

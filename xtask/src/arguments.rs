//! What `cargo xtask` can be asked.

use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::error::Error;

const HELP: &str = "\
The project's chores.

Usage: cargo xtask CHORE [OPTIONS]

Chores:
  bench    measure gateway and registry beside what the machine can do at best; cargo xtask bench --help";

const BENCH_HELP: &str = "\
Measures, on a private PostgreSQL and a private RabbitMQ made for it: how fast the clinic's database can be read at best,
how fast the broker takes the same sealed batches at best, and how fast and in how much memory clinic-gateway and
city-registry do the whole work. Fails when a fact is lost on the way.

Usage: cargo xtask bench [OPTIONS]

  --records N[,N…]   sizes of the clinic [20000,200000], each 1000 to 2000000
  --repetitions N    how often everything is measured, one thing after the other [3]
  --batch-events N   most events in one sealed batch, 1 to 1000 [250]
  --write            write the figures to docs/performance.md too
  --keep             keep configurations, keys and outboxes, and say where they are
  -h, --help         this text

Builds the two programs first. Needs the servers' packages (scripts/install-servers), no containers and no root, and
about 1 GiB of disk for each million records. Leave the machine alone meanwhile.";

/// A chore.
#[derive(Debug, PartialEq, Eq)]
pub enum Chore {
    /// Print a text.
    Help(&'static str),
    /// Run the benchmark.
    Bench(BenchOptions),
}

/// How to run the benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchOptions {
    /// Sizes of the clinic in records, rising.
    pub records: Vec<u64>,
    /// How often everything is measured.
    pub repetitions: u32,
    /// Most events in a sealed batch.
    pub batch_events: u32,
    /// Keep what was made.
    pub keep: bool,
    /// Write `docs/performance.md`.
    pub write: bool,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { records: vec![20_000, 200_000], repetitions: 3, batch_events: 250, keep: false, write: false }
    }
}

/// Reads the command line.
pub fn read(mut parser: lexopt::Parser) -> Result<Chore, Error> {
    match parser.next().map_err(usage)? {
        None | Some(Long("help") | Short('h')) => Ok(Chore::Help(HELP)),
        Some(Value(name)) if name == "bench" => bench(parser),
        Some(other) => Err(usage(other.unexpected())),
    }
}

fn bench(mut parser: lexopt::Parser) -> Result<Chore, Error> {
    let mut options = BenchOptions::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("records") => options.records = sizes(&text(&mut parser)?)?,
            Long("repetitions") => options.repetitions = number(&text(&mut parser)?, 1, 100)?,
            Long("batch-events") => options.batch_events = number(&text(&mut parser)?, 1, 1000)?,
            Long("keep") => options.keep = true,
            Long("write") => options.write = true,
            Long("help") | Short('h') => return Ok(Chore::Help(BENCH_HELP)),
            other => return Err(usage(other.unexpected())),
        }
    }
    Ok(Chore::Bench(options))
}

fn sizes(list: &str) -> Result<Vec<u64>, Error> {
    let sizes: Result<Vec<u64>, Error> =
        list.split(',').map(|size| number(size, 1000, 2_000_000).map(u64::from)).collect();
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
        .ok_or_else(|| Error::Usage(format!("{text:?} is not a whole number from {least} to {most}")))
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Error> {
    parser.value().and_then(ValueExt::string).map_err(usage)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn usage(error: lexopt::Error) -> Error {
    Error::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Chore, String> {
        let words = std::iter::once("xtask").chain(line.split_whitespace());
        read(lexopt::Parser::from_iter(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_are_sorted_and_everything_else_has_a_default() {
        let expected = BenchOptions { records: vec![1000, 20_000], keep: true, ..BenchOptions::default() };
        assert_eq!(parse("bench --records 20000,1000,20000 --keep"), Ok(Chore::Bench(expected)));
        assert_eq!(parse("bench"), Ok(Chore::Bench(BenchOptions::default())));
        assert_eq!(parse("bench --help"), Ok(Chore::Help(BENCH_HELP)));
        assert_eq!(parse(""), Ok(Chore::Help(HELP)));
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        for (line, part) in [
            ("bench --records 10", "\"10\" is not a whole number from 1000"),
            ("bench --records 1000,", "\"\" is not"),
            ("bench --batch-events 1001", "to 1000"),
            ("bench --repetitions", "missing"),
            ("bench --fast", "--fast"),
            ("build", "build"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part) && error.ends_with("see cargo xtask --help"), "{error}");
        }
    }
}

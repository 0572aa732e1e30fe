//! Runs test vector files of the EU Digital COVID Certificate and compares what each expects with
//! what is found.
//!
//! The form is that of the public test data: members `JSON`, `CBOR`, `COSE`, `COMPRESSED`,
//! `BASE45`, `PREFIX`, `2DCODE`, `TESTCTX` and `EXPECTEDRESULTS`, each of which but the last may be
//! missing.

mod clock;
mod compare;
mod expectations;
mod file;
mod fixed;
mod show;
mod tree;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::report::Report;
use crate::ending::Ending;
use crate::input::{InputError, Source};
use expectations::Outcome;
use file::{Vector, VectorFault};
use fixed::Fixed;

/// Outcome of one vector file.
struct Ran {
    /// Path of the file, as it is shown.
    name: String,
    result: RunResult,
}

/// Result of a vector file.
enum RunResult {
    /// The vector was run.
    Compared {
        description: String,
        outcomes: Vec<Outcome>,
        /// Findings on the whole way from the picture or the text on.
        way: Report,
    },
    /// The file cannot be read as a vector, in words.
    Unreadable(String),
}

/// Vectors of a run, and the files of folders that are something else.
#[derive(Default)]
struct Run {
    ran: Vec<Ran>,
    /// Number of JSON files in folders that are no test vectors.
    skipped: usize,
}

/// Runs each file, and of a folder every vector in it. A difference makes the run invalid, as does
/// a file of a folder that cannot be read; if nothing could be compared the run cannot tell.
pub(crate) fn run(
    paths: &[PathBuf],
    now: DateTime<Utc>,
    as_json: bool,
) -> Result<Ending, InputError> {
    let mut run = Run::default();
    for path in paths {
        if path != Path::new("-") && tree::is_folder(path)? {
            folder(path, now, &mut run)?;
        } else {
            let source = Source::of(path);
            let ran = file(&source, now)?.map_err(|fault| unfit(&source, &fault))?;
            run.ran.push(ran);
        }
    }
    if as_json {
        show::json(&run);
    } else {
        show::words(&run);
    }
    Ok(run.ending())
}

/// Runs the vectors of a folder; at least one must be there.
fn folder(path: &Path, now: DateTime<Utc>, run: &mut Run) -> Result<(), InputError> {
    let before = run.ran.len();
    for path in tree::files(path)? {
        let source = Source::of(&path);
        let unreadable = |words: String| Ran {
            name: source.name(),
            result: RunResult::Unreadable(words),
        };
        match file(&source, now) {
            Ok(Ok(ran)) => run.ran.push(ran),
            Ok(Err(VectorFault::Other)) => run.skipped += 1,
            Ok(Err(fault)) => run.ran.push(unreadable(fault.to_string())),
            Err(fault) => run.ran.push(unreadable(fault.to_string())),
        }
    }
    if run.ran.len() == before {
        let name = Source::of(path).name();
        let words = "there is no test vector in this folder: no .json file with EXPECTEDRESULTS";
        return Err(InputError::Unfit(name, words.to_owned()));
    }
    Ok(())
}

/// Runs the text of one file; true if it is a vector.
#[cfg(feature = "fuzzing")]
pub(crate) fn run_text(text: &str, now: DateTime<Utc>) -> bool {
    Vector::read(text).is_ok_and(|vector| {
        let fixed = Fixed::new(&vector, now);
        let _ = ending(&expectations::outcomes(&fixed));
        true
    })
}

/// Runs one file; the outer fault is that of reading it, the inner one that it is no vector.
fn file(source: &Source, now: DateTime<Utc>) -> Result<Result<Ran, VectorFault>, InputError> {
    let vector = match Vector::read(&source.read_text()?) {
        Ok(vector) => vector,
        Err(fault) => return Ok(Err(fault)),
    };
    let fixed = Fixed::new(&vector, now);
    let outcomes = expectations::outcomes(&fixed);
    Ok(Ok(Ran {
        name: source.name(),
        result: RunResult::Compared {
            description: vector.description().to_owned(),
            outcomes,
            way: fixed.way,
        },
    }))
}

fn unfit(source: &Source, fault: &VectorFault) -> InputError {
    InputError::Unfit(source.name(), fault.to_string())
}

impl Run {
    /// End of the run: that of the worst vector; but a vector in which nothing could be compared
    /// counts only if there is no other.
    fn ending(&self) -> Ending {
        let ends = || self.ran.iter().map(Ran::ending);
        let compared = ends().filter(|end| *end != Ending::CannotTell).max();
        compared.unwrap_or(Ending::CannotTell)
    }
}

impl Ran {
    fn ending(&self) -> Ending {
        match &self.result {
            RunResult::Compared { outcomes, .. } => ending(outcomes),
            RunResult::Unreadable(_) => Ending::Invalid,
        }
    }
}

fn ending(outcomes: &[Outcome]) -> Ending {
    if outcomes.iter().any(Outcome::differs) {
        Ending::Invalid
    } else if outcomes.iter().any(Outcome::agrees) {
        Ending::Valid
    } else {
        Ending::CannotTell
    }
}

#[cfg(test)]
mod tests;

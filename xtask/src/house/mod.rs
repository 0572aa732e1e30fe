//! `cargo xtask house`: measures the source text, tests left out, and prints one table.

mod cycles;
mod docs;
mod names;
mod shape;
mod source;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::{Long, Short};

use crate::error::Error;
use crate::{print, workspace};
use source::SourceFile;
use table::{Measures, Row};

/// Text of `cargo xtask house --help`.
const HELP: &str = "\
Measures the project's source text, tests left out, and prints one table.

Usage: cargo xtask house [OPTIONS]

  --check      exit with 1 if there is a module cycle or a value packed into a tuple
  --list ROW   print the places that a row of the table counts, for instance --list riddles
  -h, --help   this text";

/// Place in the source text, with a few words about what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    line: usize,
    what: String,
}

impl Place {
    fn new(file: &SourceFile, line: usize, what: String) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// Does what the rest of the command line says.
///
/// # Errors
/// [`Error::Usage`] and the failures of reading the files.
pub(crate) fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Error> {
    let mut check = false;
    let mut listed = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("check") => check = true,
            Long("list") => listed = Some(parser.value()?.to_string_lossy().into_owned()),
            Long("help") | Short('h') => {
                print::line(HELP);
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let measures = Measures::of(&source::read_all(workspace())?);
    let rows = measures.rows();
    if let Some(name) = listed {
        list(&rows, &name)?;
        return Ok(ExitCode::SUCCESS);
    }
    print::line(&table::text(&rows));
    if !check {
        return Ok(ExitCode::SUCCESS);
    }
    let broken: Vec<&Row> = rows
        .iter()
        .filter(|row| row.must_be_empty && !row.places.is_empty())
        .collect();
    for row in &broken {
        print::error(&format!(
            "{}: there must be none\n  {}",
            row.label,
            row.places.join("\n  ")
        ));
    }
    Ok(ExitCode::from(u8::from(!broken.is_empty())))
}

fn list(rows: &[Row], name: &str) -> Result<(), Error> {
    let Some(row) = rows.iter().find(|row| row.name == name) else {
        let known: Vec<&str> = rows
            .iter()
            .filter(|row| !row.name.is_empty())
            .map(|row| row.name)
            .collect();
        let known = known.join(", ");
        return Err(Error::Usage(format!(
            "{name:?} is no row; there are {known}"
        )));
    };
    for place in &row.places {
        print::line(place);
    }
    Ok(())
}

//! `cargo xtask`: the project's chores.

mod error;
mod house;
mod print;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use error::Error;
use lexopt::prelude::{Long, Short, Value};

/// Text of `cargo xtask --help`.
const HELP: &str = "\
The project's chores.

Usage: cargo xtask CHORE [OPTIONS]

Chores:
  house    measure the source text: lines, functions, docs, module cycles, names
  bench    measure the programs beside what the machine can do at best

cargo xtask CHORE --help tells more.";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            print::error(&error.to_string());
            ExitCode::from(if matches!(error, Error::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn run(arguments: &[OsString]) -> Result<ExitCode, Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    match parser.next()? {
        None | Some(Long("help") | Short('h')) => {
            print::line(HELP);
            Ok(ExitCode::SUCCESS)
        }
        Some(Value(name)) if name == "house" => house::run(parser),
        Some(Value(name)) if name == "bench" => benchmark(&arguments[1..]),
        Some(other) => Err(other.unexpected().into()),
    }
}

/// Builds and runs the benchmark, a package of its own, with optimisation.
fn benchmark(arguments: &[OsString]) -> Result<ExitCode, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "benchmark",
            "--",
        ])
        .args(arguments)
        .current_dir(workspace())
        .status()
        .map_err(Error::io("start cargo"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Root folder of the workspace.
fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

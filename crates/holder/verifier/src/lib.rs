//! Checks of passes, and of certificates of others, without network: the program `pass`.

mod cli;
mod door;
mod ending;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hcert;
mod input;

use std::process::ExitCode;

use clap::Parser;
use clock::{Clock, SystemClock};
use program::terminal;

use cli::{Arguments, Command};

/// Runs the program by the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let now = SystemClock::default().now();
    let ending = match arguments.command {
        Command::Verify(asked) => door::run(&asked, now),
        Command::Hcert(asked) => hcert::run(&asked, now),
    };
    match ending {
        Ok(ending) => ending.into(),
        Err(error) => {
            terminal::print_error(&error.to_string());
            ending::Ending::UnusableFile.into()
        }
    }
}

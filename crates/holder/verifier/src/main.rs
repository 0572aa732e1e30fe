//! The `pass` program: checks passes, and certificates of others, without network.

mod cli;
mod door;
mod ending;
mod hcert;
mod input;

use std::process::ExitCode;

use clap::Parser;
use clock::{Clock, SystemClock};
use program::terminal;

use cli::{Arguments, Command};

fn main() -> ExitCode {
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

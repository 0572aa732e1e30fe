//! Command line of `auditor`: arguments and commands.

mod audit;
mod keys;
mod open;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clock::{Clock as _, SystemClock};
use program::Failure;

/// Says which records an account stated, out of what relays and registries have laid down for it.
#[derive(Debug, Parser)]
#[command(name = "auditor", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (a disk without room); 2 wrong \
arguments; 65 parts of a folder could not be read, so that the list may lack records, or the audit \
log is damaged; 78 a file, a folder or a key has to be changed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key, or show the public key of one.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Write the list of the records that accounts stated in a period.
    Open(open::OpenArguments),
    /// Check the log of what was opened.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
}

/// Parses the arguments, runs the command, and returns the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    program::run(dispatch(Arguments::parse()))
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let clock = SystemClock::default();
    match arguments.command {
        Command::Keys(command) => keys::keys(&command),
        Command::Open(arguments) => open::open(&arguments, || clock.now()),
        Command::Audit(command) => audit::audit(&command),
    }
}

//! Command line of `city-portal`: arguments and commands.

mod check;
mod config_file;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;

/// Demonstration portal of a city: a citizen states an identifier, sees the status, and gets the
/// pass. Nothing of a citizen is kept.
#[derive(Debug, Parser)]
#[command(name = "city-portal", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "CITY_PORTAL_CONFIG",
        default_value = "city-portal.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (the registry is away); \
2 wrong arguments; 78 the configuration, a key or a certificate has to be changed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Read keys and certificates, ask the registry, and say what is wrong.
    Check,
    /// Serve the page, until SIGTERM or Ctrl-C.
    Run,
}

/// Parses the arguments, runs the command, and returns the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    program::run(dispatch(Arguments::parse()))
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let open = || config_file::open(&arguments.config);
    match arguments.command {
        Command::Check => check::check(&open()?, clock).await,
        Command::Run => {
            let signals = program::DaemonSignals::listen()?;
            run::run(&open()?, clock, signals.stop()?).await
        }
    }
}

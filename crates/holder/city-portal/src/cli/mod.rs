//! Command line of `city-portal`: arguments and commands.

mod audit;
mod check;
mod config_file;
mod pseudonyms;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;
use program::audit_log::{AuditCommand, audit as verify_log};

use self::audit::{audited, folder};

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
2 wrong arguments; 65 the audit log is damaged, or does not hold the head that was kept; \
78 the configuration, a key or a certificate has to be changed, or the audit log is damaged or \
cannot be written.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Read keys and certificates, ask the registry, and say what is wrong.
    Check,
    /// Print the pseudonyms of one person, whose identifiers are read from a file or standard input:
    /// for `city-registry delete-subject`.
    Pseudonyms(pseudonyms::PseudonymsArguments),
    /// Serve the page, until SIGTERM or Ctrl-C.
    Run,
    /// Check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
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
        Command::Pseudonyms(arguments) => {
            let loaded = open()?;
            audited("pseudonyms", &loaded, clock.as_ref(), async || {
                pseudonyms::pseudonyms(&arguments, &loaded).await
            })
            .await
        }
        Command::Run => {
            let signals = program::DaemonSignals::listen()?;
            let loaded = open()?;
            let stop = signals.stop()?;
            audited("run", &loaded, clock.as_ref(), async || {
                run::run(&loaded, Arc::clone(&clock), stop).await
            })
            .await
        }
        Command::Audit(command) => verify_log(&command, || Ok(folder(&open()?))),
    }
}

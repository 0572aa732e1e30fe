//! Command line of `city-registry`: arguments and commands.

mod check;
mod closing;
mod config_file;
mod dead_letters;
mod disks;
mod failure;
mod init;
mod keys;
mod persons;
mod portal;
mod rules;
mod run;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;

/// Keeps the pseudonymised vaccination, recovery and test facts that clinics send: facts, but not
/// who or from where.
#[derive(Debug, Parser)]
#[command(name = "city-registry", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "CITY_REGISTRY_CONFIG",
        default_value = "city-registry.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (a server away), or nothing was \
found; \
2 wrong arguments; 65 the rules give other answers than the worked cases expect; 78 the \
configuration, a key or an account has to be changed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration and fresh keys to begin with, and print the public key for the
    /// gateways.
    Init(init::InitArguments),
    /// Show keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Connect to everything and say what is wrong; makes the store's tables and the queue where
    /// missing.
    Check,
    /// Take batches from the queue into the store, until SIGTERM or Ctrl-C.
    Run(run::RunArguments),
    /// Answer portals that ask for passes, and publish what verifiers fetch, until SIGTERM or
    /// Ctrl-C.
    Portal,
    /// Look at batches that could not be read or stored, try them again, or throw them away.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Look at names that records disagree about, and decide whose they are.
    #[command(subcommand)]
    Persons(persons::PersonsCommand),
    /// Try the rules by which facts entitle to a pass.
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Look at a subject or at the counts.
    Show(show::ShowArguments),
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
        Command::Init(init) => init::init(&init, clock.now()),
        Command::Keys(command) => keys::keys(&command, &open()?),
        Command::Check => check::check(&open()?, clock.now()).await,
        Command::DeadLetters(command) => {
            dead_letters::dead_letters(&command, &open()?, clock.now()).await
        }
        Command::Persons(command) => persons::persons(&command, &open()?, clock.now()).await,
        Command::Run(run) if run.ends_by_itself() => {
            run::run(&run, &open()?, clock, program::stop_on_signal()?).await
        }
        Command::Run(run) => {
            let signals = program::DaemonSignals::listen()?;
            run::run(&run, &open()?, clock, signals.stop()?).await
        }
        Command::Portal => {
            let signals = program::DaemonSignals::listen()?;
            portal::portal(&open()?, clock, signals.stop()?).await
        }
        Command::Rules(command) => rules::rules(&command, &arguments.config, clock.now()).await,
        Command::Show(show) => show::show(&show, &open()?).await,
    }
}

//! Command line of `mix-relay`: arguments and commands.

mod check;
mod config_file;
mod init;
mod keys;
mod run;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;

/// Takes batches from each clinic's own queue and publishes them in slots, shuffled and stripped.
#[derive(Debug, Parser)]
#[command(name = "mix-relay", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "MIX_RELAY_CONFIG",
        default_value = "mix-relay.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (a broker that is away, a disk \
without room); 2 wrong arguments; 78 the configuration, a password, a certificate or an account has to be \
changed.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration to begin with, and the script that sets the clinics' broker up.
    Init(init::InitArguments),
    /// Read everything, connect to both brokers, look for every queue, and say what is wrong.
    Check,
    /// Take batches and publish them in slots, until SIGTERM or Ctrl-C.
    Run,
    /// Show the last day of every account, also beside a running relay.
    Status,
    /// Show the public keys that gateways seal to, or make a key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
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
        Command::Init(init) => init::init(&init),
        Command::Check => check::check(&open()?).await,
        Command::Run => {
            let signals = program::DaemonSignals::listen()?;
            run::run(&open()?, clock, signals.stop()?).await
        }
        Command::Keys(keys::KeysCommand::Show) => keys::show(&open()?),
        Command::Keys(keys::KeysCommand::New(new)) => keys::new(&new),
        Command::Status => status::status(&open()?, clock.now().date_naive()),
    }
}

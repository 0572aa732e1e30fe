//! Command line of `key-service`: arguments and commands.

mod check;
mod config_file;
mod init;
mod keys;
mod number;
mod rotate;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;
use program::audit_log::{AuditCommand, audit};

/// Evaluates blinded identifiers under a key of its own, and never learns whom they name; or issues
/// one-use tokens of batches and days.
#[derive(Debug, Parser)]
#[command(name = "key-service", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "KEY_SERVICE_CONFIG",
        default_value = "key-service.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (a disk without room); 2 wrong \
arguments; 65 the audit log is damaged, or does not hold the head that was kept; 78 the \
configuration, a key or a certificate has to be changed, or the audit log is damaged at a start.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration and fresh keys to begin with, and print the public keys.
    Init(init::InitArguments),
    /// Read keys, certificates, counts and audit log, try the addresses, and say what is wrong.
    Check,
    /// Answer clients, until SIGTERM or Ctrl-C.
    Run,
    /// Show the keys in use, or make a key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Work out the factor from an old key to a new one, which the city's registry takes to rotate.
    Rotate(rotate::RotateArguments),
    /// Write the key that takes another service's factor back: a refresh of shares, in which every
    /// pseudonym stays as it is.
    Refresh(rotate::RefreshArguments),
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
        Command::Init(init) => init::init(&init),
        Command::Check => check::check(&open()?).await,
        Command::Run => {
            let signals = program::DaemonSignals::listen()?;
            run::run(&open()?, clock, signals.stop()?).await
        }
        Command::Keys(keys::KeysCommand::Show) => keys::show(&open()?),
        Command::Keys(keys::KeysCommand::New(new)) => keys::new(&new, &arguments.config),
        Command::Rotate(rotate) => rotate::rotate(&rotate, &arguments.config),
        Command::Refresh(refresh) => rotate::refresh(&refresh, &arguments.config),
        Command::Audit(command) => audit(&command, || {
            let loaded = open()?;
            Ok(Some(loaded.base.join(&loaded.config.service.audit)))
        }),
    }
}

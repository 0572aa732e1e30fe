//! The command line: what can be asked, and which exit code an answer has.

mod check;
mod dead_letters;
mod init;
mod keys;
mod readiness;
mod run;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::registry::OpenRegistryError;
use crate::{Config, ConsumeError, KeysError, StoreError};

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
2 wrong arguments; 78 the configuration, a key or an account has to be changed.";

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
    /// Look at batches that could not be read or stored, try them again, or throw them away.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Look at a subject or at the counts.
    Show(show::ShowArguments),
}

/// How a command ends when it does not end well; the message goes to standard error.
#[derive(Debug)]
enum Failure {
    /// May succeed later. Exit code 1.
    Later(String),
    /// What was asked for makes no sense. Exit code 2.
    Usage(String),
    /// Somebody has to change something. Exit code 78 (`EX_CONFIG` of sysexits.h).
    Change(String),
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        Self::Change(error.to_string())
    }
}

impl From<OpenRegistryError> for Failure {
    fn from(error: OpenRegistryError) -> Self {
        let message = error.to_string();
        if error.is_misconfigured() {
            Self::Change(message)
        } else {
            Self::Later(message)
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(OpenRegistryError::Store(error))
    }
}

impl From<ConsumeError> for Failure {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Queue(error) => Self::from(OpenRegistryError::Queue(error)),
            ConsumeError::Store(error) => Self::from(error),
        }
    }
}

/// A configuration file that was read, and the folder its relative paths start from.
struct Loaded {
    config: Config,
    base: PathBuf,
}

/// Reads the arguments, does what they say, and gives the process its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&Failure::Later(format!(
                "the runtime cannot be started: {}",
                error.kind()
            )));
        }
    };
    let result = runtime.block_on(dispatch(arguments));
    // A blocking call that hangs (a stalled disk) must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(5));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    let (message, code) = match failure {
        Failure::Later(message) => (message, 1),
        Failure::Usage(message) => (message, 2),
        Failure::Change(message) => (message, 78),
    };
    telemetry::terminal::complain(message);
    ExitCode::from(code)
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let loaded = || load(&arguments.config);
    match arguments.command {
        Command::Init(init) => init::init(&init),
        Command::Keys(command) => keys::keys(&command, &loaded()?),
        Command::Check => check::check(&loaded()?).await,
        Command::DeadLetters(command) => {
            dead_letters::dead_letters(&command, &loaded()?, clock.now()).await
        }
        Command::Run(run) => run::run(&run, &loaded()?, clock, stop_on_signal()?).await,
        Command::Show(show) => show::show(&show, &loaded()?).await,
    }
}

fn load(path: &Path) -> Result<Loaded, Failure> {
    let config: Config =
        settings::load(path).map_err(|error| Failure::Change(error.to_string()))?;
    if let crate::StoreConfig::Postgres(postgres) = &config.store
        && let Some((what, help)) = postgres.mistake()
    {
        return Err(Failure::Change(
            settings::wrong(path, what, help).to_string(),
        ));
    }
    telemetry::init_logs(&config.log).map_err(|error| Failure::Change(error.to_string()))?;
    let base = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Loaded { config, base })
}

/// A token that SIGTERM or SIGINT cancels; a second signal ends the process at once.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    telemetry::signals::on_stop(move || stopper.cancel())
        .map_err(|kind| Failure::Later(format!("signals cannot be listened to: {kind}")))?;
    Ok(stop)
}

//! The command line: what can be asked, and which exit code an answer has.

mod ask;
mod check;
mod init;
mod keys;
mod letters;
mod out;
mod preview;
mod reconcile;
mod run;
mod status;
mod sweep;
mod sync;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use outbox::OutboxError;
use settings::SettingsError;
use tokio_util::sync::CancellationToken;

use crate::config::{self, LoadedConfig};
use crate::gateway::StartError;

/// Carries pseudonymised vaccination, recovery and test facts from a clinic to the city registry.
///
/// Nothing that tells who a person is, or which clinic this is, leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "clinic-gateway", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        env = "CLINIC_GATEWAY_CONFIG",
        default_value = "clinic-gateway.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 something failed and may succeed later (a server away, batches waiting, the \
outbox in use); \
2 wrong arguments; 78 the configuration, a key or an account has to be changed, or `check` found \
an error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration, a key ring and a state folder to begin with.
    Init(init::InitArguments),
    /// Connect to everything and say what is wrong, and what to write instead.
    Check(check::CheckArguments),
    /// Show a source's next records as they would leave, without sending anything.
    ///
    /// The last records of the run before may show once more; what has not changed is not sent
    /// again.
    Preview(preview::PreviewArguments),
    /// Run as a daemon: pull on schedule, publish, serve metrics, until SIGTERM or Ctrl-C.
    Run,
    /// Pull every source once, publish everything, and end.
    Sync(sync::SyncArguments),
    /// Show how in sync each source is, what waits and what was refused.
    Status(status::StatusArguments),
    /// Read all keys of a source now, so that what was deleted there is withdrawn.
    Sweep(sweep::SweepArguments),
    /// Permit the withdrawals that a sweep holds back because they are unusually many.
    ConfirmWithdrawals(sweep::ConfirmArguments),
    /// List, show, retry and discard what was refused.
    #[command(subcommand)]
    DeadLetters(letters::LettersCommand),
    /// Ask the registry whether it holds what was sent, and send what differs again.
    Reconcile(reconcile::ReconcileArguments),
    /// Make, show, share and rotate keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
}

/// How a command ends when it does not end well; the message goes to standard error.
#[derive(Debug)]
pub(crate) enum Failure {
    /// May succeed later. Exit code 1.
    Later(String),
    /// An argument that only the configuration shows to be wrong. Exit code 2, as for the others.
    Argument(String),
    /// Somebody has to change something. Exit code 78 (`EX_CONFIG` of sysexits.h).
    Change(String),
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match &error {
            SettingsError::Unreadable {
                kind: ErrorKind::NotFound,
                ..
            } => Self::Change(format!(
                "{error}\n  help: name it with --config, or write one with `clinic-gateway init`"
            )),
            _ => Self::Change(error.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match &error {
            // At a start, a file that cannot be opened is a matter of its owner and mode.
            StartError::Outbox(OutboxError::Io { .. }) => Self::Change(error.to_string()),
            // The other process will end some time.
            StartError::Outbox(OutboxError::Locked { .. }) => Self::Later(error.to_string()),
            StartError::Outbox(outbox) if outbox.is_retryable() => Self::Later(error.to_string()),
            StartError::Queue(queue) if queue.is_retry() => Self::Later(error.to_string()),
            _ => Self::Change(error.to_string()),
        }
    }
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::from(StartError::Outbox(error))
    }
}

/// Reads the arguments, does what they say, and gives the process its exit code.
#[must_use]
pub fn main() -> ExitCode {
    fault::arm_from_environment();
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
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    let (message, code) = match failure {
        Failure::Later(message) => (message, 1),
        Failure::Argument(message) => (message, 2),
        Failure::Change(message) => (message, 78),
    };
    out::complain(message);
    ExitCode::from(code)
}

async fn dispatch(arguments: Arguments) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let load = || open(&arguments.config);
    match arguments.command {
        Command::Init(init) => init::init(&init),
        Command::Keys(command) => keys::keys(&command, &arguments.config),
        Command::Schema => {
            out::json(&config::json_schema());
            Ok(())
        }
        Command::Check(check) => check::check(&check, &arguments.config, clock.as_ref()).await,
        Command::Preview(preview) => preview::preview(&preview, &load()?, clock.as_ref()).await,
        Command::Status(status) => status::status(&status, &load()?, clock.as_ref()).await,
        Command::Sync(sync) => sync::sync(&sync, &load()?, clock, stop_on_signal()?).await,
        Command::Run => run::run(&load()?, clock, stop_on_signal()?).await,
        Command::Sweep(sweep) => sweep::sweep(&sweep, &desk(&load()?, clock)?).await,
        Command::ConfirmWithdrawals(confirm) => {
            sweep::confirm(&confirm, &desk(&load()?, clock)?).await
        }
        Command::DeadLetters(command) => letters::letters(&command, &desk(&load()?, clock)?).await,
        Command::Reconcile(reconcile) => {
            reconcile::reconcile(&reconcile, &desk(&load()?, clock)?).await
        }
    }
}

fn desk(loaded: &LoadedConfig, clock: Arc<dyn Clock>) -> Result<ask::Desk<'_>, Failure> {
    Ok(ask::Desk {
        loaded,
        clock,
        stop: stop_on_signal()?,
    })
}

/// The running gateway has answered something else than was asked.
fn unexpected() -> Failure {
    Failure::Later(
        "the answer is not one to this request: is the running gateway another version?".to_owned(),
    )
}

/// What the operating system said, as a person would.
fn in_words(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        kind => kind.to_string(),
    }
}

/// Reads the configuration and begins to log as it says.
fn open(path: &Path) -> Result<LoadedConfig, Failure> {
    let loaded = config::load(path)?;
    telemetry::init_logs(&loaded.config.log).map_err(|error| Failure::Change(error.to_string()))?;
    Ok(loaded)
}

/// A token that SIGTERM or SIGINT cancels; a second signal ends the process at once, as the system
/// does by default.
fn stop_on_signal() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    telemetry::signals::on_stop(move || stopper.cancel())
        .map_err(|kind| Failure::Later(format!("signals cannot be listened to: {kind}")))?;
    Ok(stop)
}

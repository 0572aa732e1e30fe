//! Command line of `clinic-gateway`: arguments and commands.

mod accept_state;
mod age;
mod arguments;
mod audit;
mod check;
mod classes;
mod codes;
mod config_file;
mod confirm_withdrawals;
mod dead_letter_text;
mod dead_letters;
mod failure;
mod init;
mod keys;
mod keys_text;
mod outbox_file;
mod preview;
mod reconcile;
mod refreshed_keys;
mod release_text;
mod removed;
mod request_runner;
mod resend;
mod run;
mod slots_text;
mod status;
mod sweep;
mod sweep_help;
mod sync;
mod unknown;
mod withheld;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::audit_log::{AuditCommand, audit as verify_log};
use program::terminal::print_json;
use program::{DaemonSignals, Failure, stop_on_signal};

use crate::config;

use self::audit::{audited, folder};
use self::request_runner::RequestRunner;

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
outbox in use), nothing was found, or withdrawals are held; \
2 wrong arguments, among them a name or number that there is not; \
65 it is done, and something is left to look at (records that the registry refuses or holds \
differently, dead letters that are refused again), or the audit log is damaged or does not hold \
the head that was kept; \
78 the configuration, a key or an account has to be changed, or another gateway runs on a copy \
of this state, or the audit log is damaged or cannot be written. They mean the same for every \
command. Where several things are wrong, 78 goes before 1, and 1 before 65.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a configuration, a key ring and a state folder to begin with.
    ///
    /// With --look the clinic system is looked at, read-only: its tables and columns, or what its
    /// FHIR server declares. A section is proposed, and what its first rows would become is shown.
    Init(init::InitArguments),
    /// Connect to everything and say what is wrong, and what to write instead.
    Check(check::CheckArguments),
    /// Show a source's next records as they would leave, without sending anything.
    ///
    /// The last records of the run before may show once more; what has not changed is not sent
    /// again.
    Preview(preview::PreviewArguments),
    /// Print the values of a source that nobody has mapped, as a block of configuration to decide
    /// about: the most frequent first, each as a comment.
    ///
    /// Only values that are short, and that at least 3 persons have, are shown; the others are
    /// counted. Nothing of it leaves the clinic.
    Codes(codes::CodesArguments),
    /// Run as a daemon: pull on schedule, publish, serve metrics, until SIGTERM or Ctrl-C.
    Run,
    /// Pull every source once, publish everything, and end.
    Sync(sync::SyncArguments),
    /// Show how in sync each source is, what waits and what was refused.
    Status(status::StatusArguments),
    /// Read all keys of a source now, or with --contents all rows, so that what was deleted there is
    /// withdrawn, and what no pull has noticed is sent.
    Sweep(sweep::SweepArguments),
    /// Permit the withdrawals that are held back because they are unusually many: of rows that a
    /// sweep did not find, and of older versions of rows that are refused.
    ConfirmWithdrawals(confirm_withdrawals::ConfirmArguments),
    /// List, show, retry and discard what was refused.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// List the records that the release policy withholds: of fewer persons than it asks for the same
    /// is known.
    ///
    /// Each leaves by itself once persons are enough. The ids are the clinic's own; nothing of it
    /// leaves.
    Withheld(withheld::WithheldArguments),
    /// Ask the registry whether it holds what was sent; with --repair, send what differs again.
    Reconcile(reconcile::ReconcileArguments),
    /// Send the batches again at once that the queue has and whose receipts have not come.
    ///
    /// For when what kept the receipts away is mended, such as a wrong key of the relay or the
    /// registry: without it they are sent again after `registry.resend_after_seconds`, and after twice
    /// as long each time, up to a day.
    Resend(resend::ResendArguments),
    /// Go on with this state though another gateway was found to run on a copy of it.
    AcceptState(accept_state::AcceptStateArguments),
    /// Make, show, share, rotate and accept keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Check the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
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
        Command::Init(init) => init::init(&init, clock.now()).await,
        Command::Keys(command) => keys::keys(&command, &arguments.config, clock.as_ref()).await,
        Command::AcceptState(accept) => {
            let loaded = open()?;
            audited(accept.audited(), &loaded, clock.as_ref(), async |_| {
                accept_state::accept_state(&accept, &loaded).await
            })
            .await
        }
        Command::Audit(command) => verify_log(&command, || Ok(folder(&open()?))),
        Command::Schema => {
            print_json(&config::json_schema());
            Ok(())
        }
        Command::Check(check) => check::check(&check, &arguments.config, clock.as_ref()).await,
        Command::Preview(preview) => {
            let loaded = open()?;
            audited(Some("preview"), &loaded, clock.as_ref(), async |counts| {
                preview::preview(&preview, &loaded, clock.as_ref(), counts).await
            })
            .await
        }
        Command::Codes(codes) => codes::codes(&codes, &open()?, clock.as_ref()).await,
        Command::Withheld(arguments) => {
            let loaded = open()?;
            audited(Some("withheld"), &loaded, clock.as_ref(), async |counts| {
                withheld::withheld(&arguments, &loaded, clock.as_ref(), counts).await
            })
            .await
        }
        Command::Status(status) => status::status(&status, &open()?, clock.as_ref()).await,
        Command::Sync(sync) => {
            let loaded = open()?;
            let stop = stop_on_signal()?;
            audited(
                Some(sync.audited()),
                &loaded,
                clock.as_ref(),
                async |counts| sync::sync(&sync, &loaded, Arc::clone(&clock), stop, counts).await,
            )
            .await
        }
        Command::Run => {
            let signals = DaemonSignals::listen()?;
            let loaded = open()?;
            let stop = signals.stop()?;
            audited(Some("run"), &loaded, clock.as_ref(), async |_| {
                run::run(&loaded, Arc::clone(&clock), stop).await
            })
            .await
        }
        Command::Sweep(sweep) => {
            let runner = RequestRunner::new(open()?, clock)?;
            runner
                .audited(sweep.audited(), async |counts| {
                    sweep::sweep(&sweep, &runner, counts).await
                })
                .await
        }
        Command::ConfirmWithdrawals(confirm) => {
            let runner = RequestRunner::new(open()?, clock)?;
            runner
                .audited("confirm-withdrawals", async |counts| {
                    confirm_withdrawals::confirm(&confirm, &runner, counts).await
                })
                .await
        }
        Command::DeadLetters(command) => {
            let runner = RequestRunner::new(open()?, clock)?;
            runner
                .audited(command.audited(), async |counts| {
                    dead_letters::dead_letters(&command, &runner, counts).await
                })
                .await
        }
        Command::Resend(arguments) => {
            let runner = RequestRunner::new(open()?, clock)?;
            runner
                .audited("resend", async |counts| {
                    resend::resend(&arguments, &runner, counts).await
                })
                .await
        }
        Command::Reconcile(reconcile) => {
            let runner = RequestRunner::new(open()?, clock)?;
            runner
                .audited(reconcile.audited(), async |counts| {
                    reconcile::reconcile(&reconcile, &runner, counts).await
                })
                .await
        }
    }
}

//! Command line of `city-registry`: arguments and commands.

mod audit;
mod check;
mod closing;
mod config_file;
mod dead_letters;
mod delete_subject;
mod disks;
mod expire;
mod failure;
mod init;
mod keys;
mod name;
mod persons;
mod portal;
mod purge;
mod rekey;
mod rules;
mod run;
mod show;
mod tokens;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use clock::{Clock, SystemClock};
use program::Failure;
use program::audit_log::{AuditCommand, audit as verify_log};

use self::audit::{audited, folder};

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
2 wrong arguments; 65 the rules give other answers than the worked cases expect, the pseudonyms of \
delete-subject are several persons', or the audit log is damaged or does not hold the head that was \
kept; 78 the configuration, a key or an account has \
to be changed, or the audit log is damaged or cannot be written.";

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
    /// Withdraw the records of an auditor's list, because the account that stated them was
    /// compromised. Goes on where it was stopped; registries and portals may run meanwhile.
    Purge(purge::PurgeArguments),
    /// Delete everything that is known of one person, who has asked for it and is named by the
    /// pseudonyms that `city-portal pseudonyms` prints.
    DeleteSubject(delete_subject::DeleteSubjectArguments),
    /// Have facts expire that no pass can rest on any more, by [retention], as `run` does once a day.
    Expire(expire::ExpireArguments),
    /// Bring stored names of suite voprf under a new key of the key services, by the factors in
    /// keys.rekeyed. Goes on where it was stopped; registries and portals may run meanwhile.
    Rekey(rekey::RekeyArguments),
    /// Try the rules by which facts entitle to a pass.
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Look at a subject or at the counts.
    Show(show::ShowArguments),
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
        Command::Init(init) => init::init(&init, clock.now()),
        Command::Keys(command) => keys::keys(&command, &open()?),
        Command::Check => check::check(&open()?, clock.now()).await,
        Command::DeadLetters(command) => {
            let loaded = open()?;
            audited(command.audited(), &loaded, clock.as_ref(), async |counts| {
                dead_letters::dead_letters(&command, &loaded, clock.now(), counts).await
            })
            .await
        }
        Command::Persons(command) => {
            let loaded = open()?;
            audited(command.audited(), &loaded, clock.as_ref(), async |counts| {
                persons::persons(&command, &loaded, clock.now(), counts).await
            })
            .await
        }
        Command::Run(run) => {
            let signals = match run.ends_by_itself() {
                true => None,
                false => Some(program::DaemonSignals::listen()?),
            };
            let loaded = open()?;
            let stop = match signals {
                Some(signals) => signals.stop()?,
                None => program::stop_on_signal()?,
            };
            audited(Some("run"), &loaded, clock.as_ref(), async |counts| {
                run::run(&run, &loaded, Arc::clone(&clock), stop, counts).await
            })
            .await
        }
        Command::Portal => {
            let signals = program::DaemonSignals::listen()?;
            let loaded = open()?;
            let stop = signals.stop()?;
            audited(Some("portal"), &loaded, clock.as_ref(), async |_| {
                portal::portal(&loaded, Arc::clone(&clock), stop).await
            })
            .await
        }
        Command::Purge(purge) => {
            let loaded = open()?;
            audited(
                Some(purge.audited()),
                &loaded,
                clock.as_ref(),
                async |counts| purge::purge(&purge, &loaded, clock.now(), counts).await,
            )
            .await
        }
        Command::DeleteSubject(delete) => {
            let loaded = open()?;
            audited(
                Some(delete.audited()),
                &loaded,
                clock.as_ref(),
                async |counts| {
                    delete_subject::delete_subject(&delete, &loaded, clock.now(), counts).await
                },
            )
            .await
        }
        Command::Expire(expire) => {
            let loaded = open()?;
            audited(
                Some(expire.audited()),
                &loaded,
                clock.as_ref(),
                async |counts| expire::expire(&expire, &loaded, clock.now(), counts).await,
            )
            .await
        }
        Command::Rekey(rekey) => {
            let loaded = open()?;
            audited(Some("rekey"), &loaded, clock.as_ref(), async |counts| {
                rekey::rekey(&rekey, &loaded, clock.now(), counts).await
            })
            .await
        }
        Command::Rules(command) => rules::rules(&command, &arguments.config, clock.as_ref()).await,
        Command::Show(show) => {
            let loaded = open()?;
            audited(show.audited(), &loaded, clock.as_ref(), async |counts| {
                show::show(&show, &loaded, clock.now(), counts).await
            })
            .await
        }
        Command::Audit(command) => verify_log(&command, || Ok(folder(&open()?))),
    }
}

//! `clinic-gateway keys`: makes, shows, shares and rotates the key ring.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use clock::Clock;
use outbox::OutboxError;
use program::Failure;
use program::audit_log::Counts;
use program::files::write_secret;
use program::terminal::{print_json, print_line};
use pseudonym::{KeyRing, SharedKeys, Suite, Suites};

use super::audit::audited;
use super::keys_text::{leaving_text, print_keys, print_to_compare};
use super::refreshed_keys::refreshed;
use super::{config_file, outbox_file};
use crate::gateway::{self, StartError};
use crate::ring::fingerprints;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new key ring. Clinics of one city need the same pseudonym keys: the first makes them,
    /// the others join.
    New {
        /// The file to write (mode 0600); it must not exist.
        #[arg(long, default_value = "keys")]
        out: PathBuf,
        /// The city's shared pseudonym keys, as `keys share` wrote them; absent: new ones are made.
        #[arg(long)]
        join: Option<PathBuf>,
        /// Make a ring without pseudonym keys, for `suite = "voprf"`: key services hold them.
        #[arg(long, conflicts_with = "join")]
        record_only: bool,
    },
    /// Show epochs and fingerprints of the configured ring, never a key, and under which suites'
    /// names facts leave. Equal fingerprints are equal keys.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write the pseudonym keys (not this clinic's own record key) for another clinic or the
    /// portal.
    Share {
        /// The file to write (mode 0600); it must not exist. Carry it by a trusted way.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a ring with one more pseudonym epoch beside the present one; every fact is then sent
    /// under both. Done at one clinic of the city; the others take the new epoch over with `keys
    /// merge`.
    Rotate {
        /// The file to write (mode 0600); it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a ring with the epochs another clinic shared added; this clinic's record key stays.
    Merge {
        /// The shared keys, as `keys share` wrote them.
        shared: PathBuf,
        /// The file to write (mode 0600); it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a ring without an epoch, at the end of a rotation; or, once names of key services
    /// alone leave, without the last one.
    Retire {
        /// The epoch to leave out.
        epoch: u16,
        /// The file to write (mode 0600); it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Go on under the public keys of key services that have refreshed their shares. Asks them under
    /// the old and the new keys first, and changes nothing unless both make the same pseudonyms.
    /// Nothing is sent again. The gateway must be stopped.
    Refreshed {
        /// The configuration file as it was before, with the old public keys.
        #[arg(long, value_name = "FILE")]
        before: PathBuf,
    },
    /// Go on under the configured ring's pseudonym keys, though facts were sent under others.
    /// Everything is then sent again under other names. For a ring that was wrong until now; a
    /// rotation needs no such word, nor does a city that moves to another suite by
    /// `keys.moving_from`. The gateway must be stopped.
    Accept {
        /// Do it; without this, only show what would be done.
        #[arg(long)]
        yes: bool,
    },
}

impl KeysCommand {
    /// Words of the command in the audit log: of those that make, hand out or accept keys.
    const fn audited(&self) -> Option<&'static str> {
        match self {
            Self::New { .. } => Some("keys new"),
            Self::Show { .. } | Self::Accept { yes: false } => None,
            Self::Share { .. } => Some("keys share"),
            Self::Rotate { .. } => Some("keys rotate"),
            Self::Merge { .. } => Some("keys merge"),
            Self::Retire { .. } => Some("keys retire"),
            Self::Refreshed { .. } => Some("keys refreshed"),
            Self::Accept { yes: true } => Some("keys accept"),
        }
    }
}

/// Does the command. The first keys are made before there is a configuration, and so before there
/// is an audit log.
pub(super) async fn keys(
    command: &KeysCommand,
    config: &Path,
    clock: &dyn Clock,
) -> Result<(), Failure> {
    let loaded = match command {
        KeysCommand::New { .. } => config_file::load_unfinished(config).ok(),
        _ => Some(config_file::load_unfinished(config)?),
    };
    match loaded {
        None => perform(command, config).await,
        Some(loaded) => {
            let work = async |_: &mut Counts| perform(command, config).await;
            audited(command.audited(), &loaded, clock, work).await
        }
    }
}

async fn perform(command: &KeysCommand, config: &Path) -> Result<(), Failure> {
    match command {
        KeysCommand::Accept { yes } => accept(config, *yes).await,
        KeysCommand::Refreshed { before } => refreshed(config, before).await,
        KeysCommand::New {
            out,
            record_only: true,
            ..
        } => write_ring(out, &KeyRing::record_only()),
        KeysCommand::New { out, join, .. } => write_ring(out, &new_ring(join.as_deref())?),
        KeysCommand::Show { json } => show_configured(config, *json),
        KeysCommand::Share { out } => {
            let ring = with_pseudonym_keys(configured(config)?)?;
            write_secret(out, &ring.shared().to_text())?;
            print_line(format!(
                "wrote the shared pseudonym keys to {}; carry it by a trusted way",
                out.display()
            ));
            Ok(())
        }
        KeysCommand::Rotate { out } => {
            let ring = with_pseudonym_keys(configured(config)?)?.with_new_pseudonym_epoch();
            write_ring(out, &ring.map_err(Failure::change)?)?;
            print_line(NEXT_AFTER_NEW_EPOCH);
            Ok(())
        }
        KeysCommand::Merge { shared, out } => {
            let ring = with_pseudonym_keys(configured(config)?)?.merge(&read_shared(shared)?);
            write_ring(out, &ring.map_err(Failure::change)?)?;
            print_line(NEXT_AFTER_NEW_EPOCH);
            Ok(())
        }
        KeysCommand::Retire { epoch, out } => {
            let ring = configured(config)?;
            let suites = config_file::load_unfinished(config)?.config.keys.suites();
            let ring = match (suites.keyed(), ring.pseudonym_fingerprints().len()) {
                (None, 1) => ring.without_last_pseudonym_epoch(*epoch),
                _ => ring.without_pseudonym_epoch(*epoch),
            };
            write_ring(out, &ring.map_err(Failure::change)?)?;
            print_line("next: put it in the configured ring's place and restart the gateway");
            Ok(())
        }
    }
}

/// Next step after a ring with one more epoch was written.
const NEXT_AFTER_NEW_EPOCH: &str = "next: put it in the configured ring's place, stop the \
    gateway, run `clinic-gateway sync --full` so that facts sent before get the new pseudonyms as \
    well, and start it again";

/// Writes the keys' fingerprints into the outbox in the place of those that facts were sent under.
async fn accept(config: &Path, yes: bool) -> Result<(), Failure> {
    let loaded = config_file::open(config)?;
    gateway::refuse_beside_another(&loaded)?;
    let ring = gateway::read_ring(&loaded)?;
    let services = gateway::key_services(&loaded)?;
    gateway::verify_keys(&loaded, &ring, services.as_ref())?;
    let keys = fingerprints(&ring, loaded.config.keys.suites(), services.as_ref());
    let path = outbox_file::path(&loaded);
    let reader = outbox_file::open(&loaded).await?;
    let compared = reader.compare_keys(&keys).await;
    let generation = reader.status().await.map(|status| status.generation);
    reader.close().await;
    // Of key services no content of a record shows the keys.
    let is_evaluated = services.is_some();
    let by_itself = !is_evaluated || matches!(compared, Err(OutboxError::OtherSuite { .. }));
    match compared {
        Ok(()) => {
            print_line("nothing to accept: these are the keys that facts were sent under");
            return Ok(());
        }
        Err(
            error @ (OutboxError::OtherPseudonymKey { .. }
            | OutboxError::NoKnownPseudonymKey { .. }
            | OutboxError::OtherSuite { .. }),
        ) if !yes => {
            return Err(Failure::Change(format!(
                "{error}\n  help: `clinic-gateway keys accept --yes` goes on under these keys"
            )));
        }
        Err(
            OutboxError::OtherPseudonymKey { .. }
            | OutboxError::NoKnownPseudonymKey { .. }
            | OutboxError::OtherSuite { .. },
        ) => {}
        Err(error) => return Err(StartError::from(error).into()),
    }
    let accepted = outbox::accept_pseudonym_keys(&path, "keys accept", &keys).await;
    accepted.map_err(StartError::from)?;
    if by_itself {
        print_line("accepted; the next run sends everything again under these keys:");
    } else {
        let next = generation.map_or(1, |generation| generation.saturating_add(1));
        print_line(format!(
            "accepted. What was sent before keeps its names until it changes; to send everything \
             again, write min_generation = {next} in [outbox] and run `clinic-gateway sync`. The \
             keys:"
        ));
    }
    print_keys(&keys.pseudonym);
    Ok(())
}

/// Error of a ring without pseudonym keys, where a command is about these.
fn with_pseudonym_keys(ring: KeyRing) -> Result<KeyRing, Failure> {
    if ring.pseudonym_fingerprints().is_empty() {
        return Err(Failure::Change(
            "the key ring holds no pseudonym key: with suite \"voprf\" the key services hold them, \
             and a rotation is theirs (docs/strong.md)"
                .to_owned(),
        ));
    }
    Ok(ring)
}

/// Makes the first ring of a clinic, of the city's keys where there are some, else of new ones.
pub(super) fn new_ring(join: Option<&Path>) -> Result<KeyRing, Failure> {
    Ok(match join {
        Some(path) => KeyRing::from_shared(read_shared(path)?),
        None => KeyRing::generate(),
    })
}

fn read_shared(path: &Path) -> Result<SharedKeys, Failure> {
    let text = settings::read_private_file(path).map_err(Failure::change)?;
    SharedKeys::parse(&text)
        .map_err(|error| Failure::Change(format!("{}: {error}", path.display())))
}

fn configured(path: &Path) -> Result<KeyRing, Failure> {
    Ok(gateway::read_ring(&config_file::load_unfinished(path)?)?)
}

/// Shows the configured ring, and under which suites' names facts leave.
fn show_configured(path: &Path, json: bool) -> Result<(), Failure> {
    let loaded = config_file::load_unfinished(path)?;
    let ring = gateway::read_ring(&loaded)?;
    let suites = loaded.config.keys.suites();
    if json {
        print_json(&ring_json(&ring, suites));
        return Ok(());
    }
    print_ring(&ring);
    print_line(leaving_text(suites));
    // Public keys of the services may be missing yet: what can be compared is printed then.
    let services = gateway::key_services(&loaded).ok().flatten();
    let keys = fingerprints(&ring, suites, services.as_ref()).pseudonym;
    if !keys.is_empty() {
        print_to_compare(&keys);
    }
    Ok(())
}

fn ring_json(ring: &KeyRing, suites: Suites) -> serde_json::Value {
    let epochs = ring.pseudonym_fingerprints();
    let epochs: Vec<_> = epochs
        .iter()
        .map(|(epoch, fingerprint)| {
            serde_json::json!({ "epoch": epoch, "fingerprint": fingerprint })
        })
        .collect();
    serde_json::json!({
        "pseudonym": epochs,
        "record": { "fingerprint": ring.record_fingerprint() },
        "suite": suites.suite.as_str(),
        "moving_from": suites.moving_from.map(Suite::as_str),
    })
}

fn print_ring(ring: &KeyRing) {
    for (epoch, fingerprint) in ring.pseudonym_fingerprints() {
        print_line(format!(
            "pseudonym key, epoch {epoch}: fingerprint {fingerprint}"
        ));
    }
    print_line(format!(
        "record key: fingerprint {}",
        ring.record_fingerprint()
    ));
}

fn write_ring(path: &Path, ring: &KeyRing) -> Result<(), Failure> {
    write_secret(path, &ring.to_text())?;
    print_line(format!("wrote {}", path.display()));
    print_ring(ring);
    // Shared keys are of a keyed suite; which one the configuration says.
    let keys = fingerprints(ring, Suite::Hmac.into(), None).pseudonym;
    if !keys.is_empty() {
        print_to_compare(&keys);
    }
    Ok(())
}

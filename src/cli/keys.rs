//! `clinic-gateway keys`: make, show, share and rotate the key ring.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use pseudonym::{KeyRing, SharedKeys};
use secrecy::{ExposeSecret, SecretString};

use super::{Failure, out};
use crate::{config, gateway};

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
    },
    /// Show epochs and fingerprints of the configured ring, never a key. Equal fingerprints are
    /// equal keys.
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
    /// Write a ring without an epoch, at the end of a rotation.
    Retire {
        /// The epoch to leave out.
        epoch: u16,
        /// The file to write (mode 0600); it must not exist.
        #[arg(long)]
        out: PathBuf,
    },
}

pub(super) fn keys(command: &KeysCommand, config: &Path) -> Result<(), Failure> {
    match command {
        KeysCommand::New { out, join } => write_ring(out, &new_ring(join.as_deref())?),
        KeysCommand::Show { json } => {
            show(&configured(config)?, *json);
            Ok(())
        }
        KeysCommand::Share { out } => {
            write_secret(out, &configured(config)?.shared().to_text())?;
            out::say(format!(
                "wrote the shared pseudonym keys to {}; carry it by a trusted way",
                out.display()
            ));
            Ok(())
        }
        KeysCommand::Rotate { out } => {
            write_ring(
                out,
                &configured(config)?
                    .with_new_pseudonym_epoch()
                    .map_err(change)?,
            )?;
            out::say(IN_PLACE);
            Ok(())
        }
        KeysCommand::Merge { shared, out } => {
            write_ring(
                out,
                &configured(config)?
                    .merge(&read_shared(shared)?)
                    .map_err(change)?,
            )?;
            out::say(IN_PLACE);
            Ok(())
        }
        KeysCommand::Retire { epoch, out } => {
            write_ring(
                out,
                &configured(config)?
                    .without_pseudonym_epoch(*epoch)
                    .map_err(change)?,
            )?;
            out::say("next: put it in the configured ring's place and restart the gateway");
            Ok(())
        }
    }
}

/// What to do with a ring that has one epoch more.
const IN_PLACE: &str = "next: put it in the configured ring's place, stop the gateway, run \
    `clinic-gateway sync --full` \
so that facts sent before get the new pseudonyms as well, and start it again";

/// A clinic's first ring: with the city's keys where there are some, else with new ones.
pub(super) fn new_ring(join: Option<&Path>) -> Result<KeyRing, Failure> {
    Ok(match join {
        Some(path) => KeyRing::from_shared(read_shared(path)?),
        None => KeyRing::generate(),
    })
}

fn read_shared(path: &Path) -> Result<SharedKeys, Failure> {
    let text = settings::read_private_file(path).map_err(change)?;
    SharedKeys::parse(&text).map_err(|error| change(format!("{}: {error}", path.display())))
}

fn change(error: impl std::fmt::Display) -> Failure {
    Failure::Change(error.to_string())
}

fn configured(path: &Path) -> Result<KeyRing, Failure> {
    Ok(gateway::read_ring(&config::load_unfinished(path)?)?)
}

fn show(ring: &KeyRing, json: bool) {
    let epochs = ring.pseudonym_fingerprints();
    let record = ring.record_fingerprint();
    if json {
        let epochs: Vec<_> = epochs
            .iter()
            .map(|(epoch, fingerprint)| serde_json::json!({ "epoch": epoch, "fingerprint": fingerprint }))
            .collect();
        return out::json(
            &serde_json::json!({ "pseudonym": epochs, "record": { "fingerprint": record } }),
        );
    }
    for (epoch, fingerprint) in epochs {
        out::say(format!(
            "pseudonym key, epoch {epoch}: fingerprint {fingerprint}"
        ));
    }
    out::say(format!("record key: fingerprint {record}"));
}

fn write_ring(path: &Path, ring: &KeyRing) -> Result<(), Failure> {
    write_secret(path, &ring.to_text())?;
    out::say(format!("wrote {}", path.display()));
    show(ring, false);
    Ok(())
}

/// Writes a secret to a new file only its owner may read, and makes it durable.
pub(super) fn write_secret(path: &Path, secret: &SecretString) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(secret.expose_secret().as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Change(format!(
            "{} exists already and is left as it is: a key that is overwritten is lost",
            path.display()
        )),
        kind => Failure::Change(format!(
            "{} cannot be written: {}",
            path.display(),
            super::in_words(kind)
        )),
    })
}

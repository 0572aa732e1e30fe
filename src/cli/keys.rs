//! `clinic-gateway keys`: make, show, share and rotate the key ring.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use pseudonym::{KeyRing, SharedKeys};
use secrecy::{ExposeSecret, SecretString};

use super::{Failure, out};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new key ring. Clinics of one city need the same pseudonym keys: the first makes them, the others join.
    New {
        /// The file to write (mode 0600); it must not exist.
        #[arg(long, default_value = "keys")]
        out: PathBuf,
        /// The city's shared pseudonym keys, as `keys share` wrote them; absent: new ones are made.
        #[arg(long)]
        join: Option<PathBuf>,
    },
    /// Show epochs and fingerprints of the configured ring, never a key. Equal fingerprints are equal keys.
    Show,
    /// Write the pseudonym keys (not this clinic's own record key) for another clinic or the portal.
    Share {
        /// The file to write (mode 0600); it must not exist. Carry it by a trusted way.
        #[arg(long)]
        out: PathBuf,
    },
    /// Write a ring with one more pseudonym epoch beside the present one; every fact is then sent under both.
    Rotate {
        /// The file to write (mode 0600); it must not exist. Put it in the old one's place when all clinics have it.
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
        KeysCommand::New { out, join } => {
            let ring = match join {
                Some(path) => {
                    let text = secrets::read_private_file(path).map_err(change)?;
                    KeyRing::from_shared(SharedKeys::parse(&text).map_err(change)?)
                }
                None => KeyRing::generate(),
            };
            write_ring(out, &ring)
        }
        KeysCommand::Show => {
            show(&configured(config)?);
            Ok(())
        }
        KeysCommand::Share { out } => {
            write_secret(out, &configured(config)?.shared().to_text())?;
            out::say(format!("wrote the shared pseudonym keys to {}", out.display()));
            Ok(())
        }
        KeysCommand::Rotate { out } => {
            write_ring(out, &configured(config)?.with_new_pseudonym_epoch().map_err(change)?)
        }
        KeysCommand::Retire { epoch, out } => {
            write_ring(out, &configured(config)?.without_pseudonym_epoch(*epoch).map_err(change)?)
        }
    }
}

fn change(error: impl std::fmt::Display) -> Failure {
    Failure::Change(error.to_string())
}

fn configured(path: &Path) -> Result<KeyRing, Failure> {
    let loaded = config::load(path)?;
    let text = loaded.config.keys.ring.read(&loaded.base).map_err(change)?;
    KeyRing::parse(&text).map_err(change)
}

fn show(ring: &KeyRing) {
    for (epoch, fingerprint) in ring.pseudonym_fingerprints() {
        out::say(format!("pseudonym key, epoch {epoch}: fingerprint {fingerprint}"));
    }
    out::say(format!("record key: fingerprint {}", ring.record_fingerprint()));
}

fn write_ring(path: &Path, ring: &KeyRing) -> Result<(), Failure> {
    write_secret(path, &ring.to_text())?;
    out::say(format!("wrote {}", path.display()));
    show(ring);
    Ok(())
}

/// Writes a secret to a new file only its owner may read, and makes it durable.
pub(super) fn write_secret(path: &Path, secret: &SecretString) -> Result<(), Failure> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(secret.expose_secret().as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::Change(format!(
            "{} exists already and is left as it is: without its keys no record is recognised again",
            path.display()
        )),
        kind => Failure::Change(format!("{} cannot be written: {kind}", path.display())),
    })
}

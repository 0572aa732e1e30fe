//! `city-registry keys`.

use clap::Subcommand;

use telemetry::terminal as out;

use super::{Failure, Loaded};
use crate::Keys;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Print the public keys, as lines for the [registry] section of every gateway's configuration.
    Public,
}

pub(super) fn keys(command: &KeysCommand, loaded: &Loaded) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    match command {
        KeysCommand::Public => say_public(&keys),
    }
    Ok(())
}

/// The lines to paste.
pub(super) fn say_public(keys: &Keys) {
    out::say(format!(
        "public_key = \"{}\"",
        keys.current().public().to_text()
    ));
    match keys.receipt() {
        Some(signer) => out::say(format!(
            "receipt_keys = [\"{}\"]",
            signer.verifier().to_text()
        )),
        None => out::say("receipts = \"off\"  # this registry has no keys.receipt_key"),
    }
}

//! `city-registry keys`.

use clap::Subcommand;

use telemetry::terminal as out;

use super::{Failure, Loaded};
use crate::Keys;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Print the public key of the current private key, for the gateways' configuration.
    Public,
}

pub(super) fn keys(command: &KeysCommand, loaded: &Loaded) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    match command {
        KeysCommand::Public => out::say(keys.current().public().to_text()),
    }
    Ok(())
}

//! `city-registry keys`: prints the public keys.

use clap::Subcommand;
use program::Failure;
use program::terminal::print_line;

use super::config_file::LoadedConfig;
use crate::Keys;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Print the public keys, as lines for the [registry] section of every gateway's configuration.
    Public,
}

pub(super) fn keys(command: &KeysCommand, loaded: &LoadedConfig) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    match command {
        KeysCommand::Public => print_public_keys(&keys),
    }
    Ok(())
}

/// Prints the lines to paste into the [registry] section of a gateway's configuration.
pub(super) fn print_public_keys(keys: &Keys) {
    print_line(format!(
        "public_key = \"{}\"",
        keys.current().public().to_text()
    ));
    match keys.receipt() {
        Some(signer) => print_line(format!(
            "receipt_keys = [\"{}\"]",
            signer.verifier().to_text()
        )),
        None => print_line("receipts = \"off\"  # this registry has no keys.receipt_key"),
    }
}

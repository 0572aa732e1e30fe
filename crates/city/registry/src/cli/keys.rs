//! `city-registry keys`: prints the public keys.

use clap::Subcommand;
use program::Failure;
use program::terminal::print_line;

use super::config_file::LoadedConfig;
use super::rules::{passes_config, read_rules};
use crate::Keys;
use crate::passes::PassKeys;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Print the public keys, as lines for the [registry] section of every gateway's configuration.
    Public,
    /// Print the root key of the passes as JSON, with issuer and zone, for verifiers to pin.
    Root,
}

pub(super) fn keys(command: &KeysCommand, loaded: &LoadedConfig) -> Result<(), Failure> {
    match command {
        KeysCommand::Public => {
            print_public_keys(&Keys::read(&loaded.config.keys, &loaded.base)?);
            Ok(())
        }
        KeysCommand::Root => print_root(loaded),
    }
}

/// Prints what verifiers pin.
fn print_root(loaded: &LoadedConfig) -> Result<(), Failure> {
    let config = passes_config(loaded)?;
    let rules = read_rules(&loaded.base.join(&config.rules))?;
    let keys = PassKeys::read(config, &loaded.base).map_err(Failure::change)?;
    let root = keys
        .root()
        .pinned(&config.settings().issuer, rules.zone().name());
    print_line(format!("{root:#}"));
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

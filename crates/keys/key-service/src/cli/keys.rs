//! `key-service keys`: shows the keys in use, makes a key.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oprf::ServiceKey;
use program::terminal::{print_line, print_table};
use program::{Failure, files, quoted};

use super::config_file::LoadedConfig;
use crate::Keys;
use crate::keys::KeyError;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the numbers, public keys and fingerprints of the keys in the configuration.
    Show,
    /// Make a key, and print its entry of the configuration and its public key.
    New(NewArguments),
}

#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// The number that requests name the key by; one that no key ever had.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    number: u16,
    /// The file to write the key to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::change(error)
    }
}

pub(super) fn show(loaded: &LoadedConfig) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let rows: Vec<[String; 3]> = keys
        .public()
        .map(|(number, key)| [number.to_string(), key.to_string(), key.fingerprint()])
        .collect();
    print_table(["number", "public key", "fingerprint"], &rows);
    Ok(())
}

pub(super) fn new(arguments: &NewArguments) -> Result<(), Failure> {
    let NewArguments { number, out } = arguments;
    let key = ServiceKey::generate();
    files::write_secret(out, &key.to_text())?;
    print_line(format!(
        "wrote {} (mode 0600); back it up. For key-service.toml:",
        out.display()
    ));
    print_line("[[keys]]");
    print_line(format!("number = {number}"));
    print_line(format!(
        "key = {{ file = {} }}",
        quoted(&out.to_string_lossy())
    ));
    print_line(format!(
        "# public key, which clients pin: {}",
        key.public_key()
    ));
    print_line(format!("# fingerprint: {}", key.public_key().fingerprint()));
    Ok(())
}

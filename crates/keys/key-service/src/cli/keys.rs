//! `key-service keys`: shows the keys in use, makes a key.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use oprf::{ServiceKey, TokenKey};
use program::terminal::{print_line, print_table};
use program::{Failure, files, quoted};
use secrecy::SecretString;

use super::config_file::LoadedConfig;
use super::number::{KeyKind, check_number};
use crate::keys::KeyError;
use crate::{Keys, TokenUseName};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the numbers, uses, public keys and fingerprints of the keys in the configuration.
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
    /// Make a key of tokens instead: for one batch each, or for one day each.
    #[arg(long, value_name = "USE", value_enum)]
    tokens: Option<TokenUseName>,
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::change(error)
    }
}

pub(super) fn show(loaded: &LoadedConfig) -> Result<(), Failure> {
    let keys = Keys::read(&loaded.config, &loaded.base)?;
    let rows: Vec<[String; 4]> = keys
        .public()
        .map(|key| {
            let key_use = key.key_use.to_owned();
            [
                key.number.to_string(),
                key_use,
                key.public_key,
                key.fingerprint,
            ]
        })
        .collect();
    print_table(["number", "use", "public key", "fingerprint"], &rows);
    Ok(())
}

/// Fresh key, as it is written and told.
pub(super) struct FreshKey {
    /// Text form of the private key.
    pub(super) text: SecretString,
    /// Text form of the public key.
    pub(super) public_key: String,
    /// Fingerprint of the public key.
    pub(super) fingerprint: String,
}

impl FreshKey {
    /// Makes a key of pseudonyms.
    pub(super) fn of_pseudonyms() -> Self {
        Self::from(&ServiceKey::generate())
    }

    /// Makes a key of tokens.
    pub(super) fn of_tokens() -> Self {
        let key = TokenKey::generate();
        Self {
            text: key.to_text(),
            public_key: key.public_key().to_string(),
            fingerprint: key.public_key().fingerprint(),
        }
    }
}

impl From<&ServiceKey> for FreshKey {
    fn from(key: &ServiceKey) -> Self {
        Self {
            text: key.to_text(),
            public_key: key.public_key().to_string(),
            fingerprint: key.public_key().fingerprint(),
        }
    }
}

/// Makes a key whose number no key of the configuration at `config` has or has had.
pub(super) fn new(arguments: &NewArguments, config: &Path) -> Result<(), Failure> {
    let NewArguments {
        number,
        out,
        tokens,
    } = arguments;
    let kind = match tokens {
        None => KeyKind::Pseudonyms,
        Some(_) => KeyKind::Tokens,
    };
    check_number(config, *number, kind)?;
    let key = match kind {
        KeyKind::Pseudonyms => FreshKey::of_pseudonyms(),
        KeyKind::Tokens => FreshKey::of_tokens(),
    };
    files::write_secret(out, &key.text)?;
    print_entry(out, *number, *tokens, &key);
    Ok(())
}

/// Prints the entry of the configuration of a key that was written, and its public key.
pub(super) fn print_entry(
    out: &Path,
    number: u16,
    token_use: Option<TokenUseName>,
    key: &FreshKey,
) {
    print_line(format!(
        "wrote {} (mode 0600); back it up. For the configuration of the service:",
        out.display()
    ));
    let table = if token_use.is_some() {
        "[[token_keys]]"
    } else {
        "[[keys]]"
    };
    print_line(table);
    print_line(format!("number = {number}"));
    print_line(format!(
        "key = {{ file = {} }}",
        quoted(&out.to_string_lossy())
    ));
    if let Some(token_use) = token_use {
        let token_use = oprf::TokenUse::from(token_use);
        print_line(format!("use = \"{token_use}\""));
    }
    print_line(format!(
        "# public key, which clients pin: {}",
        key.public_key
    ));
    print_line(format!("# fingerprint: {}", key.fingerprint));
}

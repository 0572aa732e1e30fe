//! `mix-relay keys`: shows the public keys of the outer seal, makes a key.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use contract::RelayPrivateKey;
use program::terminal::print_line;
use program::{Failure, files, quoted};

use super::config_file::LoadedConfig;
use crate::KeyError;
use crate::form::Form;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Show the public keys of relay.private_keys, which gateways write into [relay].
    Show,
    /// Make a key, and print its public key and where both are written.
    New(NewArguments),
}

#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// The file to write the private key to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::change(error)
    }
}

pub(super) fn show(loaded: &LoadedConfig) -> Result<(), Failure> {
    let config = &loaded.config;
    let form = Form::open(&config.relay, config.mix.largest_batch_bytes, &loaded.base)?;
    for key in form.public_keys() {
        print_line(key.to_text());
    }
    Ok(())
}

pub(super) fn new(arguments: &NewArguments) -> Result<(), Failure> {
    let key = RelayPrivateKey::generate();
    files::write_secret(&arguments.out, &key.to_text())?;
    print_line(format!(
        "wrote {} (mode 0600). For private_keys in [relay] of mix-relay.toml, beside a key that is \
         there until every gateway has the new one:",
        arguments.out.display()
    ));
    print_line(format!(
        "{{ file = {} }}",
        quoted(&arguments.out.to_string_lossy())
    ));
    print_line("for clinic-gateway.toml at every clinic:");
    print_line("[relay]");
    print_line(format!("public_key = \"{}\"", key.public().to_text()));
    Ok(())
}

//! `auditor keys`: makes a key, shows the public key of one.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use escrow::AuditorKey;
use program::terminal::print_line;
use program::{Failure, files};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key, and print its public key, which relays and registries seal to.
    New(NewArguments),
    /// Print the public key of a key.
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub(super) struct NewArguments {
    /// The file to write the key to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The file of the key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub(super) fn keys(command: &KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::New(arguments) => new(&arguments.out),
        KeysCommand::Show(arguments) => {
            print_line(read_key(&arguments.key)?.public().to_text());
            Ok(())
        }
    }
}

fn new(out: &Path) -> Result<(), Failure> {
    let key = AuditorKey::generate();
    files::write_secret(out, &key.to_text())?;
    print_line(format!(
        "wrote {} (mode 0600). Keep it off every machine that is on a network, and a copy apart; \
         without it nothing can be undone. The public key, for public_key of relay and registry:",
        out.display()
    ));
    print_line(key.public().to_text());
    Ok(())
}

/// Reads a key from a file that only its owner may read.
pub(super) fn read_key(path: &Path) -> Result<AuditorKey, Failure> {
    let text = settings::read_private_file(path).map_err(Failure::change)?;
    AuditorKey::from_text(&text)
        .map_err(|error| Failure::change(format!("{}: {error}", path.display())))
}

//! `key-service rotate` and `key-service refresh`: the factor from an old key to a new one, and the key
//! that takes such a factor back.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use oprf::{Factor, ServiceKey, TextError};
use program::terminal::{print_line, print_note};
use program::{Failure, files};
use secrecy::{ExposeSecret as _, SecretString};
use settings::read_private_file;

use super::config_file::load;
use super::keys::{FreshKey, print_entry};
use super::number::{KeyKind, check_number};
use crate::Keys;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["out", "print"])))]
pub(super) struct RotateArguments {
    /// The file of the key that is left.
    #[arg(long, value_name = "FILE")]
    old: PathBuf,
    /// The file of the key that comes in its place.
    #[arg(long, value_name = "FILE")]
    new: PathBuf,
    /// The file to write the factor to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the factor instead. Whoever reads it and has one of the keys has the other.
    #[arg(long)]
    print: bool,
}

pub(super) fn rotate(arguments: &RotateArguments, config: &Path) -> Result<(), Failure> {
    let old = read_secret(&arguments.old, ServiceKey::from_text)?;
    let new = read_secret(&arguments.new, ServiceKey::from_text)?;
    if old.public_key() == new.public_key() {
        return Err(Failure::Usage(
            "--old and --new hold the same key; make a new one with key-service keys new".into(),
        ));
    }
    let factor = new.factor_from(&old).to_text();
    match &arguments.out {
        Some(out) => {
            files::write_secret(out, &factor)?;
            print_line(format!(
                "wrote {} (mode 0600): bring it to the city's registry for a rotation, to the operator \
                 of one other key service for a refresh of shares, and to nobody else",
                out.display()
            ));
        }
        None => {
            print_note("whoever has this factor and one of the keys has the other key");
            print_line(factor.expose_secret());
        }
    }
    print_note(&format!(
        "from the key {} to {}",
        old.public_key().fingerprint(),
        new.public_key().fingerprint()
    ));
    note_unknown_keys(config, &old, &new);
    Ok(())
}

/// Notes which of the two keys the configuration has no entry for, and what follows.
fn note_unknown_keys(config: &Path, old: &ServiceKey, new: &ServiceKey) {
    let keys = load(config).map_err(|error| error.to_string());
    let keys = keys.and_then(|loaded| {
        let keys = Keys::read(&loaded.config, &loaded.base);
        keys.map_err(|error| error.to_string())
    });
    let Ok(keys) = keys else {
        return;
    };
    let is_entered = |key: &ServiceKey| {
        let public_key = key.public_key().to_string();
        keys.public()
            .any(|entered| entered.public_key == public_key)
    };
    let file = config.display();
    if !is_entered(old) {
        print_note(&format!(
            "the key of --old is in no entry of {file}: is it this service's? A factor from \
             another key makes pseudonyms of nobody"
        ));
    }
    if !is_entered(new) {
        print_note(&format!(
            "the key of --new is in no entry of {file} yet: enter it there, as `key-service keys \
             new` has printed, and start the service again before clients ask for it"
        ));
    }
}

#[derive(Debug, Args)]
pub(super) struct RefreshArguments {
    /// The file of this service's key that is left.
    #[arg(long, value_name = "FILE")]
    old: PathBuf,
    /// The factor that the other service's `rotate` wrote.
    #[arg(long, value_name = "FILE")]
    factor: PathBuf,
    /// The number that requests name the key by; one that no key ever had.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    number: u16,
    /// The file to write the key to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the key that takes another service's factor back.
pub(super) fn refresh(arguments: &RefreshArguments, config: &Path) -> Result<(), Failure> {
    check_number(config, arguments.number, KeyKind::Pseudonyms)?;
    let factor = read_secret(&arguments.factor, Factor::from_text)?;
    let key = read_secret(&arguments.old, ServiceKey::from_text)?.divided_by(&factor);
    let out = &arguments.out;
    files::write_secret(out, &key.to_text())?;
    print_entry(out, arguments.number, None, &FreshKey::from(&key));
    print_note(
        "enter it beside the old key, and destroy the factor: whoever has it and an old key has the \
         new one",
    );
    Ok(())
}

/// Reads a file of this program's own user, in the text form that `parse` takes.
fn read_secret<T>(
    path: &Path,
    parse: impl FnOnce(&SecretString) -> Result<T, TextError>,
) -> Result<T, Failure> {
    let text = read_private_file(path).map_err(Failure::change)?;
    parse(&text).map_err(|error| Failure::Change(format!("{}: {error}", path.display())))
}

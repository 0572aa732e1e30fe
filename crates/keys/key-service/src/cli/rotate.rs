//! `key-service rotate` and `key-service refresh`: the factor from an old key to a new one, and the key
//! that takes such a factor back.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use oprf::{Factor, ServiceKey};
use program::terminal::{print_line, print_note};
use program::{Failure, files};
use secrecy::ExposeSecret as _;
use settings::read_private_file;

use super::keys::{FreshKey, print_entry};

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

pub(super) fn rotate(arguments: &RotateArguments) -> Result<(), Failure> {
    let old = read_key(&arguments.old)?;
    let new = read_key(&arguments.new)?;
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
    Ok(())
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
pub(super) fn refresh(arguments: &RefreshArguments) -> Result<(), Failure> {
    let path = &arguments.factor;
    let text = read_private_file(path).map_err(Failure::change)?;
    let factor = Factor::from_text(&text)
        .map_err(|error| Failure::Change(format!("{}: {error}", path.display())))?;
    let key = read_key(&arguments.old)?.divided_by(&factor);
    let out = &arguments.out;
    files::write_secret(out, &key.to_text())?;
    print_entry(out, arguments.number, None, &FreshKey::from(&key));
    print_note(
        "enter it beside the old key, and destroy the factor: whoever has it and an old key has the \
         new one",
    );
    Ok(())
}

fn read_key(path: &Path) -> Result<ServiceKey, Failure> {
    let text = read_private_file(path).map_err(Failure::change)?;
    ServiceKey::from_text(&text)
        .map_err(|error| Failure::Change(format!("{}: {error}", path.display())))
}

//! `city-registry init`: a folder to begin with.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use contract::{PrivateKey, ReceiptSigner};
use secrecy::ExposeSecret;

use telemetry::terminal as out;

use super::Failure;
use super::keys::say_public;
use crate::{Keys, SecondLayerKey};

const CONFIG: &str = include_str!("../../../../../config/city-registry.toml");
const FILES: [&str; 4] = [
    "city-registry.toml",
    "registry.key",
    "second-layer.key",
    "receipt.key",
];

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    if let Some(existing) = FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
    {
        return Err(Failure::Change(format!(
            "{} exists already; nothing was written",
            existing.display()
        )));
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| {
        Failure::Change(format!(
            "{} cannot be made: {}",
            folder.display(),
            error.kind()
        ))
    })?;
    let private = PrivateKey::generate();
    let second_layer = SecondLayerKey::generate();
    let receipt = ReceiptSigner::generate();
    for (name, text) in
        FILES[1..]
            .iter()
            .zip([private.to_text(), second_layer.to_text(), receipt.to_text()])
    {
        write_new(&folder.join(name), 0o600, text.expose_secret())?;
    }
    let config = folder.join(FILES[0]);
    write_new(&config, 0o644, CONFIG.trim_end())?;
    out::say(format!(
        "wrote {} and three keys beside it (mode 0600); back them up, apart from the database",
        config.display()
    ));
    out::say("for the [registry] section of every gateway's configuration:");
    say_public(&Keys::new(private, Vec::new(), second_layer).with_receipt_key(receipt));
    out::say(format!(
        "next: edit it, then run: city-registry --config {} check",
        config.display()
    ));
    Ok(())
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let written = opened.and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::Change(format!(
            "{} cannot be written: {}",
            path.display(),
            error.kind()
        ))
    })
}

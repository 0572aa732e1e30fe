//! `city-registry init`: writes a configuration and fresh keys to begin with.

use std::path::PathBuf;

use clap::Args;
use contract::{PrivateKey, ReceiptSigner};
use program::terminal::print_line;
use program::{Failure, files};

use super::keys::print_public_keys;
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
    files::create_private_folder(folder).map_err(|error| {
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
        files::write_secret(&folder.join(name), &text)?;
    }
    let config = folder.join(FILES[0]);
    files::write_new(&config, 0o644, CONFIG)
        .map_err(|error| files::cannot_write(&config, error.kind()))?;
    print_line(format!(
        "wrote {} and three keys beside it (mode 0600); back them up, apart from the database",
        config.display()
    ));
    print_line("for the [registry] section of every gateway's configuration:");
    print_public_keys(&Keys::new(private, Vec::new(), second_layer).with_receipt_key(receipt));
    print_line(format!(
        "next: edit it, then run: city-registry --config {} check",
        config.display()
    ));
    Ok(())
}

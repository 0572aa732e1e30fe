//! `key-service init`: a configuration and a key to begin with.

use std::path::PathBuf;

use clap::Args;
use oprf::ServiceKey;
use program::terminal::print_line;
use program::{Failure, files};
use settings::shell_quoted;

/// Configuration that is written.
const CONFIG: &str = include_str!("../../../../../config/strong/key-service.toml");
const CONFIG_FILE: &str = "key-service.toml";
const KEY_FILE: &str = "key-1.key";

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let paths = [CONFIG_FILE, KEY_FILE].map(|name| folder.join(name));
    if let Some(existing) = paths.iter().find(|path| path.exists()) {
        return Err(Failure::Change(format!(
            "{} exists already; nothing was written",
            existing.display()
        )));
    }
    let [config, key_file] = paths;
    files::create_private_folder(folder).map_err(|error| {
        Failure::Change(format!(
            "{} cannot be made: {}",
            folder.display(),
            error.kind()
        ))
    })?;
    let key = ServiceKey::generate();
    files::write_secret(&key_file, &key.to_text())?;
    files::write_new(&config, 0o644, CONFIG)
        .map_err(|error| files::cannot_write(&config, error.kind()))?;
    print_line(format!(
        "wrote {} and {} (mode 0600); back the key up: without it no pseudonym can be made again",
        config.display(),
        key_file.display()
    ));
    print_line("for the configurations of the clients, which pin it:");
    print_line(format!("  public key of number 1: {}", key.public_key()));
    print_line(format!(
        "next: edit it, then run: key-service --config {} check; then run",
        shell_quoted(&config)
    ));
    Ok(())
}

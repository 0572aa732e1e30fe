//! `mix-relay init`: a configuration and a key to begin with, and the set-up of the clinics' broker.

use std::path::PathBuf;

use clap::Args;
use contract::RelayPrivateKey;
use program::terminal::print_line;
use program::{Failure, files};
use settings::shell_quoted;

/// Name of the key's file, as the configuration has it.
const KEY_FILE: &str = "relay.key";

/// Files that are written, and their text.
const FILES: [(&str, &str); 2] = [
    (
        "mix-relay.toml",
        include_str!("../../../../../config/strong/mix-relay.toml"),
    ),
    (
        "clinic-broker-setup.sh",
        include_str!("../../../../../config/strong/clinic-broker-setup.sh"),
    ),
];

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let files = FILES.map(|(name, text)| (folder.join(name), text));
    let key_path = folder.join(KEY_FILE);
    let mut paths = files.iter().map(|(path, _)| path).chain([&key_path]);
    if let Some(existing) = paths.find(|path| path.exists()) {
        return Err(Failure::Change(format!(
            "{} exists already; nothing was written",
            existing.display()
        )));
    }
    files::make_init_folder(folder)?;
    for (path, text) in &files {
        files::write_new(path, 0o644, text)
            .map_err(|error| files::cannot_write(path, error.kind()))?;
    }
    let key = RelayPrivateKey::generate();
    files::write_secret(&key_path, &key.to_text())?;
    let [(config, _), (setup, _)] = &files;
    print_line(format!(
        "wrote {} and {}, which sets the clinics' broker up",
        config.display(),
        setup.display()
    ));
    print_line(format!(
        "wrote {} (mode 0600); gateways seal to its public key, in [relay] of \
         clinic-gateway.toml:",
        key_path.display()
    ));
    print_line(format!("public_key = \"{}\"", key.public().to_text()));
    print_line(format!(
        "next: edit it, put the passwords beside it (mode 0600), then run: mix-relay --config {} \
         check; then run",
        shell_quoted(config)
    ));
    Ok(())
}

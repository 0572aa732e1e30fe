//! `key-service init`: a configuration and a key to begin with.

use std::path::PathBuf;

use clap::Args;
use program::terminal::print_line;
use program::{Failure, files};
use settings::shell_quoted;

use super::keys::FreshKey;

/// Configuration of a service of pseudonyms, with its key's file.
const PSEUDONYMS: Template = Template {
    config: include_str!("../../../../../config/strong/key-service.toml"),
    config_file: "key-service.toml",
    key_files: &["key-1.key"],
    loss: "back the key up: without it no pseudonym can be made again",
};
/// Configuration of an issuer of tokens, with its keys' files.
const TOKENS: Template = Template {
    config: include_str!("../../../../../config/strong/token-issuer.toml"),
    config_file: "token-issuer.toml",
    key_files: &["batch-1.key", "day-2.key"],
    loss: "the city's registry needs the same files to verify tokens",
};

/// Files that are written.
struct Template {
    /// Text of the configuration.
    config: &'static str,
    /// Name of its file.
    config_file: &'static str,
    /// Names of the files of keys 1, 2 and so on.
    key_files: &'static [&'static str],
    /// Advice about the keys.
    loss: &'static str,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Write the configuration and the keys of a token issuer instead: token-issuer.toml.
    #[arg(long)]
    tokens: bool,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let template = if arguments.tokens { TOKENS } else { PSEUDONYMS };
    let folder = &arguments.folder;
    let config = folder.join(template.config_file);
    let key_files: Vec<PathBuf> = template
        .key_files
        .iter()
        .map(|name| folder.join(name))
        .collect();
    let mut paths = key_files.iter().chain([&config]);
    if let Some(existing) = paths.find(|path| path.exists()) {
        return Err(Failure::Change(format!(
            "{} exists already; nothing was written",
            existing.display()
        )));
    }
    files::make_init_folder(folder)?;
    let mut public_keys = Vec::new();
    for key_file in &key_files {
        let key = if arguments.tokens {
            FreshKey::of_tokens()
        } else {
            FreshKey::of_pseudonyms()
        };
        files::write_secret(key_file, &key.text)?;
        public_keys.push(key.public_key);
    }
    files::write_new(&config, 0o644, template.config)
        .map_err(|error| files::cannot_write(&config, error.kind()))?;
    let written: Vec<String> = key_files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    print_line(format!(
        "wrote {} and {} (mode 0600); {}",
        config.display(),
        written.join(", "),
        template.loss
    ));
    print_line("for the configurations of the clients, which pin it:");
    let named = template.key_files.iter().zip(public_keys);
    for (number, (file, public_key)) in (1..).zip(named) {
        print_line(format!(
            "  public key of number {number} ({file}): {public_key}"
        ));
    }
    print_line(format!(
        "next: edit it, then run: key-service --config {} check; then run",
        shell_quoted(&config)
    ));
    Ok(())
}

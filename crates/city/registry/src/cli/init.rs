//! `city-registry init`: writes a configuration and fresh keys to begin with.

use std::path::{Path, PathBuf};

use clap::Args;
use contract::{PrivateKey, ReceiptSigner};
use program::terminal::print_line;
use program::{Failure, files};

use super::keys::print_public_keys;
use crate::{Keys, SecondLayerKey};

const CONFIG: &str = include_str!("../../../../../config/city-registry.toml");
/// Accounts, policies and limits of the broker, as commands.
const RABBITMQ_SETUP: &str = include_str!("../../../../../config/rabbitmq-setup.sh");
/// Rules by which facts entitle to a pass, and worked cases.
const PASS_RULES: &str = include_str!("../../../../../config/pass-rules.toml");
const PASS_RULES_CASES: &str = include_str!("../../../../../config/pass-rules-cases.toml");
const FILES: [&str; 7] = [
    "city-registry.toml",
    "registry.key",
    "second-layer.key",
    "receipt.key",
    "rabbitmq-setup.sh",
    "pass-rules.toml",
    "pass-rules-cases.toml",
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
        FILES[1..4]
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
    print_rabbitmq_setup(&folder.join(FILES[4]))?;
    for (name, text) in FILES[5..].iter().zip([PASS_RULES, PASS_RULES_CASES]) {
        let path = folder.join(name);
        files::write_new(&path, 0o644, text)
            .map_err(|error| files::cannot_write(&path, error.kind()))?;
    }
    print_line(format!(
        "the rules for passes: edit {rules}, then run: city-registry rules test --rules {rules}",
        rules = folder.join(FILES[5]).display()
    ));
    print_line(format!(
        "next: edit it, then run: city-registry --config {} check",
        config.display()
    ));
    Ok(())
}

/// Writes the commands that set a broker up, and prints how they are used.
fn print_rabbitmq_setup(path: &Path) -> Result<(), Failure> {
    files::write_new(path, 0o644, RABBITMQ_SETUP)
        .map_err(|error| files::cannot_write(path, error.kind()))?;
    print_line("with RabbitMQ, run as its administrator (each account's password is asked for):");
    print_line(format!("  . {}", path.display()));
    print_line("  city_policies                     # lengths, ages, numbers of queues");
    print_line("  registry_account city-registry");
    print_line("  gateway_account gateway-1         # and so on, one for each gateway");
    Ok(())
}

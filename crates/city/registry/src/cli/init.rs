//! `city-registry init`: writes a configuration and fresh keys to begin with.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, Utc};
use clap::Args;
use contract::{PrivateKey, ReceiptSigner};
use pass::keys::SigningKey;
use program::terminal::print_line;
use program::{Failure, files};
use settings::shell_quoted;

use super::keys::print_public_keys;
use crate::{Keys, SecondLayerKey};

const CONFIG: &str = include_str!("../../../../../config/city-registry.toml");
/// Accounts, policies and limits of the broker, as commands.
const RABBITMQ_SETUP: &str = include_str!("../../../../../config/rabbitmq-setup.sh");
/// Rules by which facts entitle to a pass, and worked cases.
const PASS_RULES: &str = include_str!("../../../../../config/pass-rules.toml");
const PASS_RULES_CASES: &str = include_str!("../../../../../config/pass-rules-cases.toml");
/// Days that the first signing keys are valid for.
const KEY_DAYS: Days = Days::new(365);
/// Lines of the configuration that the section of passes begins at and ends before.
const PASSES_BEGIN: &str = "# [passes]";
const PASSES_END: &str = "# [portal]";
/// Times in the configuration file that stand for those of the first keys.
const EXAMPLE_FROM: &str = "2021-07-01T00:00:00Z";
const EXAMPLE_UNTIL: &str = "2022-07-01T00:00:00Z";

const FILES: [&str; 12] = [
    "city-registry.toml",
    "registry.key",
    "second-layer.key",
    "receipt.key",
    "rabbitmq-setup.sh",
    "pass-rules.toml",
    "pass-rules-cases.toml",
    "pass-root.key",
    "pass-city.key",
    "pass-hcert.key",
    "pass-revocations.key",
    "pass-id.key",
];

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn init(arguments: &InitArguments, now: DateTime<Utc>) -> Result<(), Failure> {
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
    write_pass_keys(folder)?;
    let config = folder.join(FILES[0]);
    files::write_new(&config, 0o644, &with_passes(CONFIG, now))
        .map_err(|error| files::cannot_write(&config, error.kind()))?;
    print_line(format!(
        "wrote {} and the keys beside it (mode 0600); back them up, apart from the database",
        config.display()
    ));
    print_line("for the [registry] section of every gateway's configuration:");
    print_public_keys(&Keys::new(private, Vec::new(), second_layer).with_receipt_key(receipt));
    print_rabbitmq_setup(&folder.join(FILES[4]))?;
    write_rules(folder)?;
    print_line(format!(
        "next: edit it, then run: city-registry --config {} check; then run and, for passes, \
         portal",
        shell_quoted(&config)
    ));
    Ok(())
}

/// Writes the rules for passes and their worked cases, and prints how they are tried.
fn write_rules(folder: &Path) -> Result<(), Failure> {
    for (name, text) in FILES[5..7].iter().zip([PASS_RULES, PASS_RULES_CASES]) {
        let path = folder.join(name);
        files::write_new(&path, 0o644, text)
            .map_err(|error| files::cannot_write(&path, error.kind()))?;
    }
    print_line(format!(
        "the rules for passes: edit {rules}, then run: city-registry rules test --rules {rules}",
        rules = shell_quoted(folder.join(FILES[5]))
    ));
    Ok(())
}

/// Writes the keys of passes: the root, those that sign passes and lists, and that of the ids.
fn write_pass_keys(folder: &Path) -> Result<(), Failure> {
    for name in &FILES[7..11] {
        files::write_secret(&folder.join(name), &SigningKey::generate().to_pem())?;
    }
    // Of the same form as the second layer's key: 32 random bytes.
    let ids = SecondLayerKey::generate().to_text();
    files::write_secret(&folder.join(FILES[11]), &ids)
}

/// Configuration with the section of passes switched on, and keys that are valid from now on.
fn with_passes(config: &str, now: DateTime<Utc>) -> String {
    let until = now.checked_add_days(KEY_DAYS).unwrap_or(now);
    let time = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut is_on = false;
    let mut text = String::with_capacity(config.len());
    for line in config.lines() {
        is_on = (is_on || line.starts_with(PASSES_BEGIN)) && !line.starts_with(PASSES_END);
        let setting = line.strip_prefix("# ").filter(|rest| {
            let is_setting = rest.split(' ').nth(1) == Some("=");
            is_on && (is_setting || rest.starts_with('['))
        });
        text.push_str(setting.unwrap_or(line));
        text.push('\n');
    }
    text.replace(EXAMPLE_FROM, &time(now))
        .replace(EXAMPLE_UNTIL, &time(until))
}

/// Writes the commands that set a broker up, and prints how they are used.
fn print_rabbitmq_setup(path: &Path) -> Result<(), Failure> {
    files::write_new(path, 0o644, RABBITMQ_SETUP)
        .map_err(|error| files::cannot_write(path, error.kind()))?;
    print_line("with RabbitMQ, run as its administrator (each account's password is asked for):");
    print_line(format!("  . {}", shell_quoted(path)));
    print_line("  city_policies                     # lengths, ages, numbers of queues");
    print_line("  registry_account city-registry");
    print_line("  gateway_account gateway-1         # and so on, one for each gateway");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::passes::KeyProduct;

    #[test]
    fn the_section_of_passes_is_switched_on_and_no_other() {
        let now: DateTime<Utc> = "2026-02-03T04:05:06.7Z".parse().unwrap();
        let text = with_passes(CONFIG, now);
        let config: Config = settings::parse(&text, Path::new("x")).unwrap();
        let passes = config.passes.unwrap();
        let products: Vec<_> = passes.keys.iter().flat_map(|key| &key.products).collect();
        assert_eq!(products, KeyProduct::ALL.each_ref());
        for key in &passes.keys {
            assert!(key.from <= now && key.until > now + chrono::TimeDelta::days(364));
        }
        assert!(config.portal.tls.is_none() && config.listen.is_none());
        let changed = text
            .lines()
            .zip(CONFIG.lines())
            .filter(|(new, old)| new != old);
        assert_eq!(changed.count(), 25);
    }
}

//! `city-registry init`: writes a configuration and fresh keys to begin with.

mod servers;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, Utc};
use clap::Args;
use contract::{PrivateKey, ReceiptSigner};
use pass::keys::SigningKey;
use program::terminal::print_line;
use program::{Failure, files};
use settings::shell_quoted;

use self::servers::{Queue, Store};
use super::keys::print_public_keys;
use crate::{Keys, SecondLayerKey};

const CONFIG: &str = include_str!("../../../../../../config/city-registry.toml");
/// Accounts, policies and limits of the broker, as commands.
const RABBITMQ_SETUP: &str = include_str!("../../../../../../config/rabbitmq-setup.sh");
/// Rules by which facts entitle to a pass, and worked cases.
const PASS_RULES: &str = include_str!("../../../../../../config/pass-rules.toml");
const PASS_RULES_CASES: &str = include_str!("../../../../../../config/pass-rules-cases.toml");
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
    /// The store: `postgres://account@host:5432/database`; absent: an SQLite file.
    #[arg(long, value_name = "ADDRESS")]
    store: Option<String>,
    /// File that holds, or will hold, the password of the store's account (mode 0600).
    #[arg(long, value_name = "FILE", requires = "store")]
    store_password_file: Option<PathBuf>,
    /// The city's RabbitMQ: `amqps://account@host:5671/vhost`; absent: a directory.
    #[arg(long, value_name = "ADDRESS")]
    queue: Option<String>,
    /// File that holds, or will hold, the password of the broker's account (mode 0600).
    #[arg(long, value_name = "FILE", requires = "queue")]
    queue_password_file: Option<PathBuf>,
}

pub(super) fn init(arguments: &InitArguments, now: DateTime<Utc>) -> Result<(), Failure> {
    let folder = &arguments.folder;
    let store = arguments
        .store
        .as_deref()
        .map(|url| Store::parse(url, arguments.store_password_file.as_deref()))
        .transpose()?;
    let queue = arguments
        .queue
        .as_deref()
        .map(|url| Queue::parse(url, arguments.queue_password_file.as_deref()))
        .transpose()?;
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
    files::make_init_folder(folder)?;
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
    let mut text = with_passes(CONFIG, now);
    if let Some(store) = &store {
        text = store.written_into(&text);
    }
    if let Some(queue) = &queue {
        text = queue.written_into(&text);
    }
    files::write_new(&config, 0o644, &text)
        .map_err(|error| files::cannot_write(&config, error.kind()))?;
    print_line(format!(
        "wrote {} and the keys beside it (mode 0600); back them up, apart from the database",
        config.display()
    ));
    print_line("for the [registry] section of every gateway's configuration:");
    print_public_keys(&Keys::new(private, Vec::new(), second_layer).with_receipt_key(receipt));
    print_rabbitmq_setup(&folder.join(FILES[4]), queue.as_ref())?;
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
fn print_rabbitmq_setup(path: &Path, queue: Option<&Queue>) -> Result<(), Failure> {
    files::write_new(path, 0o644, RABBITMQ_SETUP)
        .map_err(|error| files::cannot_write(path, error.kind()))?;
    print_line("with RabbitMQ, run as its administrator (each account's password is asked for):");
    print_line(format!("  . {}", shell_quoted(path)));
    if let Some(vhost) = queue.and_then(Queue::own_vhost) {
        print_line(format!("  VHOST={}", shell_quoted(vhost)));
        print_line(
            "  city_vhost                        # the virtual host, if it is not there yet",
        );
    }
    print_line("  city_policies                     # lengths, ages, numbers of queues");
    let account = queue.map_or("city-registry", |queue| queue.account.as_str());
    print_line(format!("  registry_account {account}"));
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

    #[test]
    fn store_and_queue_of_the_addresses_replace_the_examples() {
        let store = Store::parse(
            "postgres://reg@db.city:5433/facts",
            Some(Path::new("db.pw")),
        );
        let queue = Queue::parse("amqps://reg-1@mq.city/registry", None);
        let store = store.unwrap_or_else(|error| panic!("{error}"));
        let queue = queue.unwrap_or_else(|error| panic!("{error}"));
        let text = queue.written_into(&store.written_into(CONFIG));
        let config: Config = settings::parse(&text, Path::new("x")).unwrap();
        let written = serde_json::to_string(&config.queue).unwrap();
        assert!(
            written.contains("amqps://reg-1@mq.city/registry"),
            "{written}"
        );
        for part in [
            "# [store.sqlite]",
            "[store.postgres]\n",
            "host = \"db.city\"",
            "port = 5433",
            "database = \"facts\"",
            "user = \"reg\"",
            "password = { file = \"db.pw\" }",
            "# [queue.directory]",
            "password = { file = \"broker.password\" }",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(queue.own_vhost(), Some("registry"));
    }

    #[test]
    fn a_password_in_an_address_is_refused() {
        let store = Store::parse("postgres://reg:hunter2@db/facts", None).err();
        let queue = Queue::parse("amqps://reg:hunter2@mq/", None).err();
        for (error, option) in [
            (store, "--store-password-file"),
            (queue, "--queue-password-file"),
        ] {
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.contains(option) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}

//! `clinic-gateway init`: writes a configuration, a key ring and a state folder to begin with; with
//! `--look` the section of a clinic system that it has looked at.

mod broker;
mod database;
mod maps;
mod report;
mod rows;
mod server;
mod target;
#[cfg(all(test, feature = "postgres"))]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use program::terminal::print_line;
use program::{Failure, files};
use pseudonym::KeyRing;
use settings::shell_quoted;

use self::broker::Broker;
use self::target::{Files, Target};
use super::keys::new_ring;

const HEAD: &str = include_str!("../../../config/clinic-gateway.toml");
const POSTGRES: &str = include_str!("../../../config/sources/postgres.toml");
const MYSQL: &str = include_str!("../../../config/sources/mysql.toml");
const SQLITE: &str = include_str!("../../../config/sources/sqlite.toml");
const FHIR: &str = include_str!("../../../config/sources/fhir.toml");
const FHIR_FOLDER: &str = include_str!("../../../config/sources/fhir-folder.toml");

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The kind of clinic system to write an example section for.
    #[arg(long, value_enum, default_value_t = SourceKind::Postgres, conflicts_with = "look")]
    source: SourceKind,
    /// Look at a clinic system, read-only, and write its section: `postgres://user@host:5432/db`,
    /// `mysql://…`, `mariadb://…`, `sqlite:FILE` or a FHIR base `https://…`.
    #[arg(long, value_name = "ADDRESS")]
    look: Option<String>,
    /// File with the password of the account in --look (mode 0600).
    #[arg(long, value_name = "FILE", requires = "look")]
    password_file: Option<PathBuf>,
    /// File with the certificate authority of the system in --look (PEM).
    #[arg(long, value_name = "FILE", requires = "look")]
    ca_file: Option<PathBuf>,
    /// Name of the source in the configuration; it never leaves the clinic. Absent: `mis`, or that
    /// of the example.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The city's RabbitMQ and this gateway's account there: `amqps://NAME@host:5671/vhost`.
    #[arg(long, value_name = "ADDRESS")]
    queue: Option<String>,
    /// File that holds, or will hold, the password of that account (mode 0600).
    #[arg(long, value_name = "FILE", requires = "queue")]
    queue_password_file: Option<PathBuf>,
    /// File with the certificate authority of the broker (PEM).
    #[arg(long, value_name = "FILE", requires = "queue")]
    queue_ca_file: Option<PathBuf>,
    /// The registry's public key (`cgpk1:…`); absent: to be filled in.
    #[arg(long)]
    registry_key: Option<String>,
    /// The key the registry signs its receipts with (`cgrv1:…`); absent: to be filled in.
    #[arg(long)]
    receipt_key: Option<String>,
    /// The city's shared pseudonym keys, as `keys share` wrote them at another clinic; absent: new
    /// ones are made.
    #[arg(long)]
    join: Option<PathBuf>,
}

impl InitArguments {
    /// Name of the source that is looked at.
    fn source_name(&self) -> &str {
        self.name.as_deref().unwrap_or(DEFAULT_NAME)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceKind {
    Postgres,
    Mysql,
    Sqlite,
    Fhir,
    FhirFolder,
}

/// Name of a source that was looked at, where none is given.
const DEFAULT_NAME: &str = "mis";

/// Longest name of a source.
const MAX_NAME: usize = 32;

pub(super) async fn init(arguments: &InitArguments, now: DateTime<Utc>) -> Result<(), Failure> {
    verify_keys(arguments)?;
    verify_name(arguments.source_name())?;
    let folder = &arguments.folder;
    let config = folder.join("clinic-gateway.toml");
    if config.exists() {
        return Err(Failure::Change(format!(
            "{} exists already and is left as it is",
            config.display()
        )));
    }
    let broker = broker(arguments)?;
    let cannot_write = |error: std::io::Error| files::cannot_write(folder, error.kind());
    let ring = new_ring(arguments.join.as_deref())?;
    // Before anything is written: a system that cannot be looked at leaves nothing behind.
    let section = section(arguments, &ring, now).await?;
    files::create_private_folder(folder).map_err(cannot_write)?;
    files::create_private_folder(&folder.join("state")).map_err(cannot_write)?;
    write_ring(&folder.join("keys"), &ring, arguments.join.is_some())?;
    let text = format!("{}\n{}", head(arguments, broker.as_ref()), section.text);
    fs::write(&config, text).map_err(cannot_write)?;
    print_line(format!("wrote {}", config.display()));
    if section.has_feeds {
        // The section is written, whatever its first rows say.
        if let Err(failure) = rows::show(&config, arguments.source_name(), &ring, now).await {
            print_line(format!(
                "its first rows cannot be shown: {}; correct the section",
                failure.message()
            ));
        }
    }
    if let Some(broker) = &broker {
        broker.print_commands();
    }
    print_line(format!(
        "next: edit it, then run: clinic-gateway --config {} check",
        shell_quoted(&config)
    ));
    Ok(())
}

/// Text of a source's section.
struct Section {
    text: String,
    /// True where its feeds can be tried.
    has_feeds: bool,
}

/// The example for a kind of source, or the section of the system that was looked at.
async fn section(
    arguments: &InitArguments,
    ring: &KeyRing,
    now: DateTime<Utc>,
) -> Result<Section, Failure> {
    let Some(look) = &arguments.look else {
        let text = match arguments.source {
            SourceKind::Postgres => POSTGRES,
            SourceKind::Mysql => MYSQL,
            SourceKind::Sqlite => SQLITE,
            SourceKind::Fhir => FHIR,
            SourceKind::FhirFolder => FHIR_FOLDER,
        };
        return Ok(Section {
            text: match &arguments.name {
                Some(name) => named(text, name),
                None => text.to_owned(),
            },
            has_feeds: false,
        });
    };
    let files = Files {
        folder: &arguments.folder,
        password: arguments.password_file.as_deref(),
        ca: arguments.ca_file.as_deref(),
    };
    let target = Target::parse(look, &files)?;
    if target.kind == "fhir" {
        server::section(&target, arguments, now).await
    } else {
        database::section(&target, arguments, ring, now).await
    }
}

/// Example of a section under the name that was asked for.
fn named(example: &str, name: &str) -> String {
    let first = example.split_once("[source.");
    let own = first.and_then(|(_, rest)| rest.split_once(']'));
    let own = own.map_or("", |(own, _)| own);
    example.replace(&format!("[source.{own}"), &format!("[source.{name}"))
}

fn broker(arguments: &InitArguments) -> Result<Option<Broker>, Failure> {
    let files = Files {
        folder: &arguments.folder,
        password: arguments.queue_password_file.as_deref(),
        ca: arguments.queue_ca_file.as_deref(),
    };
    let named = |path: &Option<PathBuf>| path.as_deref().map(|path| files.named(path));
    let password = named(&arguments.queue_password_file);
    let ca = named(&arguments.queue_ca_file);
    let parse = |url: &String| Broker::parse(url, password.as_deref(), ca.as_deref());
    arguments.queue.as_ref().map(parse).transpose()
}

fn verify_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--name: a source's name may have lower-case letters, digits and hyphens, at most \
         {MAX_NAME}"
    )))
}

fn verify_keys(arguments: &InitArguments) -> Result<(), Failure> {
    if let Some(key) = &arguments.registry_key {
        contract::PublicKey::from_text(key)
            .map_err(|error| Failure::Usage(format!("--registry-key: {error}")))?;
    }
    if let Some(key) = &arguments.receipt_key {
        contract::ReceiptVerifier::from_text(key)
            .map_err(|error| Failure::Usage(format!("--receipt-key: {error}")))?;
    }
    Ok(())
}

/// Writes the key ring, unless there is one already; `joined` says that it holds the city's keys.
fn write_ring(path: &Path, ring: &KeyRing, joined: bool) -> Result<(), Failure> {
    if path.exists() {
        print_line(format!(
            "kept  {} (the ring that was there)",
            path.display()
        ));
        return Ok(());
    }
    files::write_secret(path, &ring.to_text())?;
    print_line(format!(
        "wrote {} (the key ring, mode 0600; back it up apart from this machine)",
        path.display()
    ));
    if !joined {
        print_line(
            "      its pseudonym keys are new: right for the first clinic of a city; the others \
             use --join",
        );
    }
    Ok(())
}

/// The example's head, with the keys and the queue that were given.
fn head(arguments: &InitArguments, broker: Option<&Broker>) -> String {
    let mut head = HEAD.to_owned();
    for (placeholder, key) in [
        (
            "cgpk1:PASTE-THE-KEY-OF-THE-REGISTRY",
            &arguments.registry_key,
        ),
        (
            "cgrv1:PASTE-THE-RECEIPT-KEY-OF-THE-REGISTRY",
            &arguments.receipt_key,
        ),
    ] {
        if let Some(key) = key {
            head = head.replace(placeholder, key);
        }
    }
    broker.map_or(head.clone(), |broker| broker.written_into(&head))
}

//! `clinic-gateway init`: writes a configuration, a key ring and a state folder to begin with.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use program::terminal::print_line;
use program::{Failure, files};
use pseudonym::KeyRing;
use settings::shell_quoted;

use super::keys::new_ring;

const HEAD: &str = include_str!("../../config/clinic-gateway.toml");
const POSTGRES: &str = include_str!("../../config/sources/postgres.toml");
const MYSQL: &str = include_str!("../../config/sources/mysql.toml");
const SQLITE: &str = include_str!("../../config/sources/sqlite.toml");
const FHIR: &str = include_str!("../../config/sources/fhir.toml");

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The kind of clinic system to write an example section for.
    #[arg(long, value_enum, default_value_t = SourceKind::Postgres)]
    source: SourceKind,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceKind {
    Postgres,
    Mysql,
    Sqlite,
    Fhir,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    verify_keys(arguments)?;
    let folder = &arguments.folder;
    let config = folder.join("clinic-gateway.toml");
    if config.exists() {
        return Err(Failure::Change(format!(
            "{} exists already and is left as it is",
            config.display()
        )));
    }
    let cannot_write = |error: std::io::Error| files::cannot_write(folder, error.kind());
    let ring = new_ring(arguments.join.as_deref())?;
    files::create_private_folder(folder).map_err(cannot_write)?;
    files::create_private_folder(&folder.join("state")).map_err(cannot_write)?;
    write_ring(&folder.join("keys"), &ring, arguments.join.is_some())?;
    fs::write(&config, config_text(arguments)).map_err(cannot_write)?;
    print_line(format!("wrote {}", config.display()));
    print_line(format!(
        "next: edit it, then run: clinic-gateway --config {} check",
        shell_quoted(&config)
    ));
    Ok(())
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

/// Returns the example configuration for the kind of source, with the keys that were given.
fn config_text(arguments: &InitArguments) -> String {
    let source = match arguments.source {
        SourceKind::Postgres => POSTGRES,
        SourceKind::Mysql => MYSQL,
        SourceKind::Sqlite => SQLITE,
        SourceKind::Fhir => FHIR,
    };
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
    format!("{head}\n{source}")
}

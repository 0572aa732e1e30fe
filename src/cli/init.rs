//! `clinic-gateway init`: a folder to begin with.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::keys::{new_ring, write_secret};
use super::{Failure, out};

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
    #[arg(long, value_enum, default_value_t = Kind::Postgres)]
    source: Kind,
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
enum Kind {
    Postgres,
    Mysql,
    Sqlite,
    Fhir,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    if let Some(key) = &arguments.registry_key {
        contract::PublicKey::from_text(key)
            .map_err(|error| Failure::Argument(format!("--registry-key: {error}")))?;
    }
    if let Some(key) = &arguments.receipt_key {
        contract::ReceiptVerifier::from_text(key)
            .map_err(|error| Failure::Argument(format!("--receipt-key: {error}")))?;
    }
    let folder = &arguments.folder;
    let config = folder.join("clinic-gateway.toml");
    if config.exists() {
        return Err(Failure::Change(format!(
            "{} exists already and is left as it is",
            config.display()
        )));
    }
    let cannot = |error: std::io::Error| {
        Failure::Change(format!(
            "{} cannot be written: {}",
            folder.display(),
            super::in_words(error.kind())
        ))
    };
    let ring = new_ring(arguments.join.as_deref())?;
    let private = |path: PathBuf| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(cannot)
    };
    private(folder.clone())?;
    private(folder.join("state"))?;
    let keys = folder.join("keys");
    if keys.exists() {
        out::say(format!(
            "kept  {} (the ring that was there)",
            keys.display()
        ));
    } else {
        write_secret(&keys, &ring.to_text())?;
        out::say(format!(
            "wrote {} (the key ring, mode 0600; back it up apart from this machine)",
            keys.display()
        ));
        if arguments.join.is_none() {
            out::say(
                "      its pseudonym keys are new: right for the first clinic of a city; the \
                 others use --join",
            );
        }
    }
    let source = match arguments.source {
        Kind::Postgres => POSTGRES,
        Kind::Mysql => MYSQL,
        Kind::Sqlite => SQLITE,
        Kind::Fhir => FHIR,
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
    fs::write(&config, format!("{head}\n{source}")).map_err(cannot)?;
    out::say(format!("wrote {}", config.display()));
    out::say(format!(
        "next: edit it, then run: clinic-gateway --config {} check",
        config.display()
    ));
    Ok(())
}

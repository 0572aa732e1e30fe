//! `city-registry init`: a folder to begin with.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use contract::PrivateKey;
use secrecy::ExposeSecret;

use telemetry::terminal as out;

use super::Failure;
use crate::SecondLayerKey;

const CONFIG: &str = include_str!("../../../../config/city-registry.toml");
const FILES: [&str; 3] = ["city-registry.toml", "registry.key", "second-layer.key"];

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// The folder to make the files in; made where it does not exist.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn init(arguments: &InitArguments) -> Result<(), Failure> {
    let folder = &arguments.folder;
    if let Some(existing) = FILES.iter().map(|name| folder.join(name)).find(|path| path.exists()) {
        return Err(Failure::Change(format!("{} exists already; nothing was written", existing.display())));
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::Change(format!("{} cannot be made: {}", folder.display(), error.kind())))?;
    let private = PrivateKey::generate();
    write_new(&folder.join(FILES[1]), 0o600, private.to_text().expose_secret())?;
    write_new(&folder.join(FILES[2]), 0o600, SecondLayerKey::generate().to_text().expose_secret())?;
    let config = folder.join(FILES[0]);
    write_new(&config, 0o644, CONFIG.trim_end())?;
    out::say(format!(
        "wrote {} and two keys beside it (mode 0600); back both up, apart from the database",
        config.display()
    ));
    out::say("the public key, for every gateway's configuration:");
    out::say(private.public().to_text());
    out::say(format!("next: edit it, then run: city-registry --config {} check", config.display()));
    Ok(())
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()
    });
    written
        .map_err(|error| Failure::Change(format!("{} cannot be written: {}", path.display(), error.kind())))
}

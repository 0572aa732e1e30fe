//! Folders and secrets that their owner alone may read.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

/// Makes a folder that is not there yet.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), String> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|error| cannot(path, &error))
}

/// Writes a secret into a file that is not there yet.
pub(crate) fn write_secret(path: &Path, secret: &SecretString) -> Result<(), String> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(secret.expose_secret().as_bytes()))
        .map_err(|error| cannot(path, &error))
}

/// Sentence about a path that cannot be made.
pub(crate) fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be made: {error}", path.display())
}

//! Files that belong to the owner alone.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::OutboxError;

/// Mode of every file: only the owner may read or write anything the outbox keeps.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Path of a file next to the outbox: `<outbox><suffix>`.
pub(crate) fn sibling_path(outbox: &Path, suffix: &str) -> PathBuf {
    let mut name = outbox.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Creates the file for its owner alone, or takes others' rights to it away. SQLite gives its WAL
/// the same mode.
pub(crate) fn create_private(path: &Path) -> Result<(), OutboxError> {
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path);
    let private = opened.and_then(|file| {
        let open_to_others = file.metadata()?.permissions().mode() & 0o077 != 0;
        if open_to_others {
            file.set_permissions(Permissions::from_mode(FILE_MODE))
        } else {
            Ok(())
        }
    });
    private.map_err(|error| OutboxError::io("creating the outbox file", &error))
}

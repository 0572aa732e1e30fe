//! Folder in which the registry lays down for the auditor which records each batch states.

use std::path::{Path, PathBuf};

use escrow::{AuditorPublicKey, EscrowError, KeyError, Writer};

use crate::config::{EscrowConfig, StoreConfig};
use crate::store::BatchEscrow;

/// Reason for which the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EscrowFolderError {
    /// Text that is no public key of an auditor.
    #[error("escrow.public_key: {0}")]
    Key(#[from] KeyError),
    /// Folder that cannot be read or written.
    #[error("escrow.folder: {0}")]
    Folder(#[from] EscrowError),
    /// Folder beside the database, so that one copy or one thief would take both.
    #[error(
        "escrow.folder {} is not apart from the database, which lies in {}: name a folder that is \
         neither in that one nor around it, best on another disk and in no backup of the database",
        folder.display(), database.display()
    )]
    NotApart {
        /// Folder of the entries.
        folder: PathBuf,
        /// Folder of the database file.
        database: PathBuf,
    },
}

impl EscrowFolderError {
    /// True if the cause may pass without anybody changing the configuration.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Key(_) | Self::NotApart { .. } => false,
            Self::Folder(error) => error.may_pass(),
        }
    }
}

/// Opens the folder.
pub(crate) fn open_folder(
    config: &EscrowConfig,
    store: &StoreConfig,
    base: &Path,
) -> Result<BatchEscrow, EscrowFolderError> {
    let key = AuditorPublicKey::from_text(&config.public_key)?;
    let folder = base.join(&config.folder);
    let writer = Writer::open(&folder, &key, u64::from(config.max_mib.get()) << 20)?;
    if let StoreConfig::Sqlite(sqlite) = store {
        let file = base.join(&sqlite.path);
        // The parent of a bare file name is the empty path, which stands for no folder.
        let database = file.parent().filter(|folder| *folder != Path::new(""));
        check_apart(&folder, database.unwrap_or(Path::new(".")))?;
    }
    Ok(BatchEscrow::new(writer))
}

/// Refuses a folder that is, holds or lies in the folder of the database file.
fn check_apart(folder: &Path, database: &Path) -> Result<(), EscrowFolderError> {
    // Of a folder that is not there the store has more to say.
    let [Ok(folder), Ok(database)] = [folder.canonicalize(), database.canonicalize()] else {
        return Ok(());
    };
    if folder.starts_with(&database) || database.starts_with(&folder) {
        return Err(EscrowFolderError::NotApart { folder, database });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_apart_from_the_databases() {
        let base = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let path = base.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let database = place("var/registry");
        for bad in ["var/registry", "var/registry/escrow", "var"] {
            assert!(check_apart(&place(bad), &database).is_err(), "{bad}");
        }
        for good in ["var/registry-escrow", "escrow"] {
            assert!(check_apart(&place(good), &database).is_ok(), "{good}");
        }
        std::os::unix::fs::symlink(&database, base.path().join("other")).unwrap();
        assert!(check_apart(&base.path().join("other"), &database).is_err());
    }
}

//! Folders and file names of the directory queue, and the words for what goes wrong with them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use contract::BatchId;

use crate::{BrokerError, Depth, MAX_MESSAGE_BYTES};

/// Folders are made for owner and group; the umask has the last word.
const FOLDER_MODE: u32 = 0o770;

/// The name of a batch file: `<id>.batch`, or `<id>~<n>.batch` once it has been handed out n times
/// in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(super) id: BatchId,
    pub(super) attempts: u32,
}

impl Name {
    pub(super) fn new(id: BatchId) -> Self {
        Self { id, attempts: 0 }
    }

    pub(super) fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".batch")?;
        let (id, attempts) = match stem.split_once('~') {
            Some((id, attempts)) => (id, attempts.parse().ok()?),
            None => (stem, 0),
        };
        let name = Self {
            id: BatchId::from_hex(id)?,
            attempts,
        };
        // One spelling only: no capitals, no leading zeroes, no `~0`.
        (name.file() == file).then_some(name)
    }

    pub(super) fn file(self) -> String {
        match self.attempts {
            0 => format!("{}.batch", self.id),
            attempts => format!("{}~{attempts}.batch", self.id),
        }
    }

    pub(super) fn after_another_attempt(self) -> Self {
        Self {
            id: self.id,
            attempts: self.attempts.saturating_add(1),
        }
    }
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) incoming: PathBuf,
    pub(super) work: PathBuf,
    pub(super) dead: PathBuf,
    pub(super) receipts: PathBuf,
    pub(super) tmp: PathBuf,
}

impl Layout {
    pub(super) fn new(path: &Path, base: &Path) -> Self {
        let root = base.join(path);
        Self {
            incoming: root.join("incoming"),
            work: root.join("work"),
            dead: root.join("dead"),
            receipts: root.join("receipts"),
            tmp: root.join("tmp"),
            root,
        }
    }

    pub(super) fn create(&self) -> Result<(), BrokerError> {
        for folder in [
            &self.incoming,
            &self.work,
            &self.dead,
            &self.receipts,
            &self.tmp,
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(folder)
                .map_err(|error| self.error("be made", &error))?;
        }
        Ok(())
    }

    pub(super) fn reason_file(&self, id: BatchId) -> PathBuf {
        self.dead.join(format!("{id}.reason"))
    }

    /// "the queue directory X cannot `verb`: …", with what to do about it where that is known.
    pub(super) fn error(&self, verb: &str, error: &io::Error) -> BrokerError {
        let what = format!(
            "the queue directory {} cannot {verb}: {}",
            self.root.display(),
            error.kind()
        );
        match error.kind() {
            io::ErrorKind::StorageFull => BrokerError::retry(format!("{what}; its disk is full")),
            io::ErrorKind::QuotaExceeded => {
                BrokerError::retry(format!("{what}; the disk quota is used up"))
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                BrokerError::misconfigured(
                    what,
                    "let this program's user read, write and rename files in it and in all its \
                     folders",
                )
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                BrokerError::misconfigured(
                    what,
                    "a file stands where a folder should be: change `path`",
                )
            }
            _ => BrokerError::retry(what),
        }
    }
}

/// Makes renames into, and removals from, a folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Reads a file that others may replace meanwhile, at most [`MAX_MESSAGE_BYTES`] and one byte of
/// it. Whoever plants a link must not have this process read what it leads to.
pub(super) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let there = fs::symlink_metadata(path)?;
    if !there.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = File::open(path)?;
    let opened = file.metadata()?;
    if (opened.dev(), opened.ino()) != (there.dev(), there.ino()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_MESSAGE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The batch files of a folder, at most `limit`, and whether there were files that are none.
pub(super) fn list(folder: &Path, limit: usize) -> io::Result<(Vec<Name>, bool)> {
    let mut names = Vec::new();
    let mut foreign = false;
    for entry in fs::read_dir(folder)? {
        if names.len() == limit {
            break;
        }
        let entry = entry?;
        let name = entry.file_name().to_str().and_then(Name::parse);
        match (name, entry.file_type()) {
            (Some(name), Ok(kind)) if kind.is_file() => names.push(name),
            // Taken by another consumer between the two calls.
            (Some(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            _ => foreign = true,
        }
    }
    Ok((names, foreign))
}

pub(super) fn count(layout: &Layout) -> Result<Depth, BrokerError> {
    let batches = |folder: &Path| match list(folder, usize::MAX) {
        Ok((names, _)) => Ok(names.len() as u64),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(layout.error("be read", &error)),
    };
    Ok(Depth {
        waiting: batches(&layout.incoming)?,
        dead: batches(&layout.dead)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_spelling_are_batches() {
        let id = "00112233445566778899aabbccddeeff";
        let name = Name::parse(&format!("{id}.batch")).unwrap();
        assert_eq!(name.file(), format!("{id}.batch"));
        let again = name.after_another_attempt();
        assert_eq!(again.file(), format!("{id}~1.batch"));
        assert_eq!(Name::parse(&again.file()), Some(again));
        for foreign in ["x", ".batch", "00.batch", "../etc/passwd"] {
            assert_eq!(Name::parse(foreign), None, "{foreign}");
        }
        for suffix in [
            "~0.batch",
            "~01.batch",
            "~-1.batch",
            "~+1.batch",
            "~99999999999.batch",
            ".batch.tmp",
        ] {
            assert_eq!(Name::parse(&format!("{id}{suffix}")), None, "{suffix}");
        }
        assert_eq!(Name::parse(&format!("{}.batch", id.to_uppercase())), None);
    }

    #[test]
    fn a_full_disk_is_waited_out_and_a_forbidden_one_is_not() {
        let layout = Layout::new(Path::new("q"), Path::new("/srv"));
        let full = layout.error("take a batch", &io::ErrorKind::StorageFull.into());
        assert!(
            full.is_retry()
                && full.to_string().contains("/srv/q")
                && full.to_string().contains("disk is full")
        );
        assert!(
            !layout
                .error("be read", &io::ErrorKind::PermissionDenied.into())
                .is_retry()
        );
    }
}

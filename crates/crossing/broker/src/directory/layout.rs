//! Folders of the directory queue, reading of files in them, and texts for what goes wrong with
//! them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use contract::BatchId;

use super::opening::{open_folder, open_regular};
use crate::batch_file::BatchFile;
use crate::consumer::MAX_KEPT_OF_LONG;
use crate::{BrokerError, Depth};

/// Mode of new folders, for owner and group; the umask has the last word.
const FOLDER_MODE: u32 = 0o770;

/// Paths of the queue's folders.
#[derive(Debug, Clone)]
pub(super) struct QueueLayout {
    pub(super) root: PathBuf,
    pub(super) incoming: PathBuf,
    pub(super) work: PathBuf,
    pub(super) dead: PathBuf,
    pub(super) receipts: PathBuf,
    pub(super) tmp: PathBuf,
}

impl QueueLayout {
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
        for folder in self.folders() {
            DirBuilder::new()
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(folder)
                .map_err(|error| self.error("be made", &error))?;
        }
        self.refuse_links()
    }

    const fn folders(&self) -> [&PathBuf; 5] {
        [
            &self.incoming,
            &self.work,
            &self.dead,
            &self.receipts,
            &self.tmp,
        ]
    }

    /// Refuses folders that are links: whoever may write here could lead this process to read,
    /// write and remove elsewhere. Asked before every piece of work, as one may be planted while
    /// the program runs. The queue's own path may be a link.
    pub(super) fn refuse_links(&self) -> Result<(), BrokerError> {
        for folder in self.folders() {
            match fs::symlink_metadata(folder) {
                Ok(metadata) if metadata.is_symlink() => {
                    return Err(BrokerError::misconfigured(
                        format!("{} is a link, which is not followed", folder.display()),
                        "put a folder in its place, and let nobody else write to the folder above",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn reason_file(&self, id: BatchId) -> PathBuf {
        self.dead.join(format!("{id}.reason"))
    }

    /// Counts batches and dead letters; a folder that is missing holds none.
    pub(super) fn depth(&self) -> Result<Depth, BrokerError> {
        self.refuse_links()?;
        Ok(Depth {
            waiting: self.count(&self.incoming)?,
            dead: self.count(&self.dead)?,
        })
    }

    fn count(&self, folder: &Path) -> Result<u64, BrokerError> {
        match list(folder, usize::MAX) {
            Ok(listing) => Ok(listing.batches.len() as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(self.error("be read", &error)),
        }
    }

    /// Error "the queue directory X cannot `verb`: …", with what to do about it where that is
    /// known.
    pub(super) fn error(&self, verb: &str, error: &io::Error) -> BrokerError {
        let what = format!(
            "the queue directory {} cannot {verb}: {}",
            self.root.display(),
            settings::path_error_text(error.kind())
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

/// Makes renames into a folder, and removals from it, survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    open_folder(folder)?.sync_all()
}

/// Content of a file, or its beginning.
pub(super) struct FileContent {
    pub(super) bytes: Vec<u8>,
    /// Length of the file, where `bytes` are its beginning.
    pub(super) cut_from: Option<u64>,
}

/// Reads a file that others may replace meanwhile: whole up to `max` bytes, of a longer one the
/// first [`MAX_KEPT_OF_LONG`]. A planted link must not lead this process to another file, nor a
/// pipe make it wait, so they are errors.
pub(super) fn read_regular_file(path: &Path, max: usize) -> io::Result<FileContent> {
    let file = open_regular(path, OpenOptions::new().read(true))?;
    let opened = file.metadata()?;
    // It may grow while it is read.
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() <= max {
        return Ok(FileContent {
            bytes,
            cut_from: None,
        });
    }
    bytes.truncate(MAX_KEPT_OF_LONG);
    bytes.shrink_to_fit();
    Ok(FileContent {
        bytes,
        cut_from: Some(opened.len().max(max as u64 + 1)),
    })
}

/// Files of a folder.
pub(super) struct Listing {
    pub(super) batches: Vec<BatchFile>,
    /// True if there were files that are no batches.
    pub(super) foreign: bool,
}

/// Lists the batch files of a folder, at most `limit`.
pub(super) fn list(folder: &Path, limit: usize) -> io::Result<Listing> {
    let mut listing = Listing {
        batches: Vec::new(),
        foreign: false,
    };
    for entry in fs::read_dir(folder)? {
        if listing.batches.len() == limit {
            break;
        }
        let entry = entry?;
        let file = entry.file_name().to_str().and_then(BatchFile::parse);
        match (file, entry.file_type()) {
            (Some(file), Ok(kind)) if kind.is_file() => listing.batches.push(file),
            // Taken by another consumer between the two calls.
            (Some(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            _ => listing.foreign = true,
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_waited_out_and_a_forbidden_one_is_not() {
        let layout = QueueLayout::new(Path::new("q"), Path::new("/srv"));
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

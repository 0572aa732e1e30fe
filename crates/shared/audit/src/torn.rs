//! Line that a crash has torn: cut from its file into a file of its own, and noted.
//!
//! Nobody went on after such a line, since whoever appends waits for the disk. The name of the cut
//! file holds the number of the line that notes it, so that a crash in between is seen at the next
//! start.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

use crate::error::AuditError;
use crate::files::{FILE_MODE, give_to_owner, io_error, sync_folder};
use crate::limits::{MAX_LINE_BYTES, MAX_TORN_FILES};

/// Event of the line that notes cut lines.
pub const TORN_EVENT: &str = "torn-line";

/// Details of the line that notes cut lines.
#[derive(Serialize)]
pub(crate) struct TornDetails {
    /// Names of the files that hold what was cut.
    pub files: Vec<String>,
}

fn name(sequence: u64, count: usize) -> String {
    format!("torn-{sequence}-{count}.bytes")
}

/// Cuts what stands after the newest line of `path`, whose `torn_bytes` are at most a line's, into
/// a file of its own beside it. `sequence` is the number of the line that will note it.
pub(crate) fn cut(
    folder: &Path,
    path: &Path,
    torn_bytes: u64,
    sequence: u64,
) -> Result<(), AuditError> {
    let failed = io_error(path);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).open(path).map_err(&failed)?;
    let length = file.metadata().map_err(&failed)?.len() - torn_bytes;
    file.seek(SeekFrom::Start(length)).map_err(&failed)?;
    let mut bytes = Vec::with_capacity(MAX_LINE_BYTES);
    file.read_to_end(&mut bytes).map_err(&failed)?;
    keep(folder, sequence, &bytes)?;
    file.set_len(length).map_err(&failed)?;
    file.sync_all().map_err(&failed)
}

/// Writes cut bytes to the first free name.
fn keep(folder: &Path, sequence: u64, bytes: &[u8]) -> Result<(), AuditError> {
    for count in 1..=MAX_TORN_FILES {
        let path = folder.join(name(sequence, count));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        match options.open(&path) {
            Ok(mut file) => {
                give_to_owner(folder, &file).map_err(io_error(&path))?;
                write(&mut file, bytes).map_err(io_error(&path))?;
                return sync_folder(folder);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(&path)(error)),
        }
    }
    Err(AuditError::TooManyTorn {
        path: folder.to_owned(),
    })
}

fn write(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Cut lines that the line of this number has to note; `None` if there are none.
pub(crate) fn unnoted(folder: &Path, sequence: u64) -> Option<TornDetails> {
    let names = (1..=MAX_TORN_FILES).map(|count| name(sequence, count));
    let files: Vec<String> = names
        .take_while(|name| folder.join(name).exists())
        .collect();
    (!files.is_empty()).then_some(TornDetails { files })
}

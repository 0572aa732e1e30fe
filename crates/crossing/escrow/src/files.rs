//! Files of a folder: each is of one UTC day and was written by one process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::error::{EscrowError, io_error};

const PREFIX: &str = "escrow-";
const SUFFIX: &str = ".sealed";
/// Random bytes in a file's name, by which the files of several processes differ.
const NAME_BYTES: usize = 8;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes the folder where it is missing (mode 0700), and refuses one that others may enter.
///
/// # Errors
/// [`EscrowError`].
pub fn prepare_folder(folder: &Path) -> Result<(), EscrowError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE);
    builder.create(folder).map_err(io_error(folder))?;
    let metadata = std::fs::metadata(folder).map_err(io_error(folder))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = folder.to_owned();
        return Err(EscrowError::TooOpen { path, mode });
    }
    Ok(())
}

/// Makes a file of a day under a name that no other has.
pub(crate) fn create(folder: &Path, day: NaiveDate) -> Result<(PathBuf, File), EscrowError> {
    let mut random = [0; NAME_BYTES];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    let name = format!("{PREFIX}{}-{}{SUFFIX}", written(day), hex::encode(random));
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(FILE_MODE);
    let file = options.open(&path).map_err(io_error(&path))?;
    let opened = File::open(folder).map_err(io_error(folder))?;
    opened.sync_all().map_err(io_error(folder))?;
    Ok((path, file))
}

fn written(day: NaiveDate) -> String {
    day.format("%Y-%m-%d").to_string()
}

/// True for the name of a file of entries.
fn is_name(name: &str) -> bool {
    let middle = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    let Some((day, random)) = middle.and_then(|middle| middle.rsplit_once('-')) else {
        return false;
    };
    let parsed = NaiveDate::parse_from_str(day, "%Y-%m-%d");
    let is_day = parsed.is_ok_and(|parsed| written(parsed) == day);
    is_day && random.len() == 2 * NAME_BYTES && hex::decode(random).is_ok()
}

/// Paths of the files of entries, the oldest day first, and of what is none of them.
pub(crate) struct Listing {
    pub files: Vec<PathBuf>,
    pub strange: Vec<PathBuf>,
}

/// Lists a folder.
pub(crate) fn list(folder: &Path) -> Result<Listing, EscrowError> {
    let mut listing = Listing {
        files: Vec::new(),
        strange: Vec::new(),
    };
    for entry in std::fs::read_dir(folder).map_err(io_error(folder))? {
        let entry = entry.map_err(io_error(folder))?;
        if is_name(&entry.file_name().to_string_lossy()) {
            listing.files.push(entry.path());
        } else {
            listing.strange.push(entry.path());
        }
    }
    listing.files.sort_unstable();
    listing.strange.sort_unstable();
    Ok(listing)
}

/// Size of all files of entries, in bytes. A file that is destroyed meanwhile counts nothing.
pub(crate) fn size(folder: &Path) -> Result<u64, EscrowError> {
    let mut bytes = 0;
    for path in list(folder)?.files {
        match std::fs::metadata(&path) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&path)(error)),
        }
    }
    Ok(bytes)
}

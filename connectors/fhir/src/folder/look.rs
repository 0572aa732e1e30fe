//! A look at the folder: which files there are, and whether somebody may still be writing them.

use std::fs::{self, DirEntry, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use super::file_name::{readable, shown};
use super::settings::FolderLimits;
use crate::gzip::MAX_RATIO;

/// Ends of the names of files that are read.
const ENDINGS: [&str; 2] = [".ndjson", ".ndjson.gz"];
/// Ends of the names of files that would have to be unpacked first.
const PACKED: [&str; 4] = [".ndjson.zst", ".ndjson.zip", ".ndjson.bz2", ".ndjson.xz"];

/// A file with resources, as it was at the look.
#[derive(Clone)]
pub(super) struct ExportFile {
    pub path: PathBuf,
    /// Name of the file, as far as messages may show it.
    pub shown: String,
    version: FileVersion,
}

/// Version of a file, by what changes with its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FileVersion {
    length: u64,
    changed: Option<SystemTime>,
}

/// The folder as it was at one moment.
pub(super) struct Look {
    /// The files with resources, by their names.
    pub files: Vec<ExportFile>,
    /// Fingerprint of the names of these files, their lengths and times.
    pub state: u64,
    /// Latest time of the folder itself, or of anything in it.
    pub changed: Option<DateTime<Utc>>,
}

impl Look {
    /// Lists the folder's files.
    ///
    /// # Errors
    /// [`SourceError::Retry`] where the folder is away, [`SourceError::Misconfigured`] where it
    /// may not be read, has no file that is read, too many, or one that cannot be one.
    pub(super) fn take(path: &Path, limits: FolderLimits) -> Result<Self, SourceError> {
        let failed = |error: io::Error| of_folder(error.kind());
        let folder = fs::metadata(path).map_err(failed)?;
        let mut names = Vec::new();
        let mut changed = folder.modified().ok();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(metadata) = metadata(&entry)? else {
                continue;
            };
            changed = changed.max(metadata.modified().ok());
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(file) = export_file(&entry, &name, &metadata)? {
                names.push((name, file));
                if names.len() > limits.files {
                    return Err(too_many(limits.files));
                }
            }
        }
        if names.is_empty() {
            return Err(empty());
        }
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let mut hasher = DefaultHasher::new();
        for (name, file) in &names {
            (name, file.version).hash(&mut hasher);
        }
        let all = names.len();
        let files = names.into_iter().enumerate();
        let files = files.map(|(number, (name, file))| ExportFile {
            shown: shown_among(&name, number + 1, all),
            ..file
        });
        Ok(Self {
            files: files.collect(),
            state: hasher.finish(),
            changed: changed.map(DateTime::from),
        })
    }
}

impl ExportFile {
    /// Opens the file as it was at the look.
    ///
    /// # Errors
    /// [`SourceError::Retry`] where it has changed since then, or is gone.
    pub(super) fn open(&self) -> Result<File, SourceError> {
        let file = File::open(&self.path).map_err(|error| self.failed(error.kind()))?;
        self.verify_unchanged(&file)?;
        Ok(file)
    }

    /// Fails where the file has changed since the look.
    pub(super) fn verify_unchanged(&self, file: &File) -> Result<(), SourceError> {
        let metadata = file.metadata().map_err(|error| self.failed(error.kind()))?;
        if metadata.is_file() && FileVersion::of(&metadata) == self.version {
            return Ok(());
        }
        Err(SourceError::retry(format!(
            "{} has changed while it was read; the folder is read again",
            self.shown
        )))
    }

    /// Error for a file that cannot be read.
    pub(super) fn failed(&self, kind: io::ErrorKind) -> SourceError {
        of_file(&self.shown, kind)
    }
}

impl FileVersion {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            changed: metadata.modified().ok(),
        }
    }
}

/// Metadata of an entry; `None` where it has gone meanwhile.
fn metadata(entry: &DirEntry) -> Result<Option<Metadata>, SourceError> {
    match entry.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let name = entry.file_name();
            Err(of_file(shown(&name.to_string_lossy()), error.kind()))
        }
    }
}

/// The entry as a file with resources; `None` for anything else.
fn export_file(
    entry: &DirEntry,
    name: &str,
    metadata: &Metadata,
) -> Result<Option<ExportFile>, SourceError> {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with('.') {
        return Ok(None);
    }
    if PACKED.iter().any(|ending| lower.ends_with(ending)) {
        return Err(SourceError::misconfigured(
            format!("{} is packed in a way that is not read", shown(name)),
            "pack the export's files with gzip (*.ndjson.gz), or put them here as *.ndjson",
        ));
    }
    if !ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err(SourceError::misconfigured(
            format!("{} is no plain file", shown(name)),
            "put the file itself into the folder: no link to another place, no folder, no pipe",
        ));
    }
    Ok(Some(ExportFile {
        path: entry.path(),
        shown: String::new(),
        version: FileVersion::of(metadata),
    }))
}

/// A file's name for a message, or its number in the order of the names.
fn shown_among(name: &str, number: usize, all: usize) -> String {
    readable(name).map_or_else(
        || format!("file {number} of {all} (in the order of their names)"),
        str::to_owned,
    )
}

/// Error for a folder that cannot be listed.
fn of_folder(kind: io::ErrorKind) -> SourceError {
    match kind {
        io::ErrorKind::PermissionDenied => SourceError::misconfigured(
            "the gateway may not list the folder at path",
            "give its account the right to read (r-x) on the folder, and to pass (--x) on those \
             above it",
        ),
        io::ErrorKind::NotADirectory => SourceError::misconfigured(
            "path is no folder",
            "write the folder that holds the export's files",
        ),
        io::ErrorKind::NotFound => SourceError::retry(
            "the folder at path is not there: it is not mounted, is being replaced, or path is \
             wrong",
        ),
        kind => SourceError::retry(format!("the folder at path cannot be listed ({kind})")),
    }
}

fn of_file(shown: &str, kind: io::ErrorKind) -> SourceError {
    match kind {
        io::ErrorKind::PermissionDenied => SourceError::misconfigured(
            format!("the gateway may not read {shown}"),
            "give its account the right to read (r--) on every file of the export",
        ),
        io::ErrorKind::NotFound => {
            SourceError::retry(format!("{shown} is gone; the folder is read again"))
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            SourceError::retry(format!(
                "{shown} is not whole, or cannot be unpacked. Nothing of the folder is read, and \
                 nothing is withdrawn, before it is whole"
            ))
        }
        io::ErrorKind::FileTooLarge => SourceError::misconfigured(
            format!(
                "{shown} unpacks to more than {MAX_RATIO} times its size, which no export does"
            ),
            "see what wrote it, or put the file there unpacked",
        ),
        kind => SourceError::retry(format!("{shown} cannot be read ({kind})")),
    }
}

fn empty() -> SourceError {
    SourceError::misconfigured(
        "the folder at path has no file of an export (*.ndjson, *.ndjson.gz)",
        "put the files of a whole export there, or see whether the folder is mounted; until then \
         nothing is read, and nothing is withdrawn",
    )
}

fn too_many(most: usize) -> SourceError {
    SourceError::misconfigured(
        format!("the folder at path has more than {most} files of an export"),
        "have the export make larger files, or take those of older exports away",
    )
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    use super::super::settings::FolderSettings;
    use super::*;

    fn limits(files: usize) -> FolderLimits {
        let config = serde_json::from_value(serde_json::json!({"path": "x"})).unwrap();
        let settings = FolderSettings::new(&config, Path::new("/")).unwrap();
        FolderLimits {
            files,
            ..settings.limits
        }
    }

    #[test]
    fn only_plain_files_of_an_export_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| fs::write(folder.path().join(name), "{}").unwrap();
        let look = |most| Look::take(folder.path(), limits(most));
        let error = |most| look(most).err().unwrap().to_string();
        assert!(error(9).contains("no file of an export"), "{}", error(9));
        for name in ["b.ndjson", "a.NDJSON", ".hidden.ndjson", "manifest.json"] {
            put(name);
        }
        fs::create_dir(folder.path().join("older")).unwrap();
        put("older/c.ndjson");
        let shown: Vec<_> = look(2)
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.shown)
            .collect();
        assert_eq!(shown[0], "file 1 of 2 (in the order of their names)");
        let names: Vec<_> = look(2)
            .unwrap()
            .files
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(
            names,
            ["a.NDJSON", "b.ndjson"].map(|name| folder.path().join(name))
        );
        assert!(error(1).contains("more than 1 files"), "{}", error(1));
        for (name, word) in [
            ("c.ndjson.zst", "packed"),
            ("c.ndjson.gz", "no plain file"),
            ("Patient.ndjson", "no plain file"),
        ] {
            let path = folder.path().join(name);
            symlink(folder.path().join("b.ndjson"), &path).unwrap();
            assert!(error(9).contains(word), "{name}: {}", error(9));
            fs::remove_file(path).unwrap();
        }
        assert!(look(9).is_ok());
    }

    #[test]
    fn a_state_differs_with_names_lengths_and_times() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        let at = |second| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        let put = |text: &str, second| {
            fs::write(&file, text).unwrap();
            File::open(&file).unwrap().set_modified(at(second)).unwrap();
            Look::take(folder.path(), limits(9)).unwrap().state
        };
        let first = put("{}", 1_000_000_000);
        assert_eq!(put("{}", 1_000_000_000), first);
        assert_ne!(put("{}", 1_000_000_001), first);
        assert_ne!(put("{} ", 1_000_000_000), first);
        assert_eq!(put("{}", 1_000_000_000), first);
        fs::rename(&file, folder.path().join("b.ndjson")).unwrap();
        assert_ne!(Look::take(folder.path(), limits(9)).unwrap().state, first);
    }

    #[test]
    fn failures_are_worth_another_try_or_a_person() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::TimedOut,
            ErrorKind::StaleNetworkFileHandle,
        ] {
            assert!(
                matches!(of_folder(kind), SourceError::Retry { .. }),
                "{kind}"
            );
            assert!(
                matches!(of_file("x", kind), SourceError::Retry { .. }),
                "{kind}"
            );
        }
        let denied = ErrorKind::PermissionDenied;
        assert!(of_folder(denied).to_string().contains("the right to read"));
        assert!(of_file("x", denied).to_string().contains("may not read x"));
        assert!(matches!(
            of_folder(ErrorKind::NotADirectory),
            SourceError::Misconfigured { .. }
        ));
    }
}

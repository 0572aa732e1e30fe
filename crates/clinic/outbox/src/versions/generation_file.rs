//! The generation file next to the outbox: which generation it is in, and how far it has come.
//!
//! The registry believes the highest version it has seen. An outbox that was lost, or copied back
//! from a backup, would give out versions a second time; so its generation has to rise, and only
//! something outside the database can tell. The file's stamp is written after every commit that
//! gives out versions and before any of its batches can leave, without fsync (a killed process
//! loses nothing; a power cut leaves the file behind the database, which is harmless). A file
//! *ahead* of the database means that the database is not the latest.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::identity::Identity;
use crate::file::{FILE_MODE, OutboxError, sibling_path};

/// First line, up to the number of the file's form.
const TITLE: &str = "clinic-gateway outbox";

/// Form of the file that is written; form 1 is of a gateway from before the contract's version 2.
const FORM: &str = "2";

/// First lines of the file, which never change.
fn fixed_text(identity: &Identity) -> String {
    format!(
        "{TITLE} {FORM}\noutbox {}\n",
        hex::encode(identity.outbox_id)
    )
}

/// Last lines of the file, which are overwritten in place: they always have the same length.
fn changing_text(generation: u32, stamp: u64) -> String {
    format!("generation {generation:010}\nstamp {stamp:020}\n")
}

fn from_text(text: &str) -> Option<Identity> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let form = field(TITLE)?;
    let mut outbox_id = [0; 16];
    hex::decode_to_slice(field("outbox")?, &mut outbox_id).ok()?;
    let identity = Identity {
        outbox_id,
        generation: field("generation")?.parse().ok()?,
        stamp: field("stamp")?.parse().ok()?,
    };
    match form {
        "1" => Some(identity.of_first_form()),
        FORM => Some(identity),
        _ => None,
    }
}

fn path(outbox: &Path) -> PathBuf {
    sibling_path(outbox, ".generation")
}

/// The generation file, open for generation and stamp to be overwritten.
#[derive(Debug)]
pub(crate) struct GenerationFile {
    file: File,
    changing_at_bytes: u64,
}

impl GenerationFile {
    /// Reads the file next to `outbox`, if there is one. `known` is the generation in the database,
    /// for the error.
    ///
    /// # Errors
    /// [`OutboxError::DamagedGenerationFile`] and the disk's failures.
    pub(crate) fn read(outbox: &Path, known: u32) -> Result<Option<Identity>, OutboxError> {
        match fs::read(path(outbox)) {
            Ok(bytes) => {
                let identity = std::str::from_utf8(&bytes).ok().and_then(from_text);
                identity
                    .map(Some)
                    .ok_or(OutboxError::DamagedGenerationFile { known })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OutboxError::io(
                "reading the outbox's .generation file",
                &error,
            )),
        }
    }

    /// Replaces the file next to `outbox` (temporary file, fsync, rename, fsync of the folder).
    pub(crate) fn replace(outbox: &Path, identity: &Identity) -> Result<Self, OutboxError> {
        let replace = || {
            let temporary = sibling_path(outbox, ".generation.new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE)
                .open(&temporary)?;
            let fixed = fixed_text(identity);
            let changing = changing_text(identity.generation, identity.stamp);
            file.write_all((fixed.clone() + &changing).as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path(outbox))?;
            let folder = outbox
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(Self {
                file,
                changing_at_bytes: fixed.len() as u64,
            })
        };
        replace().map_err(|error| OutboxError::io("writing the outbox's .generation file", &error))
    }

    /// Overwrites generation and stamp in place.
    pub(crate) fn overwrite(&self, generation: u32, stamp: u64) -> Result<(), OutboxError> {
        let text = changing_text(generation, stamp);
        self.file
            .write_all_at(text.as_bytes(), self.changing_at_bytes)
            .map_err(|error| OutboxError::io("writing the outbox's .generation file", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(generation: u32, stamp: u64) -> Identity {
        Identity {
            outbox_id: [7; 16],
            generation,
            stamp,
        }
    }

    #[test]
    fn generation_file_reads_back_and_damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        assert_eq!(GenerationFile::read(&outbox, 0).unwrap(), None);
        let file = GenerationFile::replace(&outbox, &identity(12, 34)).unwrap();
        assert_eq!(
            GenerationFile::read(&outbox, 0).unwrap(),
            Some(identity(12, 34))
        );
        file.overwrite(13, u64::MAX).unwrap();
        assert_eq!(
            GenerationFile::read(&outbox, 0).unwrap(),
            Some(identity(13, u64::MAX)),
            "overwritten in place, nothing else touched"
        );
        let later_form = fixed_text(&identity(1, 1)).replacen(" 2\n", " 3\n", 1);
        fs::write(path(&outbox), later_form + &changing_text(1, 1)).unwrap();
        assert!(matches!(
            GenerationFile::read(&outbox, 5),
            Err(OutboxError::DamagedGenerationFile { known: 5 })
        ));
    }

    #[test]
    fn generation_of_the_first_form_is_brought_down_and_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        let read = || {
            GenerationFile::read(&outbox, 0)
                .unwrap()
                .unwrap()
                .generation
        };
        for (generation, expected) in [(65_534, 65_534), (65_535, 65_535), (65_536, 65_535)] {
            GenerationFile::replace(&outbox, &identity(generation, 1)).unwrap();
            assert_eq!(read(), generation);
            let text = fs::read_to_string(path(&outbox)).unwrap();
            fs::write(path(&outbox), text.replacen(" 2\n", " 1\n", 1)).unwrap();
            assert_eq!(read(), expected);
        }
    }
}

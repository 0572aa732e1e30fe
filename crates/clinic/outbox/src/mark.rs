//! The mark file beside the outbox: which generation it is in, and how far it has come.
//!
//! The registry believes the highest version it has seen. An outbox that was lost, or copied back
//! from a backup, would give out versions a second time; so its generation has to rise, and only
//! something outside the file can tell. The mark's stamp is written after every commit that gives
//! out versions and before any of its batches can leave, without fsync (a killed process loses
//! nothing; a power cut leaves the mark behind the file, which is harmless). A mark *ahead* of the
//! file means that the file is not the latest.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::OutboxError;
use crate::lock::{FILE_MODE, beside};
use crate::types::MAX_GENERATION;

/// Where an outbox stands; in the file's `meta` row and in the mark file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) outbox_id: [u8; 16],
    pub(crate) generation: u32,
    /// Rises with every commit that gives out versions.
    pub(crate) stamp: u64,
}

/// Why a generation rose, as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raise {
    Lost,
    CopiedBack,
    Swapped,
    MarkLost,
    Configured,
    /// Told at run time.
    Told(&'static str),
}

impl Raise {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "the outbox file was lost",
            Self::CopiedBack => "an older outbox file was copied back",
            Self::Swapped => "the outbox file was replaced by another one",
            Self::MarkLost => "the .generation file was lost",
            Self::Configured => "min_generation was raised",
            Self::Told(why) => why,
        }
    }
}

/// Compares the file's mark with the one beside it: the mark to go on with, and why the generation
/// rose, if it did. `fresh_id` names an outbox nobody has seen before.
pub(crate) fn reconcile(
    file: Option<Mark>,
    beside: Option<Mark>,
    min_generation: u32,
    fresh_id: [u8; 16],
) -> Result<(Mark, Option<Raise>), OutboxError> {
    let (latest, why) = match (file, beside) {
        (None, None) => (
            Mark {
                outbox_id: fresh_id,
                generation: min_generation,
                stamp: 0,
            },
            None,
        ),
        (None, Some(mark)) => (mark, Some(Raise::Lost)),
        // A crash at the very first start leaves a file without a mark; nothing had left it.
        (Some(file), None) => (file, (file.stamp > 0).then_some(Raise::MarkLost)),
        (Some(file), Some(mark)) => {
            let generation = file.generation.max(mark.generation);
            let latest = Mark {
                outbox_id: mark.outbox_id,
                generation,
                stamp: file.stamp.max(mark.stamp),
            };
            let why = if file.outbox_id != mark.outbox_id {
                Some(Raise::Swapped)
            } else if file.stamp < mark.stamp || file.generation < mark.generation {
                Some(Raise::CopiedBack)
            } else {
                None
            };
            (latest, why)
        }
    };
    let why = why.or((latest.generation < min_generation).then_some(Raise::Configured));
    let Some(why) = why else {
        return Ok((latest, None));
    };
    let generation = latest.generation.saturating_add(1).max(min_generation);
    if generation > MAX_GENERATION {
        return Err(OutboxError::Exhausted { what: "generation" });
    }
    Ok((
        Mark {
            generation,
            stamp: latest.stamp + 1,
            ..latest
        },
        Some(why),
    ))
}

const TITLE: &str = "clinic-gateway outbox 1";

/// What never moves, and what does; the second always has the same length.
fn to_text(mark: &Mark) -> (String, String) {
    let fixed = format!("{TITLE}\noutbox {}\n", hex::encode(mark.outbox_id));
    (fixed, movable(mark.generation, mark.stamp))
}

fn movable(generation: u32, stamp: u64) -> String {
    format!("generation {generation:010}\nstamp {stamp:020}\n")
}

fn from_text(text: &str) -> Option<Mark> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    field(TITLE.strip_suffix(" 1")?).filter(|format| *format == "1")?;
    let mut outbox_id = [0; 16];
    hex::decode_to_slice(field("outbox")?, &mut outbox_id).ok()?;
    let generation = field("generation")?.parse().ok()?;
    Some(Mark {
        outbox_id,
        generation,
        stamp: field("stamp")?.parse().ok()?,
    })
}

/// Reads the mark beside `outbox`, if there is one. `known` is the generation in the file itself,
/// for the error.
pub(crate) fn read(outbox: &Path, known: u32) -> Result<Option<Mark>, OutboxError> {
    match fs::read(path(outbox)) {
        Ok(bytes) => {
            let mark = std::str::from_utf8(&bytes).ok().and_then(from_text);
            mark.map(Some).ok_or(OutboxError::DamagedMark { known })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OutboxError::io(
            "reading the outbox's .generation file",
            &error,
        )),
    }
}

fn path(outbox: &Path) -> PathBuf {
    beside(outbox, ".generation")
}

/// The mark file, open for generation and stamp to be moved.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    movable_at_bytes: u64,
}

impl MarkFile {
    /// Replaces the mark beside `outbox` (temporary file, fsync, rename, fsync of the folder).
    pub(crate) fn write(outbox: &Path, mark: &Mark) -> Result<Self, OutboxError> {
        let replace = || {
            let temporary = beside(outbox, ".generation.new");
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE)
                .open(&temporary)?;
            let (fixed, movable) = to_text(mark);
            file.write_all((fixed.clone() + &movable).as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path(outbox))?;
            let folder = outbox
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(Self {
                file,
                movable_at_bytes: fixed.len() as u64,
            })
        };
        replace().map_err(|error| OutboxError::io("writing the outbox's .generation file", &error))
    }

    /// Moves both in place.
    pub(crate) fn set(&self, generation: u32, stamp: u64) -> Result<(), OutboxError> {
        let written = self
            .file
            .write_all_at(movable(generation, stamp).as_bytes(), self.movable_at_bytes);
        written.map_err(|error| OutboxError::io("writing the outbox's .generation file", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [7; 16];

    fn mark(generation: u32, stamp: u64) -> Mark {
        Mark {
            outbox_id: ID,
            generation,
            stamp,
        }
    }

    fn outcome(file: Option<Mark>, beside: Option<Mark>, min: u32) -> (u32, Option<Raise>) {
        let (mark, why) = reconcile(file, beside, min, ID).unwrap();
        (mark.generation, why)
    }

    #[test]
    fn generation_rises_only_when_versions_could_be_given_out_twice() {
        assert_eq!(outcome(None, None, 1), (1, None), "a first start");
        assert_eq!(
            outcome(Some(mark(1, 0)), None, 1),
            (1, None),
            "a first start that crashed"
        );
        assert_eq!(
            outcome(Some(mark(2, 9)), Some(mark(2, 9)), 1),
            (2, None),
            "a usual start"
        );
        assert_eq!(
            outcome(Some(mark(2, 9)), Some(mark(2, 7)), 1),
            (2, None),
            "killed before the mark was moved"
        );
        assert_eq!(
            outcome(Some(mark(2, 9)), Some(mark(1, 7)), 1),
            (2, None),
            "killed while it rose"
        );
        assert_eq!(outcome(None, Some(mark(3, 5)), 1), (4, Some(Raise::Lost)));
        assert_eq!(
            outcome(Some(mark(2, 5)), Some(mark(2, 6)), 1),
            (3, Some(Raise::CopiedBack))
        );
        assert_eq!(
            outcome(Some(mark(1, 50)), Some(mark(2, 6)), 1),
            (3, Some(Raise::CopiedBack))
        );
        assert_eq!(
            outcome(Some(mark(2, 5)), None, 1),
            (3, Some(Raise::MarkLost))
        );
        let stranger = Mark {
            outbox_id: [8; 16],
            ..mark(1, 99)
        };
        assert_eq!(
            outcome(Some(stranger), Some(mark(4, 6)), 1),
            (5, Some(Raise::Swapped))
        );
        assert_eq!(outcome(None, None, 6), (6, None));
        assert_eq!(
            outcome(Some(mark(2, 5)), Some(mark(2, 5)), 6),
            (6, Some(Raise::Configured))
        );
    }

    #[test]
    fn risen_generation_settles_at_the_next_start() {
        let (risen, _) = reconcile(Some(mark(2, 5)), Some(mark(2, 8)), 1, ID).unwrap();
        assert_eq!(risen, mark(3, 9));
        assert_eq!(
            outcome(Some(risen), Some(mark(2, 8)), 1),
            (3, None),
            "the mark could not be written yet"
        );
        assert!(reconcile(None, Some(mark(MAX_GENERATION, 1)), 1, ID).is_err());
    }

    #[test]
    fn mark_file_reads_back_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox.db");
        assert_eq!(read(&outbox, 0).unwrap(), None);
        let file = MarkFile::write(&outbox, &mark(12, 34)).unwrap();
        assert_eq!(read(&outbox, 0).unwrap(), Some(mark(12, 34)));
        file.set(13, u64::MAX).unwrap();
        assert_eq!(
            read(&outbox, 0).unwrap(),
            Some(mark(13, u64::MAX)),
            "moved in place, nothing else touched"
        );
        fs::write(path(&outbox), "clinic-gateway outbox 2\n").unwrap();
        assert!(matches!(
            read(&outbox, 5),
            Err(OutboxError::DamagedMark { known: 5 })
        ));
    }
}

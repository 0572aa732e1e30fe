//! Check of the chain over all files. Memory is bounded by the longest line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{AuditError, Damage};
use crate::files::{self, io_error};
use crate::head::Head;
use crate::limits::MAX_LINE_BYTES;
use crate::line;

/// Outcome of a check that found no damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Number of lines, over all files.
    pub lines: u64,
    /// Number and digest of the newest line.
    pub head: Head,
    /// Bytes after the newest line: a line that was being written, or that a crash has torn. The
    /// next start cuts it.
    pub torn_bytes: u64,
}

/// Checks every line of the log in `folder`; with a head that was kept earlier, also that its line
/// is still there.
///
/// A changed newest line, and lines or files cut off at the end, are found only by a kept head.
///
/// # Errors
/// [`AuditError::Damaged`]: the first line that is not as it was written.
pub fn verify(folder: &Path, kept: Option<Head>) -> Result<Verified, AuditError> {
    let mut check = Check::new(kept);
    let names = files::names(folder)?;
    for (at, name) in names.iter().enumerate() {
        let is_newest = at + 1 == names.len();
        check.file(&folder.join(name), is_newest)?;
    }
    check.end(folder)
}

/// Check in progress.
struct Check {
    head: Head,
    kept: Option<Head>,
    torn_bytes: u64,
    /// File and line that the check is at, for messages.
    file: PathBuf,
    line: u64,
}

impl Check {
    fn new(kept: Option<Head>) -> Self {
        Self {
            head: Head::EMPTY,
            // The head of a log without a line says nothing.
            kept: kept.filter(|kept| kept.sequence > 0),
            torn_bytes: 0,
            file: PathBuf::new(),
            line: 0,
        }
    }

    fn damaged<T>(&self, damage: Damage) -> Result<T, AuditError> {
        Err(AuditError::Damaged {
            file: self.file.clone(),
            line: self.line,
            damage,
        })
    }

    fn file(&mut self, path: &Path, is_newest: bool) -> Result<(), AuditError> {
        let failed = io_error(path);
        let file = File::open(path).map_err(&failed)?;
        let mut reader = BufReader::new(file);
        self.file = path.to_owned();
        self.line = 0;
        let mut bytes = Vec::with_capacity(MAX_LINE_BYTES + 1);
        loop {
            bytes.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let limited = reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
            if limited.map_err(&failed)? == 0 {
                return Ok(());
            }
            self.line += 1;
            match bytes.strip_suffix(b"\n") {
                Some(line) => self.line(line)?,
                None if bytes.len() > MAX_LINE_BYTES => return self.damaged(Damage::TooLong),
                None if !is_newest => return self.damaged(Damage::Unfinished),
                None => {
                    self.torn_bytes = bytes.len() as u64;
                    return Ok(());
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), AuditError> {
        let Some(link) = line::read(line) else {
            return self.damaged(Damage::NotALine);
        };
        let expected = self.head.sequence + 1;
        let found = link.sequence;
        if found != expected {
            return self.damaged(Damage::Sequence { expected, found });
        }
        if link.previous != self.head.digest {
            return self.damaged(Damage::Previous);
        }
        self.head = self.head.after(line);
        let is_other = |kept: Head| kept.sequence == expected && kept != self.head;
        if self.kept.is_some_and(is_other) {
            return self.damaged(Damage::OtherHead);
        }
        Ok(())
    }

    fn end(mut self, folder: &Path) -> Result<Verified, AuditError> {
        let found = self.head.sequence;
        if let Some(kept) = self.kept
            && kept.sequence > found
        {
            if self.file.as_os_str().is_empty() {
                self.file = folder.to_owned();
            }
            let kept = kept.sequence;
            return self.damaged(Damage::CutOff { kept, found });
        }
        Ok(Verified {
            lines: found,
            head: self.head,
            torn_bytes: self.torn_bytes,
        })
    }
}

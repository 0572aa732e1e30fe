//! Command between its two lines of the audit log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use audit::{Account, append_shared};
use clock::Clock;
use serde::Serialize;

use super::failure;
use crate::Failure;
use crate::terminal::print_note;

/// Event of the line before a command is done.
const BEGUN: &str = "begun";
/// Event of the line after a command that did its work.
const DONE: &str = "done";
/// Event of the line after a command that did not do its work, or not all of it.
const FAILED: &str = "failed";

/// Numbers that a command leaves in its last line, by what was counted.
///
/// A name is a word of the program's text, so that nothing of what a command was about can stand
/// in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    /// Notes a number; a later one of the same name takes its place.
    pub fn note(&mut self, name: &'static str, number: u64) {
        self.0.insert(name, number);
    }

    /// Notes how many there are of something.
    pub fn note_len(&mut self, name: &'static str, number: usize) {
        self.note(name, u64::try_from(number).unwrap_or(u64::MAX));
    }
}

/// Command that is done between two lines of the audit log, where one is kept.
#[derive(Debug)]
pub struct AuditedCommand<'a> {
    /// Folder of the log; `None` where none is kept.
    pub folder: Option<PathBuf>,
    /// Words of the command, such as `dead-letters retry`; `None` for one that is not written down.
    pub name: Option<&'static str>,
    /// Clock of the lines' times.
    pub clock: &'a dyn Clock,
}

/// Details of a line.
#[derive(Serialize)]
struct Details<'a> {
    command: &'a str,
    /// Id of the process, by which the two lines of one command are found in a crowd.
    process: u32,
    account: &'a Account,
    #[serde(flatten)]
    end: Option<End<'a>>,
}

/// Details that only the second line has.
#[derive(Clone, Copy, Serialize)]
struct End<'a> {
    /// Number of the line before the command.
    begun: u64,
    exit_code: u8,
    counts: &'a Counts,
}

impl AuditedCommand<'_> {
    /// Writes the line `begun`, does the work, and writes `done` or `failed`, with the counts. If
    /// the first line cannot be written the work is not begun. A process that is killed leaves the
    /// first line alone.
    ///
    /// # Errors
    /// [`Failure`] of the work; or, if the log cannot be written, what to change.
    pub async fn run(
        self,
        work: impl AsyncFnOnce(&mut Counts) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut counts = Counts::default();
        let Some((folder, name)) = self.folder.as_deref().zip(self.name) else {
            return work(&mut counts).await;
        };
        let lines = Lines {
            folder,
            name,
            clock: self.clock,
            account: Account::of_this_process(),
        };
        let begun = lines.write(BEGUN, None).map_err(|failure| {
            failure.after("nothing was done, since it cannot be written down")
        })?;
        let outcome = work(&mut counts).await;
        let exit_code = outcome.as_ref().map_or_else(Failure::exit_code, |()| 0);
        let event = match outcome {
            // What is left to look at was found by a command that did its work.
            Ok(()) | Err(Failure::Look(_)) => DONE,
            Err(_) => FAILED,
        };
        let end = End {
            begun,
            exit_code,
            counts: &counts,
        };
        match (outcome, lines.write(event, Some(end))) {
            (outcome, Ok(_)) => outcome,
            (Ok(()), Err(failure)) => {
                Err(failure.after("it was done, and that could not be written down"))
            }
            (Err(outcome), Err(unwritten)) => {
                print_note(unwritten.message());
                Err(outcome)
            }
        }
    }
}

/// Writer of a command's two lines.
struct Lines<'a> {
    folder: &'a Path,
    name: &'a str,
    clock: &'a dyn Clock,
    account: Account,
}

impl Lines<'_> {
    /// Writes a line, and returns its number.
    fn write(&self, event: &str, end: Option<End<'_>>) -> Result<u64, Failure> {
        let details = Details {
            command: self.name,
            process: std::process::id(),
            account: &self.account,
            end,
        };
        // This waits for the disk: nothing else of the program is to go on before the first line,
        // and nothing else goes on after the last.
        let written = append_shared(self.folder, self.clock.now(), event, &details);
        let head = written.map_err(|error| failure(&error))?;
        Ok(head.sequence)
    }
}

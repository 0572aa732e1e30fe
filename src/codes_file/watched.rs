//! A codes file, and what was last seen in its place.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use pseudonym::{CodesFile, CodesFileError, MAX_CODES_FILE_BYTES, Policy, PolicyConfig};

/// Least time for which a new content has to lie unchanged before it counts.
pub(super) const UNCHANGED_FOR: Duration = Duration::from_secs(5);

/// A codes file, and what was last seen in its place.
#[derive(Debug)]
pub(crate) struct WatchedCodes {
    path: PathBuf,
    /// Policy of the configuration, which the file adds to.
    policy: PolicyConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What holds.
    holds: Seen,
    /// What the last looks saw, if that is something else.
    before: Option<Sighting>,
    /// True from the start until somebody was told how the file is.
    is_new: bool,
}

/// A file as it was seen: its content, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Content(Vec<u8>),
    Unreadable(String),
}

/// A file that differs from what holds, as it was first seen.
#[derive(Debug)]
struct Sighting {
    seen: Seen,
    /// Time of the file's last change, where the file system tells it.
    changed_at: Option<SystemTime>,
    /// Time of the first look that saw it so, counted from the program's start.
    since: Duration,
}

impl Sighting {
    /// Returns whether another look sees the same. A file that was written once more meanwhile is
    /// not the same, whatever stands in it.
    fn is_same(&self, seen: &Seen, changed_at: Option<SystemTime>) -> bool {
        self.seen == *seen && self.changed_at == changed_at
    }
}

/// Result of a look.
pub(super) enum Look {
    /// Nothing new, or nothing that has lain unchanged for long enough.
    Same,
    /// The file is in order, as it was at the start.
    Good,
    /// The file has changed, and is in order.
    Changed(Box<(Policy, CodesFile)>),
    /// The file has changed, and cannot be used.
    Broken(CodesFileError),
}

impl WatchedCodes {
    /// Reads the file of a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn open(
        path: PathBuf,
        policy: &PolicyConfig,
    ) -> Result<(Self, Policy, CodesFile), CodesFileError> {
        let holds = see(&path);
        let (compiled, codes) = compile(&holds, policy)?;
        let state = State {
            holds,
            before: None,
            is_new: true,
        };
        let watched = Self {
            path,
            policy: policy.clone(),
            state: Mutex::new(state),
        };
        Ok((watched, compiled, codes))
    }

    /// Looks at the file, `elapsed` after the program's start. A new content counts once looks that
    /// are [`UNCHANGED_FOR`] apart have seen it, and none between them anything else: a file that
    /// is being written would make codes unknown that are only not there yet.
    pub(super) fn look(&self, elapsed: Duration) -> Look {
        let seen = see(&self.path);
        let changed_at = std::fs::metadata(&self.path).and_then(|file| file.modified());
        let changed_at = changed_at.ok();
        let mut state = self.state.lock();
        let is_new = std::mem::take(&mut state.is_new);
        if seen == state.holds {
            state.before = None;
            return if is_new { Look::Good } else { Look::Same };
        }
        let before = state.before.take();
        let same = before.filter(|before| before.is_same(&seen, changed_at));
        let since = same.map_or(elapsed, |before| before.since);
        if elapsed.saturating_sub(since) < UNCHANGED_FOR {
            state.before = Some(Sighting {
                seen,
                changed_at,
                since,
            });
            return Look::Same;
        }
        let compiled = compile(&seen, &self.policy);
        state.holds = seen;
        match compiled {
            Ok(compiled) => Look::Changed(Box::new(compiled)),
            Err(error) => Look::Broken(error),
        }
    }
}

fn see(path: &Path) -> Seen {
    let most = MAX_CODES_FILE_BYTES as u64 + 1;
    match settings::read_regular_file(path, most) {
        Ok(content) => Seen::Content(content),
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn compile(seen: &Seen, policy: &PolicyConfig) -> Result<(Policy, CodesFile), CodesFileError> {
    match seen {
        Seen::Content(content) => {
            let codes = CodesFile::read(content)?;
            Ok((codes.policy(policy)?, codes))
        }
        Seen::Unreadable(why) => Err(CodesFileError {
            line: None,
            what: why.clone(),
        }),
    }
}

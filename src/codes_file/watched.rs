//! A codes file, and what was last seen in its place.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use pseudonym::{CodesFile, CodesFileError, MAX_CODES_FILE_BYTES, Policy, PolicyConfig};

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
    /// What the last look saw, if that is something else.
    before: Option<Seen>,
    /// True from the start until somebody was told how the file is.
    is_new: bool,
}

/// A file as it was seen: its content, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Content(Vec<u8>),
    Unreadable(String),
}

/// Result of a look.
pub(super) enum Look {
    /// Nothing new, or nothing that two looks have seen yet.
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

    /// Looks at the file. A content counts once two looks in a row have seen it: one that is being
    /// written would make codes unknown that are only not there yet.
    pub(super) fn look(&self) -> Look {
        let seen = see(&self.path);
        let mut state = self.state.lock();
        let is_new = std::mem::take(&mut state.is_new);
        if seen == state.holds {
            state.before = None;
            return if is_new { Look::Good } else { Look::Same };
        }
        if state.before.as_ref() != Some(&seen) {
            state.before = Some(seen);
            return Look::Same;
        }
        let compiled = compile(&seen, &self.policy);
        state.holds = seen;
        state.before = None;
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

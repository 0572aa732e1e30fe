//! Failure of a command, by who can do something about it, and its exit code.

use std::fmt::{self, Display};

use settings::SettingsError;
use telemetry::LogError;

/// Way in which a command did not end well; the message goes to standard error.
#[derive(Debug)]
pub enum Failure {
    /// A fault that may be over later, such as a server that is away. Exit code 1.
    Later(String),
    /// An argument that makes no sense, found only after parsing. Exit code 2, as clap's own.
    Usage(String),
    /// The command did its work, and what it found is left for a person to look at, such as
    /// differences. Exit code 65 (`EX_DATAERR` of sysexits.h).
    Look(String),
    /// Something that a person has to change: the configuration, a key, an account. Exit code 78
    /// (`EX_CONFIG` of sysexits.h), which the unit files in `config/` do not restart after.
    Change(String),
}

impl Failure {
    /// Makes a [`Failure::Later`] of an error.
    #[must_use]
    pub fn later(error: impl Display) -> Self {
        Self::Later(error.to_string())
    }

    /// Makes a [`Failure::Usage`] of an error.
    #[must_use]
    pub fn usage(error: impl Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// Makes a [`Failure::Change`] of an error.
    #[must_use]
    pub fn change(error: impl Display) -> Self {
        Self::Change(error.to_string())
    }

    /// Makes the failure for a fault that may be over later without anybody's doing, or that a
    /// person has to mend.
    #[must_use]
    pub fn by(may_pass: bool, error: impl Display) -> Self {
        if may_pass {
            Self::later(error)
        } else {
            Self::change(error)
        }
    }

    /// Makes a [`Failure::Look`] of a sentence.
    #[must_use]
    pub fn look(found: impl Display) -> Self {
        Self::Look(found.to_string())
    }

    /// Makes a failure of the same kind, whose message begins with this sentence.
    #[must_use]
    pub fn after(self, sentence: &str) -> Self {
        let worded = |message: String| format!("{sentence}: {message}");
        match self {
            Self::Later(message) => Self::Later(worded(message)),
            Self::Usage(message) => Self::Usage(worded(message)),
            Self::Look(message) => Self::Look(worded(message)),
            Self::Change(message) => Self::Change(worded(message)),
        }
    }

    /// Message for the person who gave the command.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Later(message)
            | Self::Usage(message)
            | Self::Look(message)
            | Self::Change(message) => message,
        }
    }

    /// Exit code of the process.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Later(_) => 1,
            Self::Usage(_) => 2,
            Self::Look(_) => 65,
            Self::Change(_) => 78,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::change(error)
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::change(error)
    }
}

#[cfg(feature = "daemon")]
impl From<telemetry::ListenError> for Failure {
    fn from(error: telemetry::ListenError) -> Self {
        Self::change(error)
    }
}

//! How a run of the program ended, and the exit code that says so.

use std::process::ExitCode;

/// End of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that was checked is valid. Exit code 0.
    Valid,
    /// Something that was checked is invalid, or differs from what a test vector expects. Exit
    /// code 1.
    Invalid,
    /// Arguments or files that cannot be used. Exit code 2, as clap's own.
    WrongArguments,
    /// Valid by data that are older than they should be. Exit code 3.
    Stale,
    /// There is no answer, because data are missing or too old. Exit code 4.
    CannotTell,
    /// The clock of the machine is before the time at which the data were issued. Exit code 5.
    ClockWrong,
}

impl Ending {
    /// Exit code of the process.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid => 1,
            Self::WrongArguments => 2,
            Self::Stale => 3,
            Self::CannotTell => 4,
            Self::ClockWrong => 5,
        }
    }

    /// Of the ends of two checks the one that the whole run has: the wrong clock before "cannot
    /// tell", that before "invalid", that before "stale".
    pub(crate) fn worse(self, other: Self) -> Self {
        if self.rank() >= other.rank() {
            self
        } else {
            other
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Stale => 1,
            Self::Invalid => 2,
            Self::CannotTell => 3,
            Self::ClockWrong => 4,
            Self::WrongArguments => 5,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;

    #[test]
    fn one_invalid_pass_among_valid_ones_makes_the_run_invalid() {
        let ends = [Ending::Valid, Ending::Invalid, Ending::Stale];
        let whole = ends.into_iter().fold(Ending::Valid, Ending::worse);
        assert_eq!(whole.code(), 1);
        assert_eq!(whole.worse(Ending::ClockWrong).code(), 5);
    }
}

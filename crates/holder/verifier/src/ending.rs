//! Ends of a run of the program, and their exit codes.

use std::process::ExitCode;

/// End of a run; of several checks, the run has the greatest of their ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// Everything that was checked is valid. Exit code 0.
    Valid,
    /// Valid by data that are older than they should be. Exit code 3.
    Stale,
    /// Something that was checked is invalid, or differs from what a test vector expects. Exit
    /// code 1.
    Invalid,
    /// No answer, because data are missing or too old. Exit code 4.
    CannotTell,
    /// The clock of the machine is before the time at which the data were issued. Exit code 5.
    ClockWrong,
    /// A file is missing or is not what its argument wants, so that nothing was checked. Exit code
    /// 66 (`EX_NOINPUT` of sysexits.h); 2 is that of wrong arguments, which clap ends with.
    UnusableFile,
}

impl Ending {
    /// Exit code of the process.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid => 1,
            Self::Stale => 3,
            Self::CannotTell => 4,
            Self::ClockWrong => 5,
            Self::UnusableFile => 66,
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
        let whole = ends.into_iter().max().unwrap();
        assert_eq!(whole.code(), 1);
        assert_eq!(whole.max(Ending::ClockWrong).code(), 5);
    }
}

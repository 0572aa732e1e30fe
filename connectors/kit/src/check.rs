//! Findings of `check` at a source, in words.

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No fault.
    Good,
    /// Works, but will hurt: slow plan, clock apart, nullable stamp.
    Warning,
    /// Does not work.
    Error,
}

/// Result of one look at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Severity.
    pub level: Level,
    /// Finding in one sentence.
    pub what: String,
    /// Advice on what to write instead, where something is wrong.
    pub help: Option<String>,
    /// True for an error that may be over later by itself, such as a server that is away.
    pub may_pass: bool,
}

/// Everything that was looked at, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Notes that something is as it should be.
    pub fn good(&mut self, what: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Good,
            what: what.into(),
            help: None,
            may_pass: false,
        });
    }

    /// Notes something that works but will hurt.
    pub fn warn(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Warning,
            what: what.into(),
            help: Some(help.into()),
            may_pass: false,
        });
    }

    /// Notes something that does not work.
    pub fn error(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Error,
            what: what.into(),
            help: Some(help.into()),
            may_pass: false,
        });
    }

    /// Notes something that does not work now, and may later without anybody's doing.
    pub fn away(&mut self, what: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding {
            level: Level::Error,
            what: what.into(),
            help: Some(help.into()),
            may_pass: true,
        });
    }

    /// The worst level among the findings.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.findings
            .iter()
            .map(|finding| finding.level)
            .max()
            .unwrap_or(Level::Good)
    }
}

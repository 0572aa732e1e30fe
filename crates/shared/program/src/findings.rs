//! Printer of a `check` command's findings, each as soon as it is known.

use crate::{CheckLayout, CheckRow, Failure, Severity, print_check};

/// Printer of findings that remembers the gravest failure.
#[derive(Debug)]
pub struct Findings {
    layout: CheckLayout,
    gravest: Option<Failure>,
}

impl Findings {
    /// Makes a printer that has printed nothing yet.
    #[must_use]
    pub const fn new(layout: CheckLayout) -> Self {
        Self {
            layout,
            gravest: None,
        }
    }

    /// Prints that a part is as it should be.
    pub fn good(&self, part: &str, text: impl Into<String>) {
        self.print(part, Severity::Good, text.into());
    }

    /// Prints a warning about a part.
    pub fn warning(&self, part: &str, text: impl Into<String>) {
        self.print(part, Severity::Warning, text.into());
    }

    /// Prints a failure of a part, and remembers it.
    pub fn failed(&mut self, part: &str, failure: Failure) {
        self.print(part, Severity::Error, failure.message().to_owned());
        self.remember(failure);
    }

    /// Remembers a failure that is printed otherwise.
    pub fn remember(&mut self, failure: Failure) {
        if !matches!(self.gravest, Some(Failure::Change(_))) {
            self.gravest = Some(failure);
        }
    }

    /// Outcome of the whole check. `later` is its sentence where nothing has to be changed, but
    /// something failed.
    ///
    /// # Errors
    /// [`Failure::Change`] if something has to be changed, else [`Failure::Later`] if anything failed.
    pub fn outcome(self, later: &str) -> Result<(), Failure> {
        match self.gravest {
            None => Ok(()),
            Some(Failure::Change(_)) => Err(Failure::Change(
                "something has to be changed, see above".into(),
            )),
            Some(Failure::Later(_) | Failure::Usage(_) | Failure::Look(_)) => {
                Err(Failure::Later(later.to_owned()))
            }
        }
    }

    fn print(&self, part: &str, severity: Severity, text: String) {
        let row = CheckRow {
            severity,
            text,
            help: None,
        };
        print_check(self.layout, part, &[row]);
    }
}

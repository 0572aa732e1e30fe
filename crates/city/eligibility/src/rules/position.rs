//! Mistakes that show only after the file was parsed, with their position in it.

use std::ops::Range;
use std::path::Path;

use settings::{Mistake, SettingsError};

/// The text in which positions are counted, and the path that errors name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilePosition<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a Path,
}

impl FilePosition<'_> {
    /// Makes an error of the text at a byte range.
    pub(crate) fn mistake(
        &self,
        at: &Range<usize>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> SettingsError {
        let before = &self.text[..self.text.floor_char_boundary(at.start)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[start..].lines().next().unwrap_or_default();
        SettingsError::Wrong(Box::new(Mistake {
            path: self.path.into(),
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            excerpt: line.trim().to_owned(),
            what: what.into(),
            help: Some(help.into()),
        }))
    }
}

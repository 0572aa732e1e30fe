//! End of a window of time within a run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The end of a window, which begins where its search does. Moments are whole seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWindow {
    /// `None`: as new as there is.
    pub to: Option<i64>,
    /// Seconds from the beginning to the end of the last window that fit.
    pub width: i64,
}

impl RunWindow {
    /// A window of the same width whose end is open: what a run goes on with after it broke off.
    pub(crate) const fn reopened(self) -> Self {
        Self { to: None, ..self }
    }

    pub(crate) fn end(self) -> Option<DateTime<Utc>> {
        self.to.and_then(|to| DateTime::from_timestamp(to, 0))
    }
}

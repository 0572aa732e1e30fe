//! Schedules, as configuration writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest period, in seconds.
pub(super) const MAX_EVERY_SECONDS: u64 = 86_400;

/// Schedule of a source's pulls or sweeps; runs of one source never overlap, and a tick during a
/// run is not piled up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// `{ every-seconds = 60 }`: this many seconds after the program's start, and again (1 to
    /// 86400).
    EverySeconds(u64),
    /// `{ cron = "0 */5 * * * *" }`: second, minute, hour, day of month, month, day of week, in
    /// `time_zone`.
    Cron(String),
    /// `"never"`: only when it is asked for.
    Never,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::EverySeconds(60)
    }
}

impl Schedule {
    pub(super) fn is_in_range(&self) -> bool {
        match self {
            Self::EverySeconds(seconds) => (1..=MAX_EVERY_SECONDS).contains(seconds),
            Self::Cron(_) | Self::Never => true,
        }
    }
}

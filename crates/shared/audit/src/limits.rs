//! Limits of the log.

use std::time::Duration;

/// Longest line, in bytes, its end not counted.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// Longest name of an event, in bytes.
pub const MAX_EVENT_BYTES: usize = 64;
/// Most files of cut lines that one line may note.
pub const MAX_TORN_FILES: usize = 100;
/// Longest time that a line of a log with several writers waits for the others.
pub const MAX_WAIT: Duration = Duration::from_secs(10);

//! Figures of this process out of /proc.

use std::fs;

use clock::{Clock as _, SystemClock};

/// Clock ticks of /proc in a second.
const TICKS: f64 = 100.0;

/// Resources used by this process up to a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourcesUsed {
    /// Time since the process began.
    pub(crate) seconds: f64,
    /// Time on a processor, of all threads, in steps of a hundredth of a second.
    pub(crate) processor_seconds: f64,
    /// Bytes that the system has to write to a disk.
    pub(crate) written_bytes: f64,
}

impl ResourcesUsed {
    /// Reads what was used up to now.
    pub(crate) fn by_now(clock: &SystemClock) -> std::io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks = fields
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<f64>().ok());
        Ok(Self {
            seconds: clock.elapsed().as_secs_f64(),
            processor_seconds: ticks.sum::<f64>() / TICKS,
            written_bytes: figure("/proc/self/io", "write_bytes:")?,
        })
    }

    /// Returns what was used since an earlier moment.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            processor_seconds: self.processor_seconds - before.processor_seconds,
            written_bytes: self.written_bytes - before.written_bytes,
        }
    }
}

/// Returns the most memory that this process ever held, in MiB.
pub(crate) fn peak_mib() -> std::io::Result<f64> {
    Ok(figure("/proc/self/status", "VmHWM:")? / 1024.0)
}

fn figure(file: &str, name: &str) -> std::io::Result<f64> {
    let text = fs::read_to_string(file)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    let figure = line
        .split_whitespace()
        .next()
        .and_then(|figure| figure.parse().ok());
    Ok(figure.unwrap_or(0.0))
}

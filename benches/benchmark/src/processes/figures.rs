//! Figures of processes in /proc: memory, processor time, bytes written; of a server together with
//! its children.

use std::fs;

use crate::error::Error;

/// The unit of processor time in /proc, in hertz: 100 on every Linux of today.
const TICKS_A_SECOND: f64 = 100.0;

/// Figures of a process in /proc.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ProcessFigures {
    /// Most memory it held at once so far, in bytes (`VmHWM`).
    pub peak_bytes: u64,
    /// Processor time of all its threads so far, in seconds.
    pub processor_seconds: f64,
    /// Bytes it had the disk write so far.
    pub written_bytes: u64,
}

impl ProcessFigures {
    /// Most memory held at once, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.peak_bytes as f64 / f64::from(1 << 20)
    }
}

/// Figures of a process now; `None` once it has ended, even if nobody has waited for it.
pub(crate) fn figures_of(id: u32) -> Option<ProcessFigures> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}")).ok();
    let processor_seconds = ticks(&read("stat")?, 2)?;
    let written_bytes = written_bytes(&read("io")?)?;
    Some(ProcessFigures {
        peak_bytes: peak_bytes(&read("status")?)?,
        processor_seconds,
        written_bytes,
    })
}

/// Processor time of this process so far, in seconds.
pub(crate) fn own_seconds() -> Result<f64, Error> {
    let own = fs::read_to_string("/proc/self/stat").map_err(Error::io("look into /proc"))?;
    Ok(ticks(&own, 2).unwrap_or_default())
}

/// Processor time of the server with this name and all its children so far, ended ones included, in
/// seconds.
pub(crate) fn server_seconds(name: &str, process: Option<u32>) -> Result<f64, Error> {
    let process = process.ok_or_else(|| Error::WrongResult(format!("{name} has ended")))?;
    let own = fs::read_to_string(format!("/proc/{process}/stat"))
        .map_err(Error::io("look into /proc"))?;
    // A child may have ended since it was listed; its time is then its parent's, at the next look.
    let children = children(process)?.filter_map(|child| ticks(&stat(child)?, 2));
    Ok(ticks(&own, 4).unwrap_or_default() + children.sum::<f64>())
}

/// Bytes that a server, its children and those of them that have ended had the disk write so far.
pub(crate) fn server_written_bytes(process: u32) -> u64 {
    // The parent first: a child that ends in between is missed rather than counted twice.
    let family = std::iter::once(process).chain(children(process).into_iter().flatten());
    family
        .filter_map(|id| written_bytes(&fs::read_to_string(format!("/proc/{id}/io")).ok()?))
        .sum()
}

fn children(process: u32) -> Result<impl Iterator<Item = u32>, Error> {
    let entries = fs::read_dir("/proc").map_err(Error::io("look into /proc"))?;
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids.filter(move |id| stat(*id).and_then(|stat| parent(&stat)) == Some(process)))
}

fn stat(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/stat")).ok()
}

/// Sum of the first `fields` of utime, stime, cutime and cstime of `/proc/PID/stat`, in seconds.
/// The line's second field is the program's name, in parentheses and with anything in it.
fn ticks(stat: &str, fields: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let ticks = rest
        .split(' ')
        .skip(11)
        .take(fields)
        .map(|field| field.parse::<u32>().ok());
    Some(f64::from(ticks.sum::<Option<u32>>()?) / TICKS_A_SECOND)
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Bytes that a process wrote; those truncated before they reached the disk are counted as well.
fn written_bytes(io: &str) -> Option<u64> {
    io.lines()
        .find_map(|line| line.strip_prefix("write_bytes:"))?
        .trim()
        .parse()
        .ok()
}

fn peak_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        assert_eq!(
            peak_bytes("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2 << 20)
        );
        let io = "wchar: 1\nread_bytes: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 8\n";
        assert_eq!(written_bytes(io), Some(4096));
    }

    #[test]
    fn the_time_of_a_process_and_of_its_ended_children_is_read() {
        let stat = "7 (a) b) S 41 7 7 0 -1 4194560 900 0 0 0 150 25 300 25 20 0 3 0 5 6 7";
        assert_eq!(
            (ticks(stat, 2), ticks(stat, 4), parent(stat)),
            (Some(1.75), Some(5.0), Some(41))
        );
        assert_eq!((ticks("", 2), parent("")), (None, None));
    }

    #[test]
    fn what_this_process_computes_counts() {
        let before = own_seconds().unwrap();
        let mut number = 1_u64;
        while own_seconds().unwrap() < before + 0.02 {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert_ne!(number, 0);
    }
}

//! Runs a program as a process of its own and watches its memory and processor time from outside.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::Error;
use crate::processes::{Seen, look_at};

/// Interval between two looks at the process.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After this a program is taken to hang.
const LIMIT: Duration = Duration::from_secs(3600);
/// Lines of its standard error that a failure quotes.
const QUOTED_LINES: usize = 20;

/// A run that ended well.
#[derive(Debug)]
pub(super) struct Run {
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// From its start to its end.
    pub took: Duration,
    /// Most memory it held at once, in bytes (`VmHWM`).
    pub peak_bytes: u64,
    /// Processor time of all its threads, in seconds.
    pub processor_seconds: f64,
    /// Bytes it had the disk write (`write_bytes`), pages that were written several times counted
    /// as often.
    pub written_bytes: u64,
    /// Text that the program wrote to standard output.
    pub output: String,
}

impl Run {
    /// Most memory it held at once, in MiB.
    pub(super) fn peak_mib(&self) -> f64 {
        self.peak_bytes as f64 / f64::from(1 << 20)
    }
}

/// A program that runs until it is dropped, which kills it.
#[derive(Debug)]
pub(super) struct Background(tokio::process::Child);

impl Background {
    /// Fails when it has ended by itself.
    pub(super) fn still_runs(&mut self, name: &str) -> Result<(), Error> {
        match self.0.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(Error::WrongResult(format!("{name} ended before its time"))),
        }
    }

    /// Figures of the process in /proc now; none once it has ended.
    pub(super) fn seen(&self) -> Option<Seen> {
        look_at(self.0.id()?)
    }

    /// `kill -9`, and waits for it.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        self.0.kill().await.map_err(Error::io("end a program"))
    }
}

/// Starts a program beside the benchmark.
pub(super) fn start(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Background, Error> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(Background(
        command
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io("start a program"))?,
    ))
}

/// Runs a program to its end.
pub(super) async fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    clock: &dyn Clock,
) -> Result<Run, Error> {
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let started_at = clock.now();
    let started = clock.elapsed();
    let child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io(format!("start {name}")))?;
    let id = child.id().unwrap_or_default();
    let mut seen = Seen::default();
    let watched = async {
        let mut end = std::pin::pin!(child.wait_with_output());
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut end => return ended,
                _ = look.tick() => seen = look_at(id).unwrap_or(seen),
            }
        }
    };
    let late = |_| Error::WrongResult(format!("{name} did not end within {} s", LIMIT.as_secs()));
    let ended = timeout(LIMIT, watched)
        .await
        .map_err(late)?
        .map_err(Error::io(format!("wait for {name}")))?;
    let took = clock.elapsed().saturating_sub(started);
    if !ended.status.success() {
        let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
        let command = std::iter::once(name.into())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ");
        let output = last_lines(&String::from_utf8_lossy(&ended.stderr));
        return Err(Error::Program {
            command,
            status: ended.status.to_string(),
            output,
        });
    }
    let Seen {
        peak_bytes,
        processor_seconds,
        written_bytes,
    } = seen;
    let output = String::from_utf8_lossy(&ended.stdout).into_owned();
    Ok(Run {
        started_at,
        took,
        peak_bytes,
        processor_seconds,
        written_bytes,
        output,
    })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::SystemClock;

    #[tokio::test]
    async fn a_programs_memory_time_and_failure_are_seen() {
        let shell = Path::new("/bin/sh");
        let clock = SystemClock::default();
        // A string of 32 MiB, then long enough for another look.
        let eats = "x=$(head -c 33554432 /dev/zero | tr '\\0' a); sleep 0.1; echo ${#x}";
        let run_of_it = run(shell, &["-c", eats], &clock).await.unwrap();
        assert_eq!(run_of_it.output, "33554432\n");
        assert!(run_of_it.peak_bytes > 32 << 20, "{run_of_it:?}");
        assert!(
            run_of_it.took >= Duration::from_millis(100),
            "{run_of_it:?}"
        );
        let error = run(shell, &["-c", "echo no such clinic >&2; exit 3"], &clock)
            .await
            .unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("exit status: 3") && words.contains("no such clinic"),
            "{words}"
        );
    }
}

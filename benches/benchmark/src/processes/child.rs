//! Runs a program as a process of its own, to its end or beside the benchmark.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::Error;
use crate::processes::figures::{ProcessFigures, figures_of};
use crate::processes::watch::{Watch, last_lines};

/// Longest run; after it a program is taken to hang.
const LIMIT: Duration = Duration::from_secs(3600);

/// A run that ended well.
#[derive(Debug)]
pub(crate) struct CompletedRun {
    /// Moment of its start.
    pub started_at: DateTime<Utc>,
    /// Time from its start to its end.
    pub took: Duration,
    /// Memory, processor time and written bytes; pages that were written several times are counted
    /// as often.
    pub figures: ProcessFigures,
    /// Text that the program wrote to standard output.
    pub output: String,
}

/// Limits of a wait for a program that starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartLimits {
    /// Pause between two looks.
    pub pause: Duration,
    /// Longest start.
    pub limit: Duration,
}

/// A program that runs until it is dropped, which kills it.
#[derive(Debug)]
pub(crate) struct Background(tokio::process::Child);

impl Background {
    /// Fails when it has ended by itself.
    pub(crate) fn check_running(&mut self, name: &str) -> Result<(), Error> {
        match self.0.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(Error::WrongResult(format!("{name} ended before its time"))),
        }
    }

    /// Waits until it answers, looking again after each `pause`. Fails when it has ended by itself,
    /// and after `limit`: then it is taken to hang.
    pub(crate) async fn until_it_answers(
        &mut self,
        name: &str,
        StartLimits { pause, limit }: StartLimits,
        clock: &dyn Clock,
        mut answers: impl AsyncFnMut() -> bool,
    ) -> Result<(), Error> {
        let started = clock.elapsed();
        loop {
            self.check_running(name)?;
            if answers().await {
                return Ok(());
            }
            if clock.elapsed().saturating_sub(started) > limit {
                return Err(Error::WrongResult(format!(
                    "{name} did not answer within {} s",
                    limit.as_secs()
                )));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Figures of the process in /proc now; none once it has ended.
    pub(crate) fn figures(&self) -> Option<ProcessFigures> {
        figures_of(self.0.id()?)
    }

    /// Ends it with `kill -9`, and waits for it.
    pub(crate) async fn end(mut self) -> Result<(), Error> {
        self.0.kill().await.map_err(Error::io("end a program"))
    }
}

/// Starts a program beside the benchmark.
pub(crate) fn start(program: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Background, Error> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let child = command.spawn().map_err(Error::io("start a program"))?;
    Ok(Background(child))
}

/// Runs a program to its end.
pub(crate) async fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    clock: &dyn Clock,
) -> Result<CompletedRun, Error> {
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
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let started_at = clock.now();
    let started = clock.elapsed();
    let child = command
        .spawn()
        .map_err(Error::io(format!("start {name}")))?;
    let watch = Watch::begin(child.id().unwrap_or_default());
    let late = |_| Error::WrongResult(format!("{name} did not end within {} s", LIMIT.as_secs()));
    let ended = timeout(LIMIT, child.wait_with_output())
        .await
        .map_err(late)?
        .map_err(Error::io(format!("wait for {name}")))?;
    let took = clock.elapsed().saturating_sub(started);
    if !ended.status.success() {
        let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
        let command: Vec<_> = std::iter::once(name.into()).chain(words).collect();
        return Err(Error::Program {
            command: command.join(" "),
            status: ended.status.to_string(),
            output: last_lines(&ended.stderr),
        });
    }
    Ok(CompletedRun {
        started_at,
        took,
        figures: watch.latest(),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
    })
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
        assert!(run_of_it.figures.peak_bytes > 32 << 20, "{run_of_it:?}");
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

    #[tokio::test]
    async fn a_program_is_waited_for_until_it_answers_or_ends() {
        let limits = StartLimits {
            pause: Duration::from_millis(1),
            limit: Duration::from_secs(60),
        };
        let shell = Path::new("/bin/sh");
        let clock = SystemClock::default();
        let mut sleeper = start(shell, &["-c", "exec sleep 600"]).unwrap();
        let mut looks = 0;
        let answers = async || {
            looks += 1;
            looks == 3
        };
        let waited = sleeper.until_it_answers("sleep", limits, &clock, answers);
        waited.await.unwrap();
        assert_eq!(looks, 3);
        let limits = StartLimits {
            limit: Duration::ZERO,
            ..limits
        };
        let late = sleeper.until_it_answers("sleep", limits, &clock, async || false);
        let words = late.await.unwrap_err().to_string();
        assert!(words.contains("sleep did not answer within 0 s"), "{words}");
        sleeper.end().await.unwrap();
        let mut ended = start(shell, &["-c", "exit 0"]).unwrap();
        let limits = StartLimits {
            limit: Duration::from_secs(60),
            ..limits
        };
        let gone = ended.until_it_answers("true", limits, &clock, async || false);
        let words = gone.await.unwrap_err().to_string();
        assert!(words.contains("true ended before its time"), "{words}");
    }
}

//! A peer as a process: started with its environment, its memory and processor time watched from
//! outside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::filled;
use super::list::Peer;
use crate::error::Error;
use crate::processes::{Seen, look_at};

/// Interval between two reads of /proc.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of the log that a failure quotes.
const QUOTED_LINES: usize = 15;

/// A running peer; killed when it is dropped.
pub(super) struct Watched {
    name: &'static str,
    child: Child,
    log: PathBuf,
    seen: Arc<Mutex<Seen>>,
    look: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.look.abort();
    }
}

impl Watched {
    /// Starts a peer; what it prints goes to `log`.
    pub(super) fn start(
        peer: &Peer,
        environment: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, Error> {
        let output = File::create(log).map_err(Error::io("make a peer's log"))?;
        let errors = output.try_clone().map_err(Error::io("make a peer's log"))?;
        let mut command = Command::new(filled(peer.program, peer.folder));
        command
            .args(peer.arguments.iter().map(|word| filled(word, peer.folder)))
            .current_dir(filled(peer.works_in, peer.folder))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(Error::io(format!("start {}", peer.name)))?;
        let id = child.id().unwrap_or_default();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let look = tokio::spawn(keep_looking(id, Arc::clone(&seen)));
        Ok(Self {
            name: peer.name,
            child,
            log: log.to_owned(),
            seen,
            look,
        })
    }

    /// Whether it has ended, and well.
    pub(super) fn ended(&mut self) -> Result<bool, Error> {
        match self
            .child
            .try_wait()
            .map_err(Error::io("wait for a peer"))?
        {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => Err(self.failure(status)),
        }
    }

    /// Ends it if it still runs; what was seen of it.
    pub(super) async fn end(mut self) -> Result<Seen, Error> {
        if self.child.id().is_some() {
            self.child.kill().await.map_err(Error::io("end a peer"))?;
        }
        Ok(*self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn failure(&self, status: ExitStatus) -> Error {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let output = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n");
        Error::Program {
            command: self.name.to_owned(),
            status: status.to_string(),
            output,
        }
    }
}

/// Until the process has ended.
async fn keep_looking(id: u32, seen: Arc<Mutex<Seen>>) {
    let mut look = interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let Some(now) = look_at(id) else { return };
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::PEERS;
    use super::*;

    async fn run(script: &'static [&'static str]) -> Result<Seen, Error> {
        let folder = tempfile::tempdir().unwrap();
        let peer = Peer {
            program: "/bin/sh",
            arguments: script,
            works_in: "/",
            ..PEERS[0]
        };
        let words = [("WORD", "no such queue".to_owned())];
        let mut program = Watched::start(&peer, &words, &folder.path().join("log"))?;
        while !program.ended()? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        program.end().await
    }

    #[tokio::test]
    async fn memory_and_time_are_seen_and_a_failure_quotes_the_log() {
        // A string of 32 MiB, then long enough for another look.
        const EATS: &str = "x=$(head -c 33554432 /dev/zero | tr '\\0' a); sleep 0.1; echo ${#x}";
        let seen = run(&["-c", EATS]).await.unwrap();
        assert!(
            seen.peak_bytes > 32 << 20 && seen.processor_seconds > 0.0,
            "{seen:?}"
        );
        let error = run(&["-c", "echo $WORD; exit 3"])
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("no such queue"),
            "{error}"
        );
    }
}

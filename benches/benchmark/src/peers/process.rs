//! A peer as a process: started with its environment, its memory and processor time watched from
//! outside.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use crate::error::Error;
use crate::peers::list::Peer;
use crate::processes::figures::ProcessFigures;
use crate::processes::watch::{Watch, last_lines};

/// A running peer; killed when it is dropped.
pub(crate) struct PeerProcess {
    name: &'static str,
    child: Child,
    log: PathBuf,
    watch: Watch,
}

impl PeerProcess {
    /// Starts a peer; its output goes to `log`.
    pub(crate) fn start(
        peer: &Peer,
        variables: &[(&str, String)],
        log: &Path,
    ) -> Result<Self, Error> {
        let output = File::create(log).map_err(Error::io("make a peer's log"))?;
        let errors = output.try_clone().map_err(Error::io("make a peer's log"))?;
        let mut command = Command::new(peer.filled(peer.program));
        command
            .args(peer.arguments.iter().map(|word| peer.filled(word)))
            .current_dir(peer.filled(peer.works_in))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(Error::io(format!("start {}", peer.name)))?;
        Ok(Self {
            name: peer.name,
            watch: Watch::begin(child.id().unwrap_or_default()),
            child,
            log: log.to_owned(),
        })
    }

    /// Returns whether it has ended well; fails if it has ended otherwise.
    pub(crate) fn ended(&mut self) -> Result<bool, Error> {
        let status = self.child.try_wait();
        match status.map_err(Error::io("wait for a peer"))? {
            None => Ok(false),
            Some(status) if status.success() => Ok(true),
            Some(status) => Err(self.failure(status)),
        }
    }

    /// Ends it if it still runs. Returns its figures.
    pub(crate) async fn end(mut self) -> Result<ProcessFigures, Error> {
        if self.child.id().is_some() {
            self.child.kill().await.map_err(Error::io("end a peer"))?;
        }
        Ok(self.watch.latest())
    }

    fn failure(&self, status: ExitStatus) -> Error {
        Error::Program {
            command: self.name.to_owned(),
            status: status.to_string(),
            output: last_lines(&std::fs::read(&self.log).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peers::list::PEERS;

    async fn run(script: &'static [&'static str]) -> Result<ProcessFigures, Error> {
        let folder = tempfile::tempdir().unwrap();
        let peer = Peer {
            program: "/bin/sh",
            arguments: script,
            works_in: "/",
            ..PEERS[0]
        };
        let words = [("WORD", "no such queue".to_owned())];
        let mut program = PeerProcess::start(&peer, &words, &folder.path().join("log"))?;
        while !program.ended()? {
            tokio::time::sleep(Duration::from_millis(10)).await;
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

//! A server as a direct child process, which dies with this process and is always reaped.

use crate::error::Error;
use crate::folder::User;
use crate::log_end::log_tail;
use parking_lot::Mutex;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Interval at which a server is asked whether it is ready or gone.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// Number of times that a process which was sent a signal is looked at, [`POLL`] apart: 60 s.
const SIGNAL_POLLS: u32 = 3000;

type Job = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Program to run, and the signal to end it.
pub(crate) struct ProcessSpec<'a> {
    /// The server's name in errors.
    pub server: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The child's whole environment, beside PATH and LANG.
    pub env: Vec<(String, String)>,
    /// Working folder; holds the files `out.log` and `pid`.
    pub folder: &'a Path,
    pub user: Option<&'a User>,
    /// The signal that the kernel sends when this process dies.
    pub end_signal: &'static str,
}

/// A running child; killed and reaped on drop.
#[derive(Debug)]
pub(crate) struct Process {
    server: &'static str,
    child: Child,
    end_signal: &'static str,
    log: PathBuf,
}

impl Process {
    pub(crate) fn spawn(spec: &ProcessSpec<'_>) -> Result<Self, Error> {
        let log = spec.folder.join("out.log");
        let opened = || Error::io(format!("open {}", log.display()));
        let out = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(opened())?;
        let err = out.try_clone().map_err(opened())?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", spec.end_signal]);
        if let Some(user) = spec.user {
            command
                .arg(format!("--reuid={}", user.uid))
                .arg(format!("--regid={}", user.gid));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(&spec.program).args(&spec.args);
        command
            .env_clear()
            .env("PATH", crate::tools::PATH)
            .env("LANG", "C.UTF-8");
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        command
            .current_dir(spec.folder)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        // A group of its own: Ctrl-C reaches the test, and the test's death ends the server.
        command.process_group(0);
        let child = spawn_from_lasting_thread(command).map_err(Error::io(format!(
            "start {} through setpriv (package util-linux)",
            spec.server
        )))?;
        let process = Self {
            server: spec.server,
            child,
            end_signal: spec.end_signal,
            log,
        };
        let pid_file = spec.folder.join("pid");
        std::fs::write(&pid_file, process.id().to_string())
            .map_err(Error::io("write the pid file"))?;
        Ok(process)
    }

    /// The server's own process id: setpriv executes the server in its place.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the log's end if the process has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Error::Ended {
                server: self.server,
                status: status.to_string(),
                log: log_tail(&self.log),
            }),
            Err(source) => Err(Error::Io {
                action: format!("ask for the state of {}", self.server),
                source,
            }),
        }
    }

    /// Sends a signal by its name without SIG: `STOP`, `CONT`, `INT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) -> Result<(), Error> {
        let id = self.id().to_string();
        let done = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, name, &id])
            .stdin(Stdio::null())
            .output()
            .map_err(Error::io("run kill"))?;
        if done.status.success() {
            return Ok(());
        }
        Err(Error::Tool {
            tool: "kill".into(),
            status: done.status.to_string(),
            output: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }

    /// Waits until the kernel has stopped every thread, after SIGSTOP. `kill` returns before that: one
    /// thread takes the signal and stops the others, and on a busy machine they run on until it is
    /// scheduled.
    fn wait_until_stopped(&self) -> Result<(), Error> {
        for _ in 0..SIGNAL_POLLS {
            if threads_are_stopped(self.id()).map_err(Error::io("read the threads' states"))? {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        Err(self.too_slow("paused", (POLL * SIGNAL_POLLS).as_secs()))
    }

    /// SIGKILL, and reaps the child.
    pub(crate) fn kill(&mut self) {
        // Both fail only when the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGKILL of the process and of all that it has started: its group, by its id. Reaps the child.
    pub(crate) fn kill_group(&mut self) {
        let group = format!("-{}", self.id());
        // Fails only when the group is gone already.
        let _ = Command::new("sh")
            .args(["-c", r#"kill -s KILL -- "$0""#, &group])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        self.kill();
    }

    /// Sends `signal` and waits until the process has ended; kills it when that takes too long.
    pub(crate) async fn stop(mut self, signal: &str, seconds: u64) -> Result<(), Error> {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return Ok(());
        }
        self.signal(signal)?;
        let gone = async {
            while self.check().is_ok() {
                sleep(POLL).await;
            }
        };
        timeout(Duration::from_secs(seconds), gone)
            .await
            .map_err(|_| self.too_slow("stopped", seconds))
    }

    pub(crate) fn too_slow(&self, state: &'static str, seconds: u64) -> Error {
        Error::TooSlow {
            server: self.server,
            state,
            seconds,
            log: log_tail(&self.log),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) && self.end_signal != "KILL" {
            // PostgreSQL removes its shared memory segment on SIGQUIT, and cannot on SIGKILL.
            let _ = self.signal("CONT");
            let _ = self.signal(self.end_signal);
            for _ in 0..SIGNAL_POLLS {
                if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
        self.kill();
    }
}

/// The place of a server's process, empty while the server is not running.
#[derive(Debug)]
pub(crate) struct ProcessSlot {
    server: &'static str,
    process: Option<Process>,
}

impl ProcessSlot {
    pub(crate) fn empty(server: &'static str) -> Self {
        Self {
            server,
            process: None,
        }
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Puts a process in; the one before is killed.
    pub(crate) fn insert(&mut self, process: Process) -> &mut Process {
        self.process.insert(process)
    }

    /// SIGKILL; nothing where no process runs.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGKILL of all that the process has started, too; nothing where no process runs.
    pub(crate) fn kill_group(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_group();
        }
    }

    /// Ends the process as [`Process::stop`] does; nothing where none runs.
    pub(crate) async fn stop(&mut self, signal: &str, seconds: u64) -> Result<(), Error> {
        match self.process.take() {
            Some(process) => process.stop(signal, seconds).await,
            None => Ok(()),
        }
    }

    /// Stops the process and returns when none of its threads runs any more.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        let process = self.running()?;
        process.signal("STOP")?;
        process.wait_until_stopped()
    }

    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.running()?.signal("CONT")
    }

    /// The process, or [`Error::NotRunning`].
    pub(crate) fn running(&self) -> Result<&Process, Error> {
        self.process.as_ref().ok_or(Error::NotRunning {
            server: self.server,
        })
    }
}

/// Whether each thread of a process is stopped or has ended, by the third field of its `stat`
/// (proc_pid_stat(5)). The field before it, the name, may hold spaces and brackets.
fn threads_are_stopped(process: u32) -> std::io::Result<bool> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let stat = match std::fs::read_to_string(task?.path().join("stat")) {
            Ok(stat) => stat,
            // The thread has ended since the folder was listed.
            Err(_) => continue,
        };
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next());
        if !matches!(state, Some('T' | 't' | 'Z' | 'X')) {
            return Ok(false);
        }
    }
    Ok(true)
}

// The kernel sends the parent-death signal when the *thread* that forked ends, and a test's thread
// ends with its test: a server shared by several tests would die with the first. So one thread,
// which never ends, forks them all.
fn spawn_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("testbed-spawner".into())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    let _ = reply.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        Mutex::new(jobs)
    });
    let (reply, answer) = mpsc::channel();
    let gone = |_| std::io::Error::other("the spawner thread is gone");
    spawner
        .lock()
        .send((command, reply))
        .map_err(|_| gone(()))?;
    answer.recv().map_err(|_| gone(()))?
}

//! Failures to start or use a private server, with what to do about them.

/// A private server could not be started, driven or reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program of a Debian package is not on this machine.
    #[error(
        "{program} is not installed: run scripts/install-servers, or apt-get install {package}"
    )]
    Missing {
        /// The program looked for.
        program: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// The server ended while it was starting.
    #[error("{server} ended while starting ({status}); the end of its log:\n{log}")]
    Ended {
        /// The server's name.
        server: &'static str,
        /// The exit status in words.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but was not ready, or did not stop, within the time allowed.
    #[error("{server} was not {state} within {seconds} s; the end of its log:\n{log}")]
    TooSlow {
        /// The server's name.
        server: &'static str,
        /// The state that was waited for: `ready`, `stopped`.
        state: &'static str,
        /// The time allowed, in seconds.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The server is not running: it was killed or stopped and not restarted.
    #[error("{server} is not running: call restart() first")]
    NotRunning {
        /// The server's name.
        server: &'static str,
    },
    /// A helper program (`psql`, `mariadb`, `rabbitmqctl`, `initdb` …) failed.
    #[error("{tool} failed ({status}): {output}")]
    Tool {
        /// The program's name.
        tool: String,
        /// The exit status in words.
        status: String,
        /// The last lines of what it wrote.
        output: String,
    },
    /// The process may not mount a file system.
    #[error(
        "a small disk cannot be mounted ({why}): run this test as root, outside a container \
         without CAP_SYS_ADMIN"
    )]
    CannotMount {
        /// The message of `mount`.
        why: String,
    },
    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// The action that was tried.
        action: String,
        /// The reason for the failure.
        source: std::io::Error,
    },
}

impl Error {
    /// Makes a `map_err` argument that says what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

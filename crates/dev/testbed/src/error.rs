//! Why a private server could not be started or used, and what to do about it.

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
        /// Which server.
        server: &'static str,
        /// Its exit status in words.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs but was not ready, or did not stop, within the time allowed.
    #[error("{server} was not {state} within {seconds} s; the end of its log:\n{log}")]
    TooSlow {
        /// Which server.
        server: &'static str,
        /// What was waited for: `ready`, `stopped`.
        state: &'static str,
        /// How long, in seconds.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// The server is not running: it was killed or stopped and not restarted.
    #[error("{server} is not running: call restart() first")]
    NotRunning {
        /// Which server.
        server: &'static str,
    },
    /// A helper program (`psql`, `mariadb`, `rabbitmqctl`, `initdb` …) failed.
    #[error("{tool} failed ({status}): {output}")]
    Tool {
        /// Which program.
        tool: String,
        /// Its exit status in words.
        status: String,
        /// The last lines of what it wrote.
        output: String,
    },
    /// This process may not mount a file system.
    #[error(
        "a small disk cannot be mounted ({why}): run this test as root, outside a container \
         without CAP_SYS_ADMIN"
    )]
    CannotMount {
        /// What `mount` said.
        why: String,
    },
    /// The operating system refused something.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it failed.
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

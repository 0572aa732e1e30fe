//! A private PgBouncer in front of a [`Postgres`], reachable on a loopback port.

use crate::error::Error;
use crate::folder::{Folder, set_owner, unprivileged_user, write};
use crate::postgres::Postgres;
use crate::process::{POLL, Process, ProcessSpec};
use crate::tools;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SERVER: &str = "PgBouncer";
const PACKAGE: &str = "pgbouncer";
const START_SECONDS: u64 = 300;

/// A private PgBouncer; ended on drop.
#[derive(Debug)]
pub struct PgBouncer {
    // Before the folder: fields drop in this order.
    _process: Process,
    _folder: Folder,
    port: u16,
}

/// Settings of a private PgBouncer; all others are those that it comes with.
#[derive(Debug, Clone, Copy)]
pub struct PgBouncerSettings<'a> {
    /// Way in which connections are lent: `session`, `transaction` or `statement`.
    pub pool_mode: &'a str,
    /// Databases as clients name them, and as the server does.
    pub databases: &'a [(&'a str, &'a str)],
    /// Accounts and their passwords, the same for clients and for the server.
    pub accounts: &'a [(&'a str, &'a str)],
}

impl PgBouncerSettings<'_> {
    fn accounts_file(&self) -> String {
        let mut all = String::new();
        for (name, password) in self.accounts {
            _ = writeln!(all, "\"{name}\" \"{password}\"");
        }
        all
    }

    fn configuration(&self, server_port: u16, port: u16, accounts: &Path) -> String {
        let mut databases = String::new();
        for (name, real) in self.databases {
            _ = writeln!(
                databases,
                "{name} = host=127.0.0.1 port={server_port} dbname={real}"
            );
        }
        format!(
            "[databases]\n{databases}[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {}\n\
             default_pool_size = 2\n",
            accounts.display(),
            self.pool_mode
        )
    }
}

impl PgBouncer {
    /// Starts a pooler of two connections a database and account.
    pub async fn start(server: &Postgres, settings: PgBouncerSettings<'_>) -> Result<Self, Error> {
        let program = tools::find("pgbouncer", PACKAGE)?;
        // It refuses to run as root.
        let user = unprivileged_user();
        let folder = Folder::new("pgbouncer")?;
        let port = crate::ports::free_port();
        let accounts = folder.path().join("accounts");
        let configuration = folder.path().join("pgbouncer.ini");
        write(&accounts, &settings.accounts_file())?;
        let ini = settings.configuration(server.port(), port, &accounts);
        write(&configuration, &ini)?;
        for path in [folder.path(), &accounts, &configuration] {
            set_owner(path, user.as_ref())?;
        }
        let mut process = Process::spawn(&ProcessSpec {
            server: SERVER,
            program,
            args: vec![configuration.display().to_string()],
            env: Vec::new(),
            folder: folder.path(),
            user: user.as_ref(),
            end_signal: "KILL",
        })?;
        match timeout(
            Duration::from_secs(START_SECONDS),
            until_ready(&mut process, port),
        )
        .await
        {
            Ok(ready) => ready?,
            Err(_) => return Err(process.too_slow("ready", START_SECONDS)),
        }
        Ok(Self {
            _process: process,
            _folder: folder,
            port,
        })
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn until_ready(process: &mut Process, port: u16) -> Result<(), Error> {
    loop {
        process.check()?;
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

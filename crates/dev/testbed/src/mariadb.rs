//! A private MariaDB (MySQL's protocol and dialect), reachable on a loopback port.

use crate::error::Error;
use crate::folder::{Folder, make_dir, own_uid, write};
use crate::process::{POLL, Process, ProcessSlot, ProcessSpec};
use crate::template::{self, Template};
use crate::tools;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SERVER: &str = "MariaDB";
const PACKAGE: &str = "mariadb-server";
/// Number that rises when the options of mariadb-install-db below change.
const TEMPLATE_REVISION: u32 = 1;
const START_SECONDS: u64 = 300;
const STOP_SECONDS: u64 = 120;

/// A private MariaDB server; ended, and its data removed, on drop.
#[derive(Debug)]
pub struct MariaDb {
    // Before the folder: fields drop in this order.
    process: ProcessSlot,
    folder: Folder,
    data: PathBuf,
    port: u16,
}

impl MariaDb {
    /// Starts a server with no database of ours in it.
    pub async fn start() -> Result<Self, Error> {
        tools::find("mariadbd", PACKAGE)?;
        let install = tools::find("mariadb-install-db", PACKAGE)?;
        let folder = Folder::new("mariadb")?;
        let data = folder.path().join("data");
        let template = Template {
            name: template::name("mariadb", TEMPLATE_REVISION, &install)?,
            user: None,
            install: Box::new(move |target| {
                let mut command = Command::new(install);
                command.args([
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ]);
                command.args(["--skip-name-resolve", "--innodb-log-file-size=16M"]);
                command.arg(format!("--datadir={}", target.display()));
                if own_uid() == 0 {
                    command.arg("--user=root");
                }
                command
            }),
            tool: "mariadb-install-db",
        };
        template::clone(template, data.clone()).await?;
        let port = crate::ports::free_port();
        let temporary = folder.path().join("tmp");
        make_dir(&temporary, 0o700)?;
        let configuration = configuration(&data, &temporary, port);
        write(&folder.path().join("my.cnf"), &configuration)?;
        let mut server = Self {
            process: ProcessSlot::empty(SERVER),
            folder,
            data,
            port,
        };
        server.restart().await?;
        Ok(server)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mysql://root@127.0.0.1:PORT/DATABASE` (all rights, no password).
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of another account, which must exist for the host `127.0.0.1` or `%`.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "mysql://{user}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The data folder: tables, redo log and all.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder of the server's temporary files.
    pub fn temporary_dir(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("out.log")
    }

    /// Creates a database (utf8mb4) and returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        self.execute("mysql", &format!("CREATE DATABASE `{name}`"))
            .await?;
        Ok(self.url(name))
    }

    /// Runs SQL (any number of statements) through the mariadb client, stopping at the first error.
    /// Returns the rows, one a line, fields separated by tabs.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<String, Error> {
        let client = tools::find("mariadb", "mariadb-client")?;
        let port = self.port.to_string();
        let args = [
            "--no-defaults",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--port",
            &port,
            "--user=root",
            "--default-character-set=utf8mb4",
            "--batch",
            "--skip-column-names",
            database,
        ];
        tools::run(&client, &args, &[], sql).await
    }

    /// `kill -9` of the server; its data stays as they were.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// A clean shutdown.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.process.stop("TERM", STOP_SECONDS).await
    }

    /// Starts the server again on the same port and data, after [`Self::kill`] or [`Self::stop`],
    /// or after stopping it now.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        let process = self.process.insert(Process::spawn(&ProcessSpec {
            server: SERVER,
            program: tools::find("mariadbd", PACKAGE)?,
            args: vec![format!(
                "--defaults-file={}",
                self.folder.path().join("my.cnf").display()
            )],
            env: Vec::new(),
            folder: self.folder.path(),
            user: None,
            end_signal: "KILL",
        })?);
        let ready = timeout(
            Duration::from_secs(START_SECONDS),
            until_ready(process, self.port),
        )
        .await;
        ready.unwrap_or_else(|_| Err(process.too_slow("ready", START_SECONDS)))
    }

    /// Stops the server (SIGSTOP): it looks connected and answers nothing.
    pub fn pause(&self) -> Result<(), Error> {
        self.process.pause()
    }

    /// Lets a paused server go on (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.process.resume()
    }
}

// The socket's name is relative to the data folder: a full path may exceed the 107 bytes a socket
// allows.
//
// A server that starts deletes the temporary tables in its folder for them: those of another one, if
// both had the same, and the other one then fails, or ends.
fn configuration(data: &Path, temporary: &Path, port: u16) -> String {
    let user = if own_uid() == 0 { "user=root\n" } else { "" };
    format!(
        "[mariadbd]\ndatadir={}\ntmpdir={}\nsocket=server.sock\npid-file=server.pid\n\
         bind-address=127.0.0.1\nport={port}\n\
         character-set-server=utf8mb4\nskip-name-resolve\ninnodb_buffer_pool_size=32M\n\
         innodb_log_file_size=16M\n{user}",
        data.display(),
        temporary.display()
    )
}

/// Ready when it greets a client: the port alone is bound earlier.
async fn until_ready(process: &mut Process, port: u16) -> Result<(), Error> {
    loop {
        process.check()?;
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
            && stream.read_u8().await.is_ok()
        {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

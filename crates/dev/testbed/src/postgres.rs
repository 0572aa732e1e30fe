//! A private PostgreSQL: its own cluster, `fsync` on, reachable on a loopback port.

use crate::error::Error;
use crate::folder::{Folder, User, unprivileged_user};
use crate::process::{POLL, Process, ProcessSlot, ProcessSpec};
use crate::template::{self, Template};
use crate::tools;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const SERVER: &str = "PostgreSQL";
const PACKAGE: &str = "postgresql";
/// Number that rises when `INITDB` changes.
const TEMPLATE_REVISION: u32 = 1;
const INITDB: [&str; 6] = [
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
];
/// The superuser needs no password; every other role does, so that wrong credentials are refused.
const HBA: &str = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
const START_SECONDS: u64 = 300;
const STOP_SECONDS: u64 = 120;

/// A private PostgreSQL server; ended, and its data removed, on drop.
#[derive(Debug)]
pub struct Postgres {
    // Before the folder: fields drop in this order.
    process: ProcessSlot,
    folder: Folder,
    data: PathBuf,
    bin: PathBuf,
    port: u16,
    user: Option<User>,
    settings: Vec<(String, String)>,
}

impl Postgres {
    /// Starts a server with an empty cluster.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(&[]).await
    }

    /// Starts a server with further settings of postgresql.conf, such as `("log_statement",
    /// "all")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_at(None, settings).await
    }

    /// Starts a server whose cluster (about 45 MiB) lies in `place`, such as a
    /// [`crate::disk::SmallDisk`]. Its folder there, `postgres`, must not exist, and is not removed
    /// on drop.
    pub async fn start_in(place: &Path, settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_at(Some(place), settings).await
    }

    async fn start_at(place: Option<&Path>, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let home =
            tools::newest("/usr/lib/postgresql", "", "bin/initdb").ok_or(Error::Missing {
                program: "initdb",
                package: PACKAGE,
            })?;
        let bin = home.join("bin");
        let user = unprivileged_user();
        let folder = Folder::new("postgres")?;
        // The server's log and pid file lie in the folder it works in.
        crate::folder::set_owner(folder.path(), user.as_ref())?;
        let data = place.map_or_else(
            || folder.path().join("data"),
            |place| place.join("postgres"),
        );
        let initdb = bin.join("initdb");
        let template = Template {
            name: template::name("postgres", TEMPLATE_REVISION, &initdb)?,
            user: user.clone(),
            install: Box::new(move |target| {
                let mut command = Command::new(initdb);
                command.args(INITDB).arg("-D").arg(target);
                command
            }),
            tool: "initdb",
        };
        template::clone(template, data.clone()).await?;
        std::fs::write(data.join("pg_hba.conf"), HBA).map_err(Error::io("write pg_hba.conf"))?;
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let port = crate::ports::free_port();
        let mut server = Self {
            process: ProcessSlot::empty(SERVER),
            folder,
            data,
            bin,
            port,
            user,
            settings,
        };
        server.restart().await?;
        Ok(server)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://postgres@127.0.0.1:PORT/DATABASE` (superuser, no password).
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a role other than the superuser; such a role must have a password.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// The URL of the database `postgres`.
    pub fn admin_url(&self) -> String {
        self.url("postgres")
    }

    /// The cluster's folder: tables, WAL and all.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The server's log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("out.log")
    }

    /// The server's process id while it runs, for its memory or its processor time.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Creates a UTF-8 database and returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\""))
            .await?;
        Ok(self.url(name))
    }

    /// Creates a database in another encoding, such as `WIN1251`, and returns its URL.
    pub async fn create_database_with_encoding(
        &self,
        name: &str,
        encoding: &str,
    ) -> Result<String, Error> {
        let locale = "LC_COLLATE 'C' LC_CTYPE 'C'";
        let sql =
            format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING '{encoding}' {locale}");
        self.psql("postgres", &sql).await?;
        Ok(self.url(name))
    }

    /// Runs SQL (any number of statements) through psql, stopping at the first error. Returns the
    /// rows, one a line, fields separated by `|`.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String, Error> {
        let url = self.url(database);
        let args = [
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &url,
            "-f",
            "-",
        ];
        let env = [("PGCLIENTENCODING".to_owned(), "UTF8".to_owned())];
        tools::run(&self.bin.join("psql"), &args, &env, sql).await
    }

    /// Starts the server again with this certificate and its key (PEM), by which it encrypts from
    /// now on the connections of clients that ask for it.
    pub async fn encrypt(&mut self, certificate: &str, key: &str) -> Result<(), Error> {
        for (file, pem) in [("server.crt", certificate), ("server.key", key)] {
            let path = self.data.join(file);
            crate::folder::write(&path, pem)?;
            // The server refuses a key that others may read.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))
                .map_err(Error::io(format!("set the permissions of {file}")))?;
            crate::folder::set_owner(&path, self.user.as_ref())?;
        }
        self.psql("postgres", "ALTER SYSTEM SET ssl = on").await?;
        self.restart().await
    }

    /// `kill -9` of the server; its data stays as they were.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// A fast shutdown: clients are disconnected, a checkpoint is written.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.process.stop("INT", STOP_SECONDS).await
    }

    /// Starts the server again on the same port and data, after [`Self::kill`] or [`Self::stop`],
    /// or after stopping it now.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        let ready = timeout(Duration::from_secs(START_SECONDS), self.start_until_ready()).await;
        ready.unwrap_or_else(|_| {
            let error = self.process.running()?.too_slow("ready", START_SECONDS);
            self.process.kill();
            Err(error)
        })
    }

    /// Stops the server's main process (SIGSTOP): new connections hang. Sessions that are already
    /// open go on.
    pub fn pause(&self) -> Result<(), Error> {
        self.process.pause()
    }

    /// Lets a paused server go on (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.process.resume()
    }

    async fn start_until_ready(&mut self) -> Result<(), Error> {
        loop {
            let process = self.process.insert(self.spawn()?);
            match until_ready(process, &self.data).await {
                Err(Error::Ended { log, .. }) if is_held_by_former_children(&log) => {
                    sleep(POLL * 5).await
                }
                other => return other,
            }
        }
    }

    fn spawn(&self) -> Result<Process, Error> {
        let mut args = vec!["-D".to_owned(), self.data.display().to_string()];
        let port = self.port.to_string();
        let own = [
            ("port", port.as_str()),
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("shared_buffers", "32MB"),
        ];
        let further = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(further) {
            args.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        Process::spawn(&ProcessSpec {
            server: SERVER,
            program: self.bin.join("postgres"),
            args,
            env: Vec::new(),
            folder: self.folder.path(),
            user: self.user.as_ref(),
            end_signal: "QUIT",
        })
    }
}

/// Whether a server could not start since children of the one before, which was killed, live a
/// moment longer: they hold its shared memory, and its port until they have closed it.
fn is_held_by_former_children(log: &str) -> bool {
    log.contains("is still in use") || log.contains("could not create any TCP/IP sockets")
}

/// `postmaster.pid` names the process on its first line and says `ready` on its eighth: what pg_ctl
/// reads.
async fn until_ready(process: &mut Process, data: &Path) -> Result<(), Error> {
    let id = process.id().to_string();
    loop {
        process.check()?;
        let state = std::fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        let mut lines = state.lines().map(str::trim);
        if lines.next() == Some(id.as_str()) && lines.nth(6) == Some("ready") {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

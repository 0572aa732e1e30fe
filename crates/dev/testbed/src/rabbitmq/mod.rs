//! A private RabbitMQ broker with an epmd of its own, reachable on a loopback port.

mod package;
pub mod raw;

use crate::error::Error;
use crate::folder::{Folder, make_dir, write};
use crate::process::{POLL, Process, ProcessSlot, ProcessSpec};
use crate::{ports, tools};
use package::Package;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SERVER: &str = "RabbitMQ";
const PACKAGE: &str = "rabbitmq-server";
const NODE: &str = "testbed@localhost";
/// Erlang's shared secret between the node and its tools; the node listens on loopback only.
const COOKIE: &str = "testbed";
const START_SECONDS: u64 = 300;
const STOP_SECONDS: u64 = 120;
/// Longest wait for a queue to have a number of messages.
const DEPTH_PATIENCE: Duration = Duration::from_secs(300);
const DEFAULT_WATERMARK_BYTES: u64 = 2_000_000_000;

/// Options to start the broker with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Listens for AMQPS too, on a port of its own.
    pub tls: Option<TlsFiles>,
    /// Further lines of rabbitmq.conf.
    pub config: Vec<String>,
}

/// PEM files for AMQPS. The certificate must be valid for `localhost`.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The authority that signs client certificates.
    pub ca: PathBuf,
    /// The broker's certificate chain.
    pub cert: PathBuf,
    /// The broker's private key.
    pub key: PathBuf,
    /// Refuses clients without a certificate of that authority.
    pub verify_peer: bool,
}

/// A private RabbitMQ broker; ended, and its data removed, on drop.
#[derive(Debug)]
pub struct RabbitMq {
    // Before the folder: fields drop in this order.
    node: ProcessSlot,
    epmd: Process,
    folder: Folder,
    data: PathBuf,
    package: Package,
    env: Vec<(String, String)>,
    port: u16,
    tls_port: Option<u16>,
    epmd_port: u16,
}

impl RabbitMq {
    /// Starts an empty broker.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(Options::default()).await
    }

    /// Starts an empty broker with TLS or further configuration.
    pub async fn start_with(options: Options) -> Result<Self, Error> {
        Self::start_at(None, options).await
    }

    /// Starts an empty broker whose queues and messages lie in `place`, such as a
    /// [`crate::disk::SmallDisk`]. Its folder there, `rabbitmq`, must not exist, and is not removed
    /// on drop. The broker's disk alarm goes off at 50 MB left; a line `disk_free_limit.absolute =
    /// …` among the options changes that.
    pub async fn start_in(place: &Path, options: Options) -> Result<Self, Error> {
        Self::start_at(Some(place), options).await
    }

    async fn start_at(place: Option<&Path>, options: Options) -> Result<Self, Error> {
        tools::find("erl_call", "erlang-base")?;
        let folder = Folder::new("rabbitmq")?;
        let package = Package::copy(folder.path())?;
        let port = ports::free_port();
        let tls_port = options.tls.as_ref().map(|_| ports::free_port());
        let epmd_port = ports::free_port();
        write(
            &folder.path().join("rabbitmq.conf"),
            &configuration(&options, port, tls_port),
        )?;
        write(&folder.path().join("enabled_plugins"), "[].\n")?;
        let data = place.map_or_else(
            || folder.path().join("data"),
            |place| place.join("rabbitmq"),
        );
        make_dir(&data, 0o700)?;
        for name in ["home", "log", "epmd"] {
            make_dir(&folder.path().join(name), 0o700)?;
        }
        let env = environment(folder.path(), &data, ports::free_port(), epmd_port);
        let epmd = Process::spawn(&ProcessSpec {
            server: "epmd",
            program: tools::find("epmd", "erlang-base")?,
            args: ["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]
                .map(str::to_owned)
                .to_vec(),
            env: Vec::new(),
            folder: &folder.path().join("epmd"),
            user: None,
            end_signal: "KILL",
        })?;
        let mut server = Self {
            node: ProcessSlot::empty(SERVER),
            epmd,
            folder,
            data,
            package,
            env,
            port,
            tls_port,
            epmd_port,
        };
        server.restart().await?;
        Ok(server)
    }

    /// The AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The AMQPS port on 127.0.0.1, when TLS was asked for.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/%2f`.
    pub fn amqp_url(&self) -> String {
        Self::url_on(self.port)
    }

    /// The same account through another port, such as that of a [`crate::proxy::TcpProxy`].
    pub fn url_on(port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    /// `amqps://guest:guest@localhost:PORT/%2f`.
    ///
    /// # Panics
    /// When the broker was started without TLS.
    pub fn amqps_url(&self) -> String {
        let port = self
            .tls_port
            .expect("amqps_url needs RabbitMq::start_with(Options { tls: Some(..) })");
        format!("amqps://guest:guest@localhost:{port}/%2f")
    }

    /// The folder with the broker's definitions, queues and messages.
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    /// The broker's process id while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.node.id()
    }

    /// Writes the broker's list of quorum queues to its disk. RabbitMQ does so by itself about half
    /// a second after a declaration; a broker killed before that comes back with a queue that never
    /// elects a leader. Call it between the first declaration and [`Self::kill`].
    pub async fn settle(&self) -> Result<(), Error> {
        let answer = self
            .evaluate("[ok = dets:sync(T) || T <- dets:all()], ok.")
            .await?;
        if answer == "{ok, ok}" {
            return Ok(());
        }
        Err(Error::Tool {
            tool: "erl_call".into(),
            status: "not settled".into(),
            output: crate::log_end::tail(&answer),
        })
    }

    /// `kill -9` of the broker and all its processes; its data stays as they were. See [`Self::settle`].
    pub fn kill(&mut self) {
        self.node.kill_group();
    }

    /// [`Self::kill`], after which the broker's disk is lost: it starts again without accounts,
    /// queues and messages.
    pub fn kill_and_lose_data(&mut self) -> Result<(), Error> {
        self.kill();
        std::fs::remove_dir_all(&self.data).map_err(Error::io("remove the broker's data"))?;
        make_dir(&self.data, 0o700)
    }

    /// A clean stop (about 3 s).
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.node.stop("TERM", STOP_SECONDS).await
    }

    /// Starts the broker again on the same ports and data, after [`Self::kill`] or [`Self::stop`],
    /// or after stopping it now. [`Self::stop_app`] and [`Self::start_app`] are faster.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        let named = timeout(Duration::from_secs(START_SECONDS), self.until_unnamed()).await;
        named.unwrap_or_else(|_| Err(self.epmd.too_slow("ready", START_SECONDS)))?;
        let mut node = Process::spawn(&ProcessSpec {
            server: SERVER,
            program: self.package.program("rabbitmq-server"),
            args: Vec::new(),
            env: self.env.clone(),
            folder: self.folder.path(),
            user: None,
            end_signal: "KILL",
        })?;
        let ready = timeout(
            Duration::from_secs(START_SECONDS),
            self.until_ready(&mut node),
        )
        .await;
        ready.unwrap_or_else(|_| Err(node.too_slow("ready", START_SECONDS)))?;
        self.node.insert(node);
        Ok(())
    }

    /// Stops the broker's process (SIGSTOP): it looks connected and neither acks nor nacks.
    pub fn pause(&self) -> Result<(), Error> {
        self.node.pause()
    }

    /// Lets a paused broker go on (SIGCONT).
    pub fn resume(&self) -> Result<(), Error> {
        self.node.resume()
    }

    /// `rabbitmqctl ARGS…`, its output; about half a second.
    pub async fn ctl(&self, args: &[&str]) -> Result<String, Error> {
        let mut all = vec!["--quiet"];
        all.extend(args);
        tools::run(&self.package.program("rabbitmqctl"), &all, &self.env, "").await
    }

    /// Runs a shell script in which `rabbitmqctl` is this broker's; its output.
    pub async fn shell(&self, script: &str) -> Result<String, Error> {
        let mut env = self.env.clone();
        let sbin = self.package.program("");
        env.push((
            "PATH".to_owned(),
            format!("{}:{}", sbin.display(), tools::PATH),
        ));
        tools::run(Path::new("/bin/sh"), &["-euc", script], &env, "").await
    }

    /// Stops the broker inside its virtual machine: clients are disconnected, new ones refused.
    pub async fn stop_app(&self) -> Result<(), Error> {
        self.ctl(&["stop_app"]).await.map(drop)
    }

    /// Starts the broker again after [`Self::stop_app`]; returns when it takes clients.
    pub async fn start_app(&self) -> Result<(), Error> {
        self.ctl(&["start_app"]).await.map(drop)
    }

    /// Sets the memory that raises the broker's alarm. A few megabytes block publishers at once
    /// (`connection.blocked`, and no confirms); [`Self::clear_memory_watermark`] frees them.
    pub async fn set_memory_watermark(&self, bytes: u64) -> Result<(), Error> {
        self.ctl(&[
            "set_vm_memory_high_watermark",
            "absolute",
            &bytes.to_string(),
        ])
        .await
        .map(drop)
    }

    /// Ends the memory alarm.
    pub async fn clear_memory_watermark(&self) -> Result<(), Error> {
        self.set_memory_watermark(DEFAULT_WATERMARK_BYTES).await
    }

    /// Messages in a queue of the vhost `/`, ready or delivered and not yet acknowledged, as of now
    /// (the figures of `rabbitmqctl list_queues` lag seconds behind). An error when there is no
    /// such queue.
    pub async fn queue_depth(&self, queue: &str) -> Result<u64, Error> {
        let bytes: Vec<String> = queue.bytes().map(|byte| byte.to_string()).collect();
        let answer = self
            .evaluate(&DEPTH.replace("NAME", &bytes.join(",")))
            .await?;
        let digits = answer
            .trim_start_matches("{ok,")
            .trim_end_matches('}')
            .trim();
        digits.parse().map_err(|_| Error::Tool {
            tool: "erl_call".into(),
            status: format!("no depth of the queue {queue}"),
            output: crate::log_end::tail(&answer),
        })
    }

    /// Waits until a queue has so many messages: an acknowledgement is no request, and the queue may
    /// take it after the channel is closed. An error after a
    /// minute.
    pub async fn until_depth(&self, queue: &str, depth: u64) -> Result<(), Error> {
        let reached = async {
            loop {
                if self.queue_depth(queue).await? == depth {
                    return Ok(());
                }
                sleep(POLL).await;
            }
        };
        let in_time = timeout(DEPTH_PATIENCE, reached).await;
        in_time.unwrap_or_else(|_| {
            Err(Error::Tool {
                tool: "erl_call".into(),
                status: format!("the queue {queue} never has {depth} messages"),
                output: String::new(),
            })
        })
    }

    /// Waits until epmd answers and does not know the node. A node that starts before would start
    /// an epmd of its own; and one whose name epmd still knows, since it has not noticed the death
    /// of the node before, would not start.
    async fn until_unnamed(&mut self) -> Result<(), Error> {
        let node = NODE.split('@').next().unwrap_or_default();
        let is_named = format!("name {node} at port");
        loop {
            self.epmd.check()?;
            match epmd_names(self.epmd_port).await {
                Ok(names) if !names.contains(&is_named) => return Ok(()),
                _ => sleep(POLL).await,
            }
        }
    }

    async fn evaluate(&self, erlang: &str) -> Result<String, Error> {
        let program = tools::find("erl_call", "erlang-base")?;
        let args = ["-sname", NODE, "-c", COOKIE, "-r", "-timeout", "30", "-e"];
        let env = [("ERL_EPMD_PORT".to_owned(), self.epmd_port.to_string())];
        // Without the line's end erl_call takes the expression for incomplete.
        tools::run(&program, &args, &env, &format!("{erlang}\n")).await
    }

    /// Ready when every port takes clients and the node says that its start is complete.
    async fn until_ready(&self, node: &mut Process) -> Result<(), Error> {
        for port in [Some(self.port), self.tls_port].into_iter().flatten() {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                node.check()?;
                sleep(POLL).await;
            }
        }
        while self
            .evaluate("rabbit_boot_state:get().")
            .await
            .ok()
            .as_deref()
            != Some("{ok, ready}")
        {
            node.check()?;
            sleep(POLL).await;
        }
        Ok(())
    }
}

/// Names of the nodes that an epmd knows, a line each: NAMES_REQ of the distribution protocol. The
/// answer begins with four bytes of epmd's own port.
async fn epmd_names(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&[0, 1, b'n']).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let names = answer.get(4..).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(String::from_utf8_lossy(names).into_owned())
}

/// A quorum queue's own figures are refreshed every few seconds; its state machine knows them
/// exactly. After a restart the queue first has to elect its leader, hence the timeout (in
/// milliseconds).
const DEPTH: &str = "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<NAME>>)),
case amqqueue:get_type(Q) of
  rabbit_quorum_queue ->
    {ok, {_, N}, _} = ra:leader_query(amqqueue:get_pid(Q), fun \
    rabbit_fifo:query_messages_total/1, 25000), N;
  _ -> [{messages, N}] = rabbit_amqqueue:info(Q, [messages]), N
end.";

fn configuration(options: &Options, port: u16, tls_port: Option<u16>) -> String {
    let mut text = format!(
        "listeners.tcp.local = 127.0.0.1:{port}\ndisk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.absolute = {DEFAULT_WATERMARK_BYTES}\nlog.file.level = info\n"
    );
    if let (Some(tls), Some(port)) = (&options.tls, tls_port) {
        let verify = if tls.verify_peer {
            "verify_peer"
        } else {
            "verify_none"
        };
        let _ = write!(
            text,
            "listeners.ssl.local = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = {verify}\n\
             ssl_options.fail_if_no_peer_cert = {}\n",
            tls.ca.display(),
            tls.cert.display(),
            tls.key.display(),
            tls.verify_peer,
        );
    }
    for line in &options.config {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn environment(
    folder: &Path,
    data: &Path,
    dist_port: u16,
    epmd_port: u16,
) -> Vec<(String, String)> {
    let at = |name: &str| folder.join(name).display().to_string();
    let kept = |name: &str| data.join(name).display().to_string();
    let erl = format!("-kernel inet_dist_use_interface {{127,0,0,1}} -setcookie {COOKIE}");
    let pairs = [
        ("HOME", at("home")),
        ("ERL_EPMD_PORT", epmd_port.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("ERL_CRASH_DUMP_BYTES", "0".into()),
        ("RABBITMQ_NODENAME", NODE.into()),
        ("RABBITMQ_DIST_PORT", dist_port.to_string()),
        ("RABBITMQ_MNESIA_BASE", data.display().to_string()),
        ("RABBITMQ_MNESIA_DIR", kept("node")),
        ("RABBITMQ_LOG_BASE", at("log")),
        ("RABBITMQ_LOGS", at("log/rabbitmq.log")),
        ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", at("no-such-file")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", at("home")),
        ("RABBITMQ_FEATURE_FLAGS_FILE", kept("feature_flags")),
        ("RABBITMQ_PID_FILE", at("home/pid")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erl),
        ("RABBITMQ_CTL_ERL_ARGS", format!("-setcookie {COOKIE}")),
        // Makes the start script execute the virtual machine, so that our child is the broker
        // itself.
        ("RUNNING_UNDER_SYSTEMD", "1".into()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

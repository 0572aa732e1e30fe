//! A connection with its channel, opened within a time limit and closable by force.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio, TokioRuntime};
use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::error_text;
use super::frames::{FilteredStream, FilteringReactor};
use super::settings::AmqpSettings;
use crate::BrokerError;

/// Longest wait for the broker to agree to the end of a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection and its channel.
pub(super) struct BrokerSession {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    socket: Socket,
}

/// A second handle on the connection's socket: shutting it ends lapin's thread even when the broker
/// is silent.
#[derive(Clone, Default)]
struct Socket(Arc<OnceLock<TcpStream>>);

impl Socket {
    fn keep(&self, stream: &impl AsFd) -> std::io::Result<()> {
        // Set once per connection: lapin dials once, its own recovery being off.
        drop(self.0.set(stream.as_fd().try_clone_to_owned()?.into()));
        Ok(())
    }

    fn shut(&self) {
        if let Some(stream) = self.0.get() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Shuts the socket of a connection whose making was broken off.
struct ShutOnDrop(Option<Socket>);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        if let Some(socket) = &self.0 {
            socket.shut();
        }
    }
}

impl BrokerSession {
    /// Connects, logs in and opens a channel. Of messages longer than `max_body` bytes only the
    /// beginning is read. May be dropped half-way.
    pub(super) async fn open(
        settings: &AmqpSettings,
        max_body: usize,
    ) -> Result<Self, BrokerError> {
        let mut unfinished = ShutOnDrop(Some(Socket::default()));
        let socket = unfinished.0.clone().unwrap_or_default();
        let dialling = dial(
            settings,
            max_body,
            settings.tls_connector()?,
            socket.clone(),
        );
        match timeout(settings.connect_timeout(), dialling).await {
            Ok(Ok((connection, channel))) => {
                unfinished.0 = None;
                Ok(Self {
                    connection,
                    channel,
                    socket,
                })
            }
            Ok(Err(error)) => Err(error_text::connecting(settings, &error)),
            Err(_) => Err(BrokerError::retry(format!(
                "{} did not answer within {} s",
                settings.address, settings.config.connect_timeout_seconds
            ))),
        }
    }

    /// Opens a session and does `work` on its channel, within the connect timeout.
    pub(super) async fn prepare<T>(
        settings: &AmqpSettings,
        max_body: usize,
        work: impl AsyncFnOnce(&Channel) -> Result<T, BrokerError>,
    ) -> Result<(Self, T), BrokerError> {
        let session = Self::open(settings, max_body).await?;
        match timeout(settings.connect_timeout(), work(&session.channel)).await {
            Ok(Ok(done)) => Ok((session, done)),
            Ok(Err(error)) => {
                session.close().await;
                Err(error)
            }
            Err(_) => {
                session.abort();
                Err(error_text::fell_silent(&settings.address))
            }
        }
    }

    /// Closes the connection, at the latest after [`CLOSE_TIMEOUT`].
    pub(super) async fn close(self) {
        drop(timeout(CLOSE_TIMEOUT, self.connection.close(200, "OK".into())).await);
        self.abort();
    }

    /// Cuts the connection: everything waiting on it fails at once.
    pub(super) fn abort(&self) {
        self.socket.shut();
    }
}

async fn dial(
    settings: &AmqpSettings,
    max_body: usize,
    tls: Option<RustlsConnector>,
    socket: Socket,
) -> lapin::Result<(Connection, Channel)> {
    let host = settings.address.host.clone();
    let port = settings.address.port;
    let server_name = settings
        .config
        .tls
        .server_name
        .clone()
        .unwrap_or_else(|| host.clone());
    let limit = settings.connect_timeout();
    let properties = ConnectionProperties::default().with_auth_provider(settings.login());
    let tokio = Tokio::current();
    let reactor = FilteringReactor(tokio.clone());
    let runtime = Runtime::new(RuntimeParts::new(tokio, reactor));
    // lapin runs this on a thread of its own, which must end when the connect timeout has passed.
    let connection = Connection::connector(
        settings.uri(),
        runtime,
        async move |_, _| {
            let runtime = TokioRuntime::tokio_current();
            let connecting = async {
                // A kind of its own, so that an unknown name reads otherwise than an unreachable
                // host.
                let found = lookup_host((host.as_str(), port))
                    .await
                    .map_err(|_| error_text::unknown_host())?;
                let stream = AsyncTcpStream::connect(&runtime, found.collect::<Vec<_>>()).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    socket.keep(plain.get_ref())?;
                }
                match &tls {
                    Some(connector) => stream.into_rustls(connector, &server_name).await,
                    None => Ok(stream),
                }
            };
            let bare = timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
            Ok(AsyncTcpStream::Plain(FilteredStream::new(
                bare,
                max_body as u64,
            )))
        },
        properties,
    )
    .await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

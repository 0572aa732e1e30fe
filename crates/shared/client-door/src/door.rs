//! Address that clients connect to: bound, with TLS where configured, its connections bounded.
//!
//! A connection that has not shown a certificate yet is closed for a newer one when there are too
//! many, so that strangers cannot keep clients out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;
use crate::tls::{TlsError, acceptor};
use crate::{Client, DoorConfig, Fingerprint};

/// Most connections of clients at once.
pub const MOST_CONNECTIONS: usize = 256;
/// Most connections at once whose TLS handshake is not done.
pub const MOST_HANDSHAKES: usize = 256;
/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Time in which the head of the next request must have arrived.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Age at which a connection takes no further request.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// Time for the answer in hand once a connection takes no further request, as when the program is
/// asked to stop.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Pause after the operating system refused a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Reason for which a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Address that cannot be bound.
    #[error("cannot listen on {address}: {kind}; choose another {setting}")]
    Listen {
        /// Address of the configuration.
        address: SocketAddr,
        /// Name of its setting.
        setting: &'static str,
        /// Error of the operating system.
        kind: std::io::ErrorKind,
    },
    /// Mistake in the section of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Bound address that does not answer yet.
pub struct Door {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    address: SocketAddr,
}

impl Door {
    /// Reads the certificates and binds the address.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn open(config: DoorConfig<'_>) -> Result<Self, DoorError> {
        let acceptor = config
            .tls
            .map(|tls| acceptor(tls, config.base, config.names));
        let acceptor = acceptor.transpose()?;
        let cannot = |error: std::io::Error| DoorError::Listen {
            address: config.address,
            setting: config.names.address,
            kind: error.kind(),
        };
        let listener = TcpListener::bind(config.address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self {
            listener,
            acceptor,
            address,
        })
    }

    /// Address, with the port that the operating system chose where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sentence about the address, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let who = match self.acceptor {
            Some(_) => "for clients with a certificate",
            None => "without TLS, for programs on this machine",
        };
        format!("{} can be listened on, {who}", self.address)
    }

    /// Answers requests with `app` until `stop` is cancelled; `refused` is called for every TLS
    /// handshake that did not lead to a client.
    pub async fn serve(self, app: Router, refused: fn(), stop: CancellationToken) {
        let serving = Serving {
            acceptor: self.acceptor,
            app,
            refused,
            places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            stop: stop.clone(),
        };
        let mut connections = Connections::new(MOST_HANDSHAKES);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serving.clone();
                    connections.add(|known| serving.handle(stream, known)).await;
                }
                Err(error) => {
                    tracing::debug!(event = "door-accept", kind = ?error.kind());
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(self.listener);
        connections.finish(LAST_ANSWER).await;
    }
}

/// Parts that every connection needs.
#[derive(Clone)]
struct Serving {
    acceptor: Option<TlsAcceptor>,
    app: Router,
    refused: fn(),
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Serving {
    /// Answers the requests of one connection; `known` is called once its client is known.
    async fn handle(self, stream: TcpStream, known: impl FnOnce()) {
        let Some(acceptor) = self.acceptor.clone() else {
            known();
            return self.answer(stream, Client::Loopback).await;
        };
        let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await else {
            return (self.refused)();
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let Some(certificate) = certificates.and_then(<[_]>::first) else {
            return (self.refused)();
        };
        let client = Client::Certificate(Fingerprint::of_certificate(certificate));
        known();
        self.answer(stream, client).await;
    }

    async fn answer<S>(self, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(_place) = self.places.try_acquire() else {
            return;
        };
        let app = TowerToHyperService::new(self.app);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(client);
            app.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // Whatever a client did wrong is its own affair: nothing of it is logged.
        tokio::select! {
            _ended = &mut connection => return,
            () = sleep(CONNECTION_TIME) => {}
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ended = timeout(LAST_ANSWER, connection).await;
    }
}

//! Connections of browsers: bounded in number, head, age, and time for a TLS handshake.

use std::collections::VecDeque;
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
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::router;
use super::routes::{BrowserAddress, IsHttps};
use crate::portal::CityPortal;

/// Most connections at once; the oldest is closed for one more.
const MOST_CONNECTIONS: usize = 1024;
/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Time in which the head of the next request must have arrived.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Age at which a connection takes no further request. An answer takes less, whatever the
/// registry's limit is.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// Time for the answer in hand once a connection takes no further request.
const LAST_ANSWER: Duration = Duration::from_secs(2);
/// Pause after the operating system refused a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

impl CityPortal {
    /// Answers browsers until `stop` is cancelled; by TLS where an acceptor is given.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        let is_https = tls.is_some() || self.access.is_behind_proxy;
        serve_router(router(self), is_https, listener, tls, stop).await;
    }
}

/// Answers browsers with these routes until `stop` is cancelled; by TLS where an acceptor is given.
pub(crate) async fn serve_router(
    app: Router,
    is_https: bool,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let serving = BrowserServing {
        is_https,
        tls,
        app,
        stop: stop.clone(),
    };
    let mut open = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                make_room(&mut open, MOST_CONNECTIONS).await;
                open.push_back(tokio::spawn(serving.clone().handle(stream, peer)));
            }
            Err(error) => {
                tracing::debug!(event = "city-portal-accept", kind = ?error.kind());
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    finish(open).await;
}

/// Forgets the connections that have ended, and closes the oldest if there are too many for
/// another.
async fn make_room(open: &mut VecDeque<JoinHandle<()>>, most: usize) {
    if open.len() < most {
        return;
    }
    open.retain(|connection| !connection.is_finished());
    while open.len() >= most {
        let Some(oldest) = open.pop_front() else {
            return;
        };
        oldest.abort();
        // Its file descriptor is free only now.
        let _ended = oldest.await;
    }
}

/// Lets the answers in hand leave, and closes what is left.
async fn finish(mut open: VecDeque<JoinHandle<()>>) {
    let all = async {
        for connection in &mut open {
            let _ended = connection.await;
        }
    };
    let _in_time = timeout(LAST_ANSWER + LAST_ANSWER, all).await;
    for connection in &open {
        connection.abort();
    }
}

/// Parts that every connection needs.
#[derive(Clone)]
struct BrowserServing {
    is_https: bool,
    tls: Option<TlsAcceptor>,
    app: Router,
    stop: CancellationToken,
}

impl BrowserServing {
    async fn handle(self, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = self.tls.clone() else {
            return self.answer(stream, peer).await;
        };
        if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
            self.answer(stream, peer).await;
        }
    }

    async fn answer<S>(self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_https = IsHttps(self.is_https);
        let app = TowerToHyperService::new(self.app);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(BrowserAddress(peer.ip()));
            request.extensions_mut().insert(is_https);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_connection_gives_way_and_not_before_there_are_too_many() {
        let mut open = VecDeque::new();
        for _ in 0..2 {
            make_room(&mut open, 2).await;
            open.push_back(tokio::spawn(std::future::pending::<()>()));
        }
        let [oldest, second] = [open[0].id(), open[1].id()];
        make_room(&mut open, 2).await;
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].id(), second);
        assert_ne!(oldest, second);
        let ended = tokio::spawn(async {});
        while !ended.is_finished() {
            tokio::task::yield_now().await;
        }
        open.push_front(ended);
        // One that has ended is forgotten first.
        make_room(&mut open, 2).await;
        assert_eq!(open[0].id(), second);
        assert!(!open[0].is_finished());
        open[0].abort();
    }
}

//! HTTP server of small pages, whose connections are bounded in number, in time and in memory.
//!
//! A connection carries one request. When there are too many connections, the oldest is closed for
//! the newest: an honest request is answered within milliseconds and is never the oldest for long,
//! whoever holds the others open.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Limits of the endpoint.
pub(crate) const LIMITS: Limits = Limits {
    connections: 64,
    head_time: Duration::from_secs(5),
    connection_time: Duration::from_secs(10),
    head_bytes: 16 * 1024,
};

/// Time that answers get to leave once the program is asked to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Pause after the operating system refused a connection, as it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Limits of a server's connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Number of connections that are open at once, and so of file descriptors that are taken from
    /// the rest of the program, besides the listening one.
    pub(crate) connections: usize,
    /// Time in which a request's head must have arrived.
    pub(crate) head_time: Duration,
    /// Time in which a connection must have ended, its answer included.
    pub(crate) connection_time: Duration,
    /// Size of a request's head, in bytes; hyper takes no less than 8192.
    pub(crate) head_bytes: usize,
}

/// Open connections, the oldest first.
struct Connections {
    open: VecDeque<JoinHandle<()>>,
    limit: usize,
}

/// Answers requests until `stop` resolves. Bodies of requests are not read.
pub(crate) async fn serve<A>(
    listener: TcpListener,
    limits: Limits,
    answer: A,
    stop: impl Future<Output = ()>,
) where
    A: Fn(&Method, &str) -> Response<String> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let mut connections = Connections {
        open: VecDeque::new(),
        limit: limits.connections,
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.make_room().await;
                let handling = handle(stream, limits, Arc::clone(&answer));
                connections.open.push_back(tokio::spawn(handling));
            }
            Err(error) => {
                tracing::debug!(event = "endpoint-accept", kind = ?error.kind());
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    connections.finish().await;
}

impl Connections {
    /// Forgets the connections that have ended, and closes the oldest one if there are still too
    /// many for another.
    async fn make_room(&mut self) {
        self.open.retain(|connection| !connection.is_finished());
        while self.open.len() >= self.limit {
            let Some(oldest) = self.open.pop_front() else {
                return;
            };
            oldest.abort();
            // Its file descriptor is free only now.
            let _ended = oldest.await;
        }
    }

    /// Lets the answers in hand leave, and closes what is left.
    async fn finish(&mut self) {
        let all = async {
            for connection in &mut self.open {
                let _ended = connection.await;
            }
        };
        let _in_time = tokio::time::timeout(LAST_ANSWERS, all).await;
        for connection in &self.open {
            connection.abort();
        }
    }
}

/// Answers the request of one connection.
async fn handle<A>(stream: TcpStream, limits: Limits, answer: Arc<A>)
where
    A: Fn(&Method, &str) -> Response<String>,
{
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever the client did wrong is its own affair: nothing of it is logged.
    let _ended = tokio::time::timeout(limits.connection_time, connection).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    /// Limits that a test does not reach unless it lowers one.
    const WIDE: Limits = Limits {
        connections: 4,
        head_time: HOUR,
        connection_time: HOUR,
        head_bytes: 8192,
    };
    const REQUEST: &[u8] = b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        serving: JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let answer = |_: &Method, path: &str| Response::new(path.to_owned());
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(listener, limits, answer, stopped).await;
        });
        Server {
            address,
            stop,
            serving,
        }
    }

    impl Server {
        async fn connect(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.expect("connected");
            stream.write_all(bytes).await.expect("written");
            stream
        }

        async fn ask(&self) -> String {
            rest(self.connect(REQUEST).await).await
        }
    }

    /// Reads until the server closes the connection, which it also may do by a reset.
    async fn rest(mut stream: TcpStream) -> String {
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test]
    async fn one_connection_carries_one_request() {
        let server = start(WIDE).await;
        let answer = server.ask().await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n/page"), "{answer}");
        let pipelined = rest(server.connect(&REQUEST.repeat(20)).await).await;
        assert_eq!(pipelined.matches("HTTP/1.1").count(), 1, "{pipelined}");
    }

    #[tokio::test]
    async fn a_body_is_not_waited_for() {
        let server = start(WIDE).await;
        let head = b"GET /page HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n";
        let answer = rest(server.connect(head).await).await;
        assert!(answer.ends_with("/page"), "{answer}");
    }

    #[tokio::test]
    async fn the_oldest_connection_gives_way_above_the_limit_and_not_before() {
        let server = start(WIDE).await;
        // As many as are permitted, and half a request from each.
        let mut held = VecDeque::new();
        for _ in 0..WIDE.connections {
            held.push_back(server.connect(b"GET /page HT").await);
        }
        // The last one of them completes its request: none of them was closed.
        for mut stream in held.drain(..) {
            stream.write_all(&REQUEST[12..]).await.expect("still open");
            assert!(rest(stream).await.ends_with("/page"));
        }
        for _ in 0..WIDE.connections {
            held.push_back(server.connect(b"GET /page HT").await);
        }
        assert!(server.ask().await.ends_with("/page"), "an honest request");
        let oldest = held.pop_front().expect("held");
        assert_eq!(rest(oldest).await, "");
        // Ten times the limit, and honest requests between them.
        for _ in 0..10 * WIDE.connections {
            held.push_back(server.connect(b"G").await);
            assert!(server.ask().await.ends_with("/page"));
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_in_time_closes_the_connection() {
        let head_time = Duration::from_millis(20);
        let server = start(Limits { head_time, ..WIDE }).await;
        for sent in [&b""[..], b"G", b"GET /page HTTP/1.1\r\nHost: x\r\n"] {
            let answer = rest(server.connect(sent).await).await;
            assert!(!answer.contains("200"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_closed_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut slow = TcpStream::connect(address).await.expect("connected");
        slow.write_all(REQUEST).await.expect("written");
        let (stream, _) = listener.accept().await.expect("accepted");
        // More than the sockets' buffers hold.
        let size = 64 << 20;
        let answer = move |_: &Method, _: &str| Response::new("x".repeat(size));
        let connection_time = Duration::from_millis(50);
        let limits = Limits {
            connection_time,
            ..WIDE
        };
        // Nothing is read until the server has given up.
        handle(stream, limits, Arc::new(answer)).await;
        assert!(rest(slow).await.len() < size);
    }

    #[tokio::test]
    async fn a_head_may_be_as_large_as_the_limit_and_no_larger() {
        let server = start(WIDE).await;
        let head = |size: usize| {
            let start = "GET /page HTTP/1.1\r\nHost: x\r\nX: ";
            let filler = "y".repeat(size - start.len() - 4);
            format!("{start}{filler}\r\n\r\n").into_bytes()
        };
        let answer = rest(server.connect(&head(WIDE.head_bytes)).await).await;
        assert!(answer.contains("200"), "{answer}");
        let answer = rest(server.connect(&head(WIDE.head_bytes + 1)).await).await;
        assert!(!answer.contains("200"), "{answer}");
    }

    #[tokio::test]
    async fn half_open_connections_do_not_hold_up_the_end() {
        let server = start(WIDE).await;
        let held = server.connect(b"GET").await;
        server.stop.send(()).expect("it runs");
        server.serving.await.expect("the server ends");
        assert_eq!(rest(held).await, "");
    }
}

//! A TCP proxy between a client and a server, to cut, stall, delay, narrow and record their
//! conversation.

use crate::error::Error;
use az::SaturatingAs;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const BUFFER_BYTES: usize = 16 * 1024;
/// The most bytes that are recorded of each direction.
const RECORD_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    Stalled,
    Cut,
}

#[derive(Debug, Clone, Copy)]
struct LineState {
    line: Line,
    delay_ms: u64,
    /// Limit of each direction; `None`: as fast as it goes.
    bytes_per_second: Option<u32>,
}

/// The bytes that crossed, of all connections together, in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// From clients to the server.
    pub to_server: Vec<u8>,
    /// From the server to clients.
    pub to_client: Vec<u8>,
}

type Record = Arc<Mutex<Recorded>>;

/// A proxy on a free loopback port; its connections end when it is dropped.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    state: watch::Sender<LineState>,
    record: Record,
    accepting: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts a proxy to 127.0.0.1:`target_port`, which need not listen yet. Needs a tokio runtime.
    pub async fn start(target_port: u16) -> Result<Self, Error> {
        let (listener, port) = crate::ports::listener();
        listener
            .set_nonblocking(true)
            .map_err(Error::io("prepare the proxy's listener"))?;
        let listener = TcpListener::from_std(listener).map_err(Error::io("start the proxy"))?;
        let (state, watcher) = watch::channel(LineState {
            line: Line::Open,
            delay_ms: 0,
            bytes_per_second: None,
        });
        let record = Record::default();
        let accepting = tokio::spawn(accept(listener, target_port, watcher, record.clone()));
        Ok(Self {
            port,
            state,
            record,
            accepting,
        })
    }

    /// The port on 127.0.0.1 that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection, and every new one at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.line = Line::Cut);
    }

    /// Holds all bytes back: connections stay open and silent, as behind a firewall that drops
    /// packets.
    pub fn stall(&self) {
        self.state.send_modify(|state| state.line = Line::Stalled);
    }

    /// Ends [`Self::cut`] and [`Self::stall`].
    pub fn restore(&self) {
        self.state.send_modify(|state| state.line = Line::Open);
    }

    /// Holds each piece (at most 16 KiB) back by so many milliseconds; 0 ends it.
    pub fn delay(&self, delay_ms: u64) {
        self.state.send_modify(|state| state.delay_ms = delay_ms);
    }

    /// Lets at most so many bytes a second (at least 100) through in each direction of each
    /// connection; `None` ends it.
    pub fn limit(&self, bytes_per_second: Option<u32>) {
        let limit = bytes_per_second.map(|bytes| bytes.max(100));
        self.state
            .send_modify(|state| state.bytes_per_second = limit);
    }

    /// The bytes that have crossed so far, at most 64 MiB of each direction.
    pub fn recorded(&self) -> Recorded {
        self.record.lock().clone()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target_port: u16,
    state: watch::Receiver<LineState>,
    record: Record,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, say: not a reason to spin.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        tokio::spawn(serve(client, target_port, state.clone(), record.clone()));
    }
}

async fn serve(
    client: TcpStream,
    target_port: u16,
    state: watch::Receiver<LineState>,
    record: Record,
) {
    let mut cut = state.clone();
    let relay = async {
        let Ok(server) = TcpStream::connect(("127.0.0.1", target_port)).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let record_request = |bytes: &[u8]| append(&record, bytes, |record| &mut record.to_server);
        let record_answer = |bytes: &[u8]| append(&record, bytes, |record| &mut record.to_client);
        tokio::join!(
            pump(from_client, to_server, state.clone(), record_request),
            pump(from_server, to_client, state.clone(), record_answer),
        );
    };
    // Dropping the relay closes both connections. The sender's end means that the proxy is gone.
    tokio::select! {
        () = relay => {}
        _ = cut.wait_for(|state| state.line == Line::Cut) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<LineState>,
    record: impl Fn(&[u8]),
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // A narrow line carries small pieces often, not a large one now and then.
        let limit = state.borrow().bytes_per_second;
        let size = limit.map_or(BUFFER_BYTES, piece_bytes);
        let count = from.read(&mut buffer[..size]).await.unwrap_or(0);
        let LineState {
            delay_ms,
            bytes_per_second,
            ..
        } = *state.borrow();
        sleep(pause(delay_ms, bytes_per_second, count)).await;
        if state
            .wait_for(|state| state.line != Line::Stalled)
            .await
            .is_err()
        {
            return;
        }
        if count == 0 {
            // Passes the half-close on; the other direction may still have something to say.
            let _ = to.shutdown().await;
            return;
        }
        record(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Number of bytes that a line of this width carries in a tenth of a second.
fn piece_bytes(bytes_per_second: u32) -> usize {
    (bytes_per_second / 10)
        .saturating_as::<usize>()
        .clamp(1, BUFFER_BYTES)
}

/// Time for which a piece of so many bytes is held back.
fn pause(delay_ms: u64, bytes_per_second: Option<u32>, bytes: usize) -> Duration {
    let carried = bytes_per_second.map_or(0.0, |limit| bytes as f64 / f64::from(limit));
    Duration::from_millis(delay_ms) + Duration::from_secs_f64(carried)
}

fn append(record: &Record, bytes: &[u8], direction: impl Fn(&mut Recorded) -> &mut Vec<u8>) {
    let mut record = record.lock();
    let kept = direction(&mut record);
    let free = RECORD_BYTES.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(free)]);
}

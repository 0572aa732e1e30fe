//! The connection as the driver sees it, with the filter in its reading half.

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use futures_util::Stream;
use futures_util::io::{AsyncRead, AsyncWrite, IoSlice};
use lapin::tcp::AsyncTcpStream;

use super::filter::FrameFilter;

/// Bytes read from the connection at once.
const CHUNK: usize = 64 * 1024;

/// Connection in the clear or over TLS.
type BareStream = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// A connection to the broker that gives what passes the filter.
pub(in crate::amqp) struct FilteredStream {
    bare: BareStream,
    filter: FrameFilter,
    chunk: Box<[u8]>,
    /// Bytes that passed.
    passed: Vec<u8>,
    /// Number of them that the driver has taken.
    taken: usize,
}

impl FilteredStream {
    pub(in crate::amqp) fn new(bare: BareStream, max_body: u64) -> Self {
        Self {
            bare,
            filter: FrameFilter::new(max_body),
            chunk: vec![0; CHUNK].into(),
            passed: Vec::new(),
            taken: 0,
        }
    }
}

impl AsyncRead for FilteredStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.taken == this.passed.len() {
            this.passed.clear();
            this.taken = 0;
            let count = ready!(Pin::new(&mut this.bare).poll_read(cx, &mut this.chunk))?;
            if count == 0 {
                this.filter.end(&mut this.passed);
                break;
            }
            let read = this.chunk.get(..count).unwrap_or_default();
            this.filter.push(read, &mut this.passed);
        }
        let waiting = this.passed.get(this.taken..).unwrap_or_default();
        let count = waiting.len().min(buf.len());
        buf[..count].copy_from_slice(&waiting[..count]);
        this.taken += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for FilteredStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bare).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.bare).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bare).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.bare).poll_close(cx)
    }
}

/// Tokio's reactor with [`FilteredStream`] for its connections, which are made elsewhere.
#[derive(Debug, Clone)]
pub(in crate::amqp) struct FilteringReactor(pub(in crate::amqp) Tokio);

impl Reactor for FilteringReactor {
    type TcpStream = FilteredStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, dur: Duration) -> Self::Sleep {
        self.0.sleep(dur)
    }

    fn interval(&self, dur: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(dur)
    }

    fn tcp_connect_addr(
        &self,
        _addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(ErrorKind::Unsupported.into()))
    }
}

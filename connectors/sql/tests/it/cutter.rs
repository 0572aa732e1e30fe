//! A TCP relay that breaks a server's answer off in the middle of its rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of every row's id. An answer is cut where they come for the second time.
const MARKER: &[u8] = b"r-0";

/// A relay on a free loopback port; it ends when it is dropped.
pub(crate) struct Cutter {
    pub port: u16,
    cuts: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Cutter {
    pub(crate) async fn start(target_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = Arc::new(AtomicBool::new(false));
        let accepting = tokio::spawn(accept(listener, target_port, Arc::clone(&cuts)));
        Self {
            port,
            cuts,
            accepting,
        }
    }

    /// Begins or ends to cut answers, of connections that are there as well.
    pub(crate) fn cut(&self, cuts: bool) {
        self.cuts.store(cuts, Ordering::Relaxed);
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target_port: u16, cuts: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        let cuts = Arc::clone(&cuts);
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(("127.0.0.1", target_port)).await {
                relay(client, server, &cuts).await;
            }
        });
    }
}

/// Passes bytes on in both directions until either side ends, or an answer has been cut.
async fn relay(mut client: TcpStream, mut server: TcpStream, cuts: &AtomicBool) {
    let mut asked = vec![0; 65_536];
    let mut answered = vec![0; 65_536];
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let length = length.unwrap_or(0);
                if length == 0 || server.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            length = server.read(&mut answered) => {
                let answer = &answered[..length.unwrap_or(0)];
                let second = second_marker(answer).filter(|_| cuts.load(Ordering::Relaxed));
                let kept = &answer[..second.unwrap_or(answer.len())];
                let sent = client.write_all(kept).await;
                if answer.is_empty() || sent.is_err() || second.is_some() {
                    return;
                }
            }
        }
    }
}

fn second_marker(answer: &[u8]) -> Option<usize> {
    let windows = answer.windows(MARKER.len()).enumerate();
    let found = windows.filter(|(_, window)| *window == MARKER);
    found.map(|(at, _)| at).nth(1)
}

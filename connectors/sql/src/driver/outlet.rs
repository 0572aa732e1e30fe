//! A statement that is read in a task of its own: its rows leave piece by piece, never more of them
//! than somebody is about to take, and it is closed when nobody takes them.

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock as _, SystemClock};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Cause, Failure, Idle, Session};
use crate::table::Table;
use crate::value::{Kind, Sql};

/// Time after which rows leave although they do not fill a piece.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Pieces that wait to be taken; one more is being read meanwhile.
const WAITING_PIECES: usize = 1;

/// Bounds of a statement that reads everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most rows of a piece.
    pub rows: usize,
    /// Longest time that the statement stays open.
    pub whole: Duration,
    /// Longest time for which nobody may take a piece.
    pub untaken: Duration,
}

/// A part of a statement's rows, or its end. A statement that was closed before its end says
/// nothing.
pub(crate) enum Piece {
    Rows(Table),
    End,
    Failed(Failure),
}

/// Way out for the rows of a statement.
pub(crate) struct Outlet {
    limits: Limits,
    pieces: Sender<Piece>,
    clock: SystemClock,
    /// Reading of the clock as rows last left.
    left: Duration,
}

impl Outlet {
    /// Lets the rows go where they fill a piece, or have waited. Returns false where nobody wants
    /// more of them, or the statement's time is up.
    pub(crate) async fn offer(&mut self, rows: &mut Table) -> bool {
        let now = self.clock.elapsed();
        if rows.len() < self.limits.rows && now.saturating_sub(self.left) < FLUSH_EVERY {
            return true;
        }
        self.left = now;
        let piece = Piece::Rows(std::mem::take(rows));
        self.send(piece).await && now < self.limits.whole
    }

    async fn send(&self, piece: Piece) -> bool {
        matches!(
            timeout(self.limits.untaken, self.pieces.send(piece)).await,
            Ok(Ok(()))
        )
    }
}

/// The rows of a statement that is being read.
pub(crate) struct Stream {
    pieces: Receiver<Piece>,
    /// Longest wait for the next piece.
    step: Duration,
    task: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Ends the statement, and its connection with it.
        self.task.abort();
    }
}

impl Stream {
    pub(super) fn begin(
        mut session: Box<dyn Session>,
        sql: Sql,
        kinds: Vec<Kind>,
        limits: Limits,
        step: Duration,
        idle: Option<Arc<Idle>>,
    ) -> Self {
        let (sender, pieces) = channel(WAITING_PIECES);
        let mut outlet = Outlet {
            limits,
            pieces: sender,
            clock: SystemClock::default(),
            left: Duration::ZERO,
        };
        let reading = async move {
            match session.read(&sql, &kinds, Some(&mut outlet)).await {
                Ok(Some(rest)) => {
                    let is_ended = session.end().await.is_ok();
                    if let Some(idle) = idle.filter(|_| is_ended) {
                        idle.lock().push(session);
                    }
                    if rest.is_empty() || outlet.send(Piece::Rows(rest)).await {
                        outlet.send(Piece::End).await;
                    }
                }
                Ok(None) => {}
                Err(failure) => {
                    outlet.send(Piece::Failed(failure)).await;
                }
            }
        };
        let task = tokio::spawn(reading).abort_handle();
        Self { pieces, step, task }
    }

    /// Waits for the next piece; `None` where the statement was closed before its end.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        match timeout(self.step, self.pieces.recv()).await {
            Ok(piece) => piece,
            Err(_) => {
                let failure = Failure::retry(format!(
                    "the database gave no further row within {} s",
                    self.step.as_secs()
                ));
                Some(Piece::Failed(failure.of(Cause::Time)))
            }
        }
    }
}

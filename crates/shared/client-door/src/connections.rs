//! Tasks of open connections: the oldest whose client is not known yet gives way to a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

struct Connection {
    task: JoinHandle<()>,
    is_known: Arc<AtomicBool>,
}

/// Open connections, the oldest first.
pub(crate) struct Connections {
    open: Vec<Connection>,
    most_unknown: usize,
}

impl Connections {
    /// None, with a limit for those whose client is not known.
    pub(crate) const fn new(most_unknown: usize) -> Self {
        Self {
            open: Vec::new(),
            most_unknown,
        }
    }

    /// Starts the task that `handle` makes for a connection; it is given what to call once its
    /// client is known.
    pub(crate) async fn add<F, T>(&mut self, handle: F)
    where
        F: FnOnce(Box<dyn FnOnce() + Send>) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        self.make_room().await;
        let is_known = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_known);
        let known = Box::new(move || flag.store(true, Ordering::Relaxed));
        let task = tokio::spawn(handle(known));
        self.open.push(Connection { task, is_known });
    }

    /// Forgets the connections that have ended, and closes the oldest unknown ones if there are too
    /// many for another.
    async fn make_room(&mut self) {
        self.open
            .retain(|connection| !connection.task.is_finished());
        let is_unknown = |connection: &Connection| !connection.is_known.load(Ordering::Relaxed);
        while self.open.iter().filter(|one| is_unknown(one)).count() >= self.most_unknown {
            let Some(oldest) = self.open.iter().position(is_unknown) else {
                return;
            };
            let oldest = self.open.remove(oldest).task;
            oldest.abort();
            // Its file descriptor is free only now.
            let _ended = oldest.await;
        }
    }

    /// Lets the answers in hand leave for as long as `limit`, and closes what is left.
    pub(crate) async fn finish(mut self, limit: Duration) {
        let all = async {
            for connection in &mut self.open {
                let _ended = (&mut connection.task).await;
            }
        };
        let _in_time = timeout(limit, all).await;
        for connection in &self.open {
            connection.task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_unknown_connection_gives_way_and_a_known_one_stays() {
        let mut connections = Connections::new(2);
        let waiting = |known: Option<Box<dyn FnOnce() + Send>>| async move {
            if let Some(known) = known {
                known();
            }
            std::future::pending::<()>().await;
        };
        connections.add(|known| waiting(Some(known))).await;
        tokio::task::yield_now().await;
        for _ in 0..2 {
            connections.add(|_| waiting(None)).await;
        }
        let second = connections.open[1].task.id();
        connections.add(|_| waiting(None)).await;
        assert_eq!(connections.open.len(), 3);
        assert!(connections.open[0].is_known.load(Ordering::Relaxed));
        assert!(connections.open.iter().all(|one| one.task.id() != second));
        connections.finish(Duration::ZERO).await;
    }
}

//! Dead letters of the queue, page by page.

use broker::{BrokerError, DeadLetter, DeadLetters};
use program::Failure;

use crate::cli::config_file::LoadedConfig;
use crate::registry::OpenRegistryError;

/// Dead letters taken at a time; the transport bounds their bytes.
const PAGE: usize = 64;

/// Reader of the dead letters that the queue held when it was opened: one that is retried may come
/// back meanwhile, and is not read again.
pub(super) struct DeadLetterPages {
    letters: Box<dyn DeadLetters>,
    left: u64,
}

impl DeadLetterPages {
    pub(super) async fn open(loaded: &LoadedConfig) -> Result<Self, Failure> {
        let queue = &loaded.config.queue;
        let depth = broker::depth(queue, &loaded.base).await.map_err(failure)?;
        let letters = broker::dead_letters(queue, &loaded.base)
            .await
            .map_err(failure)?;
        Ok(Self {
            letters,
            left: depth.dead,
        })
    }

    /// Returns the next page; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<DeadLetter>, Failure> {
        if self.left == 0 {
            return Ok(Vec::new());
        }
        let page = self.letters.take(PAGE).await.map_err(failure)?;
        self.left = self.left.saturating_sub(page.len() as u64);
        Ok(page)
    }

    /// Puts a dead letter back into the queue.
    pub(super) async fn retry(&mut self, letter: DeadLetter) -> Result<(), Failure> {
        self.letters.retry(letter).await.map_err(failure)
    }

    /// Throws a dead letter away.
    pub(super) async fn discard(&mut self, letter: DeadLetter) -> Result<(), Failure> {
        self.letters.discard(letter).await.map_err(failure)
    }

    /// Gives back what was taken and not settled.
    pub(super) async fn close(mut self) {
        self.letters.close().await;
    }
}

fn failure(error: BrokerError) -> Failure {
    OpenRegistryError::Queue(error).into()
}

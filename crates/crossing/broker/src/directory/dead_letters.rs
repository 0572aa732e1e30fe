//! Looks through `dead/`, and moves batches back into `incoming/` or away.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

use async_trait::async_trait;

use super::blocking::run_blocking;
use super::layout::{FileContent, QueueLayout, list, read_regular_file, sync_folder};
use crate::batch_file::BatchFile;
use crate::dead_letters::{MAX_REASON_BYTES, MAX_TAKEN, MAX_TAKEN_BYTES, reason_word};
use crate::token::{Token, TokenKind};
use crate::{BrokerError, DeadLetter, DeadLetters, DirectoryConfig, MAX_BATCH_BYTES};

pub(crate) async fn dead_letters(
    config: &DirectoryConfig,
    base: &Path,
) -> Result<Box<dyn DeadLetters>, BrokerError> {
    let layout = QueueLayout::new(&config.path, base);
    let to_create = layout.clone();
    run_blocking(move || to_create.create()).await?;
    Ok(Box::new(DirectoryDeadLetters {
        layout,
        listing: VecDeque::new(),
        taken: HashSet::new(),
    }))
}

/// The folder `dead/` as [`DeadLetters`]. Several operators may look at once: each sees all, and
/// the first settles.
#[derive(Debug)]
struct DirectoryDeadLetters {
    layout: QueueLayout,
    /// Files found and not yet given to the caller.
    listing: VecDeque<BatchFile>,
    /// Files given to the caller.
    taken: HashSet<BatchFile>,
}

impl DirectoryDeadLetters {
    async fn settle(
        &self,
        letter: DeadLetter,
        settlement: impl FnOnce(&QueueLayout, BatchFile) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let Some(file) = letter.token.file() else {
            return Ok(());
        };
        let layout = self.layout.clone();
        run_blocking(move || match settlement(&layout, file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BrokerError::retry(
                "the dead letter is gone: somebody else retried or discarded it",
            )),
            outcome => outcome.map_err(|error| layout.error("be changed", &error)),
        })
        .await
    }
}

#[async_trait]
impl DeadLetters for DirectoryDeadLetters {
    async fn take(&mut self, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let layout = self.layout.clone();
        let mut listing = std::mem::take(&mut self.listing);
        let already_taken = self.taken.clone();
        let (letters, listing) = run_blocking(move || {
            if listing.is_empty() {
                listing = new_files(&layout, &already_taken)?;
            }
            let letters = read(&layout, &mut listing, max.min(MAX_TAKEN))?;
            Ok((letters, listing))
        })
        .await?;
        self.listing = listing;
        let files = letters.iter().filter_map(|letter| letter.token.file());
        self.taken.extend(files);
        Ok(letters)
    }

    async fn retry(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        self.settle(letter, |layout, file| {
            let again = layout.incoming.join(BatchFile::new(file.id).name());
            fs::rename(layout.dead.join(file.name()), again)?;
            sync_folder(&layout.incoming)?;
            remove_reason(layout, file)
        })
        .await
    }

    async fn discard(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        self.settle(letter, |layout, file| {
            fs::remove_file(layout.dead.join(file.name()))?;
            remove_reason(layout, file)
        })
        .await
    }

    async fn close(&mut self) {
        self.listing.clear();
    }
}

/// Lists the files that were not taken before, sorted by id.
fn new_files(
    layout: &QueueLayout,
    already_taken: &HashSet<BatchFile>,
) -> Result<VecDeque<BatchFile>, BrokerError> {
    let mut files = list(&layout.dead, usize::MAX)
        .map_err(|error| layout.error("be read", &error))?
        .batches;
    files.retain(|file| !already_taken.contains(file));
    files.sort_unstable();
    Ok(files.into())
}

/// Takes up to `max` files off the listing, and reads them.
fn read(
    layout: &QueueLayout,
    listing: &mut VecDeque<BatchFile>,
    max: usize,
) -> Result<Vec<DeadLetter>, BrokerError> {
    let mut letters = Vec::new();
    let mut bytes_taken = 0;
    while letters.len() < max && bytes_taken < MAX_TAKEN_BYTES {
        let Some(file) = listing.pop_front() else {
            break;
        };
        let path = layout.dead.join(file.name());
        let FileContent { bytes, cut_from } = match read_regular_file(&path, MAX_BATCH_BYTES) {
            Ok(content) => content,
            // Settled by somebody else meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // The next call reports it; the letters read before it are given first.
            Err(_) if !letters.is_empty() => {
                listing.push_front(file);
                break;
            }
            Err(error) => return Err(layout.error("be read", &error)),
        };
        bytes_taken += bytes.len();
        letters.push(DeadLetter {
            bytes,
            cut_from,
            reason: reason(layout, file),
            token: Token(TokenKind::File(file)),
        });
    }
    Ok(letters)
}

fn reason(layout: &QueueLayout, file: BatchFile) -> Option<String> {
    let file = layout.reason_file(file.id);
    let text = read_regular_file(&file, MAX_REASON_BYTES + 1).ok()?.bytes;
    reason_word(std::str::from_utf8(&text).ok()?)
}

/// Removes the reason, after its batch: a reason without a batch does no harm, a batch without a
/// reason cannot be explained.
fn remove_reason(layout: &QueueLayout, file: BatchFile) -> io::Result<()> {
    match fs::remove_file(layout.reason_file(file.id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_folder(&layout.dead)
}

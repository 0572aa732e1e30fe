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
        run_blocking(move || {
            layout.refuse_links()?;
            match settlement(&layout, file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BrokerError::retry(
                    "the dead letter is gone: somebody else retried or discarded it",
                )),
                outcome => outcome.map_err(|error| layout.error("be changed", &error)),
            }
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

/// Removes the oldest of more than `max` dead letters, and some more, so that this is seldom
/// needed. No fact is lost with them: gateways keep a batch until the registry has taken it.
pub(super) fn remove_oldest(layout: &QueueLayout, max: usize) -> io::Result<()> {
    let mut files = list(&layout.dead, usize::MAX)?.batches;
    if files.len() <= max {
        return Ok(());
    }
    let surplus = files.len() - max + max / 10;
    // One that is gone counts as the oldest.
    files.sort_by_cached_key(|file| {
        let metadata = fs::symlink_metadata(layout.dead.join(file.name()));
        metadata.and_then(|metadata| metadata.modified()).ok()
    });
    for file in files.into_iter().take(surplus) {
        match fs::remove_file(layout.dead.join(file.name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => remove_reason(layout, file)?,
        }
    }
    Ok(())
}

/// Lists the files that were not taken before, sorted by id.
fn new_files(
    layout: &QueueLayout,
    already_taken: &HashSet<BatchFile>,
) -> Result<VecDeque<BatchFile>, BrokerError> {
    layout.refuse_links()?;
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

#[cfg(test)]
mod tests {
    use contract::BatchId;

    use super::*;

    #[test]
    fn the_oldest_of_too_many_go_with_their_reasons() {
        let root = tempfile::tempdir().unwrap();
        let layout = QueueLayout::new(root.path(), root.path());
        layout.create().unwrap();
        for number in 0..=20_u8 {
            let file = BatchFile::new(BatchId([number; 16]));
            let path = layout.dead.join(file.name());
            fs::write(&path, b"x").unwrap();
            fs::write(layout.reason_file(file.id), b"word").unwrap();
            let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(number.into());
            let opened = fs::File::options().write(true).open(&path).unwrap();
            opened.set_modified(written).unwrap();
        }
        remove_oldest(&layout, 21).unwrap();
        assert_eq!(layout.depth().unwrap().dead, 21, "at the limit");
        remove_oldest(&layout, 20).unwrap();
        let left = list(&layout.dead, usize::MAX).unwrap().batches;
        assert_eq!(left.len(), 18);
        assert!(left.iter().all(|file| file.id.0[0] >= 3));
        assert_eq!(fs::read_dir(&layout.dead).unwrap().count(), 2 * 18);
    }
}

//! Looks through `dead/`, and moves batches back into `incoming/` or away.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

use async_trait::async_trait;

use super::layout::{Layout, Name, list, read_own, sync_folder};
use super::{BrokerError, DirectoryConfig, blocking};
use crate::dead_letters::{MAX_TAKEN, MAX_TAKEN_BYTES, reason_word};
use crate::{DeadLetter, DeadLetters, Token, TokenKind};

/// The folder `dead/` as [`DeadLetters`]. Several may look at once: each sees all, and the first
/// settles.
#[derive(Debug)]
pub(crate) struct DeadFiles {
    layout: Layout,
    listing: VecDeque<Name>,
    given: HashSet<Name>,
}

impl DeadFiles {
    pub(crate) async fn open(config: &DirectoryConfig, base: &Path) -> Result<Self, BrokerError> {
        let layout = Layout::new(&config.path, base);
        let checked = layout.clone();
        blocking(move || checked.create()).await?;
        Ok(Self {
            layout,
            listing: VecDeque::new(),
            given: HashSet::new(),
        })
    }

    async fn settle(
        &self,
        letter: DeadLetter,
        what: impl FnOnce(&Layout, Name) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let Some(name) = letter.token.name() else {
            return Ok(());
        };
        let layout = self.layout.clone();
        blocking(move || match what(&layout, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BrokerError::retry(
                "the dead letter is gone: somebody else retried or discarded it",
            )),
            outcome => outcome.map_err(|error| layout.error("be changed", &error)),
        })
        .await
    }
}

#[async_trait]
impl DeadLetters for DeadFiles {
    async fn take(&mut self, max: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let layout = self.layout.clone();
        let listing = std::mem::take(&mut self.listing);
        let given = self.given.clone();
        let (letters, listing) =
            blocking(move || take(&layout, listing, &given, max.min(MAX_TAKEN))).await?;
        self.listing = listing;
        self.given
            .extend(letters.iter().filter_map(|letter| letter.token.name()));
        Ok(letters)
    }

    async fn retry(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        self.settle(letter, |layout, name| {
            fs::rename(
                layout.dead.join(name.file()),
                layout.incoming.join(Name::new(name.id).file()),
            )?;
            sync_folder(&layout.incoming)?;
            forget_reason(layout, name)
        })
        .await
    }

    async fn discard(&mut self, letter: DeadLetter) -> Result<(), BrokerError> {
        self.settle(letter, |layout, name| {
            fs::remove_file(layout.dead.join(name.file()))?;
            forget_reason(layout, name)
        })
        .await
    }

    async fn close(&mut self) {
        self.listing.clear();
    }
}

fn take(
    layout: &Layout,
    mut listing: VecDeque<Name>,
    given: &HashSet<Name>,
    max: usize,
) -> Result<(Vec<DeadLetter>, VecDeque<Name>), BrokerError> {
    let refused = |error| layout.error("be read", &error);
    if listing.is_empty() {
        let (mut names, _) = list(&layout.dead, usize::MAX).map_err(refused)?;
        names.retain(|name| !given.contains(name));
        names.sort_unstable();
        listing = names.into();
    }
    let mut letters = Vec::new();
    let mut bytes_taken = 0;
    while letters.len() < max && bytes_taken < MAX_TAKEN_BYTES {
        let Some(name) = listing.pop_front() else {
            break;
        };
        let bytes = match read_own(&layout.dead.join(name.file())) {
            Ok(bytes) => bytes,
            // Settled by somebody else meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Told by the next call; what was read before it is given first.
            Err(_) if !letters.is_empty() => {
                listing.push_front(name);
                break;
            }
            Err(error) => return Err(refused(error)),
        };
        bytes_taken += bytes.len();
        letters.push(DeadLetter {
            bytes,
            reason: reason(layout, name),
            token: Token(TokenKind::File(name)),
        });
    }
    Ok((letters, listing))
}

fn reason(layout: &Layout, name: Name) -> Option<String> {
    let text = read_own(&layout.reason_file(name.id)).ok()?;
    reason_word(std::str::from_utf8(&text).ok()?)
}

/// Last: a reason without a batch does no harm, a batch without a reason is a riddle.
fn forget_reason(layout: &Layout, name: Name) -> io::Result<()> {
    match fs::remove_file(layout.reason_file(name.id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_folder(&layout.dead)
}

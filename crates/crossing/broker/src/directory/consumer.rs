//! Takes batches out of the directory: a claim is a rename into a folder of the consumer's own.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fault::Point;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::blocking::run_blocking;
use super::dead_letters::remove_oldest;
use super::layout::{FileContent, QueueLayout, list, read_regular_file, sync_folder};
use super::process_folder::ProcessFolder;
use super::scratch::write_through;
use crate::batch_file::BatchFile;
use crate::token::{Token, TokenKind};
use crate::{BrokerError, Consumer, Delivery, DirectoryConfig, MAX_BATCH_BYTES};

/// Pause between two looks into an empty directory.
const POLL: Duration = Duration::from_millis(100);
/// Number of names read from `incoming/` at a time; all of them are taken before the next look, so
/// none starves. While no more wait, the oldest is handed over first.
const MAX_LISTED: usize = 10_000;
/// Limit of the dead letters; the oldest go first.
const MAX_DEAD: usize = 10_000;
/// Number of dead letters made before their number is looked at again.
const LOOK_AT_DEAD_AFTER: u64 = 500;
const DELIVERY_LIMIT_REASON: &str = "delivery-limit";

pub(crate) fn consumer(config: &DirectoryConfig, base: &Path) -> Box<dyn Consumer> {
    let limits = Limits {
        deliveries: config.delivery_limit.get(),
        longest: MAX_BATCH_BYTES,
        claimed: usize::MAX,
    };
    over(config, base, limits)
}

/// Consumer that claims at most `most` batches at a time, reads only the beginning of files longer
/// than `longest` bytes, and makes no dead letters by itself.
pub(crate) fn limited_consumer(
    config: &DirectoryConfig,
    base: &Path,
    longest: usize,
    most: NonZeroU16,
) -> Box<dyn Consumer> {
    let limits = Limits {
        deliveries: u32::MAX,
        longest,
        claimed: most.get().into(),
    };
    over(config, base, limits)
}

fn over(config: &DirectoryConfig, base: &Path, limits: Limits) -> Box<dyn Consumer> {
    let claims = Claims {
        layout: QueueLayout::new(&config.path, base),
        limits,
        folder: None,
        listing: VecDeque::new(),
        claimed: HashSet::new(),
        ready: VecDeque::new(),
        warned: false,
        dead_lettered: 0,
    };
    Box::new(DirectoryConsumer {
        claims: Arc::new(Mutex::new(claims)),
    })
}

/// The directory as a [`Consumer`].
#[derive(Debug)]
struct DirectoryConsumer {
    claims: Arc<Mutex<Claims>>,
}

/// Limits of a consumer.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Number of times a batch may be handed out again.
    deliveries: u32,
    /// Most bytes of a file that is read whole.
    longest: usize,
    /// Most batches that are claimed and not settled.
    claimed: usize,
}

/// Batches of one consumer.
#[derive(Debug)]
struct Claims {
    layout: QueueLayout,
    limits: Limits,
    /// Folder of the claimed batches, made at the first look.
    folder: Option<ProcessFolder>,
    /// Batches found in `incoming/` and not yet claimed.
    listing: VecDeque<BatchFile>,
    /// Batches claimed and not yet settled.
    claimed: HashSet<BatchFile>,
    /// Batches claimed and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<Delivery>,
    /// True once files that are no batches have been logged.
    warned: bool,
    /// Number of dead letters made here.
    dead_lettered: u64,
}

impl DirectoryConsumer {
    async fn with_claims<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Claims) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let claims = Arc::clone(&self.claims);
        run_blocking(move || work(&mut claims.blocking_lock())).await
    }

    /// Claims batches until there are some, for `max_wait` at most. One look is always made to its
    /// end: that nothing is there is known by then only.
    async fn wait(&self, max: usize, max_wait: Duration) -> Result<(), BrokerError> {
        let look = || self.with_claims(move |claims| claims.claim(max));
        if look().await? {
            return Ok(());
        }
        let looking = async {
            loop {
                sleep(POLL).await;
                if look().await? {
                    return Ok(());
                }
            }
        };
        timeout(max_wait, looking).await.unwrap_or(Ok(()))
    }
}

#[async_trait]
impl Consumer for DirectoryConsumer {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let waited = self.wait(max, max_wait).await;
        let mut claims = self.claims.lock().await;
        let taken = claims.ready.len().min(max);
        if taken > 0 {
            fault::check(Point::BrokerReceived)?;
        }
        match waited {
            Err(error) if taken == 0 => Err(error),
            _ => Ok(claims.ready.drain(..taken).collect()),
        }
    }

    /// Always true: `receive` reports a folder that cannot be read, each time.
    fn connected(&self) -> bool {
        true
    }

    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        self.with_claims(move |claims| {
            if let Err(error) = fault::check(Point::BrokerAcking) {
                // As with every settlement that fails: the batches come again.
                claims.settle(tokens, |path, file, layout| {
                    requeue(path, file, layout, u32::MAX)
                })?;
                return Err(error);
            }
            claims.settle(tokens, |path, _, _| fs::remove_file(path))
        })
        .await
    }

    async fn dead_letter(
        &mut self,
        delivery: Delivery,
        reason: &'static str,
    ) -> Result<(), BrokerError> {
        self.with_claims(move |claims| {
            claims.settle(vec![delivery.token], |path, file, layout| {
                dead_letter(path, file, reason, layout)
            })?;
            claims.bound_dead_letters();
            Ok(())
        })
        .await
    }

    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        self.with_claims(move |claims| {
            let limit = claims.limits.deliveries;
            claims.settle(tokens, |path, file, layout| {
                requeue(path, file, layout, limit)
            })
        })
        .await
    }

    async fn close(&mut self) {
        // Nothing to do about a failure: the next consumer finds what is left.
        let released = self.with_claims(|claims| {
            claims.release();
            Ok(())
        });
        drop(released.await);
    }
}

impl Claims {
    /// Claims batches until `ready` holds `max` of them, or as many are claimed as may be. Returns
    /// whether it holds any.
    fn claim(&mut self, max: usize) -> Result<bool, BrokerError> {
        let folder = self.open()?;
        while self.ready.len() < max && self.claimed.len() < self.limits.claimed {
            let Some(file) = self.listing.pop_front() else {
                self.find_batches()?;
                if self.listing.is_empty() {
                    break;
                }
                continue;
            };
            // A batch sent twice waits until its first copy is settled: both have one file name.
            if self.claimed.contains(&file) {
                continue;
            }
            let path = folder.join(file.name());
            match fs::rename(self.layout.incoming.join(file.name()), &path) {
                Ok(()) => {}
                // Another consumer was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.layout.error("be consumed", &error)),
            }
            let FileContent { bytes, cut_from } =
                match read_regular_file(&path, self.limits.longest) {
                    Ok(content) => content,
                    Err(error) => {
                        // Counted as an attempt, so that one unreadable file does not come up for ever.
                        drop(requeue(&path, file, &self.layout, self.limits.deliveries));
                        return Err(self.layout.error("be read", &error));
                    }
                };
            self.claimed.insert(file);
            self.ready.push_back(Delivery {
                bytes,
                cut_from,
                redelivered: file.attempts > 0,
                token: Token(TokenKind::File(file)),
            });
        }
        Ok(!self.ready.is_empty())
    }

    fn open(&mut self) -> Result<PathBuf, BrokerError> {
        if let Some(folder) = self.folder.as_ref() {
            return Ok(folder.path.clone());
        }
        self.layout.create()?;
        let folder = ProcessFolder::create(&self.layout.work)
            .map_err(|error| self.layout.error("be written to", &error))?;
        Ok(self.folder.insert(folder).path.clone())
    }

    /// Reads names from `incoming/`, after putting back what dead consumers had claimed.
    fn find_batches(&mut self) -> Result<(), BrokerError> {
        self.layout.refuse_links()?;
        let refused = |error| self.layout.error("be read", &error);
        for abandoned in ProcessFolder::take_over_abandoned(&self.layout.work).map_err(refused)? {
            requeue_all(&abandoned.path, &self.layout, self.limits.deliveries).map_err(refused)?;
        }
        let mut listing = list(&self.layout.incoming, MAX_LISTED).map_err(refused)?;
        listing.batches.retain(|file| !self.claimed.contains(file));
        if listing.foreign && !std::mem::replace(&mut self.warned, true) {
            warn!(
                folder = %self.layout.incoming.display(),
                "the queue directory holds files that are no batches; they are left alone"
            );
        }
        self.sort_by_age(&mut listing.batches);
        self.listing = listing.batches.into();
        Ok(())
    }

    /// Sorts batches by the time of their writing: of two events that contradict each other under
    /// one version the registry keeps the first to arrive, which is how a restored gateway is
    /// noticed.
    fn sort_by_age(&self, batches: &mut [BatchFile]) {
        batches.sort_by_cached_key(|file| {
            let metadata = fs::symlink_metadata(self.layout.incoming.join(file.name()));
            // One that another consumer has taken since has no time, and is not claimed either.
            let written = metadata.and_then(|metadata| metadata.modified()).ok();
            (written, file.name())
        });
    }

    /// Settles each token's file, then syncs the folder so that it lasts.
    fn settle(
        &mut self,
        tokens: Vec<Token>,
        settlement: impl Fn(&Path, BatchFile, &QueueLayout) -> io::Result<()>,
    ) -> Result<(), BrokerError> {
        // Closed since, so the files are back in the queue and the tokens void.
        let Some(folder) = self.folder.as_ref().map(|folder| folder.path.clone()) else {
            return Ok(());
        };
        self.layout.refuse_links()?;
        let mut outcome = Ok(());
        for file in tokens.into_iter().filter_map(|token| token.file()) {
            if !self.claimed.contains(&file) {
                continue;
            }
            let path = folder.join(file.name());
            match settlement(&path, file, &self.layout) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    drop(requeue(&path, file, &self.layout, u32::MAX));
                    outcome = Err(error);
                }
                _ => {}
            }
            self.claimed.remove(&file);
        }
        outcome
            .and_then(|()| sync_folder(&folder))
            .map_err(|error| self.layout.error("be changed", &error))
    }

    /// Looks after every so many dead letters, the first included, whether they are too many.
    fn bound_dead_letters(&mut self) {
        let look = self.dead_lettered.is_multiple_of(LOOK_AT_DEAD_AFTER);
        self.dead_lettered += 1;
        if look && let Err(error) = remove_oldest(&self.layout, MAX_DEAD) {
            warn!(kind = %error.kind(), "old dead letters cannot be removed");
        }
    }

    /// Puts every claimed batch back into the queue.
    fn release(&mut self) {
        self.ready.clear();
        self.claimed.clear();
        self.listing.clear();
        if let Some(folder) = self.folder.take()
            && let Err(error) = requeue_all(&folder.path, &self.layout, self.limits.deliveries)
        {
            warn!(
                kind = %error.kind(),
                "unacknowledged batches stay in work/ until the next consumer takes them back"
            );
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.release();
    }
}

/// Puts every batch in a consumer's folder back into the queue.
fn requeue_all(folder: &Path, layout: &QueueLayout, limit: u32) -> io::Result<()> {
    let files = match list(folder, usize::MAX) {
        Ok(listing) => listing.batches,
        // The consumer died after making its lock and before making its folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    files
        .into_iter()
        .try_for_each(|file| requeue(&folder.join(file.name()), file, layout, limit))
}

/// Puts a batch back into the queue, or to the dead letters once it was handed out again more than
/// `limit` times.
fn requeue(path: &Path, file: BatchFile, layout: &QueueLayout, limit: u32) -> io::Result<()> {
    let next = file.with_another_attempt();
    if next.attempts > limit {
        dead_letter(path, file, DELIVERY_LIMIT_REASON, layout)
    } else {
        fs::rename(path, layout.incoming.join(next.name()))
    }
}

fn dead_letter(path: &Path, file: BatchFile, reason: &str, layout: &QueueLayout) -> io::Result<()> {
    let reason_file = layout.reason_file(file.id);
    // Written beside the batch, inside the consumer's own folder, before either is moved.
    write_through(
        &path.with_extension("reason"),
        format!("{reason}\n").as_bytes(),
        &reason_file,
    )?;
    fs::rename(path, layout.dead.join(BatchFile::new(file.id).name()))?;
    sync_folder(&layout.dead)
}

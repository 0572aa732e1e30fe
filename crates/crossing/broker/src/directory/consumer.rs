//! Takes batches out of the directory: a claim is a rename into a folder of the consumer's own.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fault::Point;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::den::Den;
use super::layout::{Layout, Name, list, read_own, sync_folder};
use super::scratch::write_through;
use super::{BrokerError, DirectoryConfig, blocking};
use crate::{Consumer, Delivery, Token, TokenKind};

/// How often an empty directory is looked at.
const POLL: Duration = Duration::from_millis(100);
/// Names read from `incoming/` at a time; all of them are taken before the next look, so none
/// starves.
const LISTING: usize = 10_000;
const DELIVERY_LIMIT_REASON: &str = "delivery-limit";

/// The directory as a [`Consumer`].
#[derive(Debug)]
pub(crate) struct DirectoryConsumer {
    claims: Arc<Mutex<Claims>>,
}

#[derive(Debug)]
struct Claims {
    layout: Layout,
    delivery_limit: u32,
    den: Option<Den>,
    listing: VecDeque<Name>,
    /// Claimed and not yet settled.
    held: HashSet<Name>,
    /// Claimed and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<Delivery>,
    warned: bool,
}

impl DirectoryConsumer {
    pub(crate) fn new(config: &DirectoryConfig, base: &Path) -> Self {
        let claims = Claims {
            layout: Layout::new(&config.path, base),
            delivery_limit: config.delivery_limit.get(),
            den: None,
            listing: VecDeque::new(),
            held: HashSet::new(),
            ready: VecDeque::new(),
            warned: false,
        };
        Self {
            claims: Arc::new(Mutex::new(claims)),
        }
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Claims) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let claims = Arc::clone(&self.claims);
        blocking(move || work(&mut claims.blocking_lock())).await
    }

    async fn wait(&self, max: usize) -> Result<(), BrokerError> {
        while !self.with(move |claims| claims.claim(max)).await? {
            sleep(POLL).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for DirectoryConsumer {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BrokerError> {
        let waited = timeout(max_wait, self.wait(max)).await;
        let mut claims = self.claims.lock().await;
        let taken = claims.ready.len().min(max);
        if taken > 0 {
            fault::check(Point::BrokerReceived)?;
        }
        match waited {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(claims.ready.drain(..taken).collect()),
        }
    }

    /// A folder that cannot be read is told by `receive`, each time.
    fn connected(&self) -> bool {
        true
    }

    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        self.with(move |claims| {
            if let Err(error) = fault::check(Point::BrokerAcking) {
                // As with every settlement that fails: the batches come again.
                claims.settle(tokens, |path, name, layout| {
                    put_back(path, name, layout, u32::MAX)
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
        self.with(move |claims| {
            claims.settle(vec![delivery.token], |path, name, layout| {
                bury(path, name, reason, layout)
            })
        })
        .await
    }

    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError> {
        self.with(move |claims| {
            let limit = claims.delivery_limit;
            claims.settle(tokens, |path, name, layout| {
                put_back(path, name, layout, limit)
            })
        })
        .await
    }

    async fn close(&mut self) {
        // Nothing to do about a failure: the next consumer finds what is left.
        let given_back = self.with(|claims| {
            claims.give_back();
            Ok(())
        });
        drop(given_back.await);
    }
}

impl Claims {
    /// One look: fills `ready` up to `max`, and says whether there is anything in it.
    fn claim(&mut self, max: usize) -> Result<bool, BrokerError> {
        let folder = self.open()?;
        while self.ready.len() < max {
            let Some(name) = self.listing.pop_front() else {
                self.look()?;
                if self.listing.is_empty() {
                    break;
                }
                continue;
            };
            // A batch sent twice waits until its first copy is settled: both have one file name.
            if self.held.contains(&name) {
                continue;
            }
            let claimed = folder.join(name.file());
            match fs::rename(self.layout.incoming.join(name.file()), &claimed) {
                Ok(()) => {}
                // Another consumer was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.layout.error("be consumed", &error)),
            }
            let bytes = match read_own(&claimed) {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Counted as an attempt, so that one unreadable file does not come up for ever.
                    drop(put_back(&claimed, name, &self.layout, self.delivery_limit));
                    return Err(self.layout.error("be read", &error));
                }
            };
            self.held.insert(name);
            let token = Token(TokenKind::File(name));
            self.ready.push_back(Delivery {
                bytes,
                redelivered: name.attempts > 0,
                token,
            });
        }
        Ok(!self.ready.is_empty())
    }

    fn open(&mut self) -> Result<PathBuf, BrokerError> {
        if let Some(den) = self.den.as_ref() {
            return Ok(den.folder.clone());
        }
        self.layout.create()?;
        let den = Den::make(&self.layout.work)
            .map_err(|error| self.layout.error("be written to", &error))?;
        Ok(self.den.insert(den).folder.clone())
    }

    /// Reads names from `incoming/`, after putting back what dead consumers held.
    fn look(&mut self) -> Result<(), BrokerError> {
        let refused = |error| self.layout.error("be read", &error);
        for left in Den::ownerless(&self.layout.work).map_err(refused)? {
            abandon(&left.folder, &self.layout, self.delivery_limit).map_err(refused)?;
        }
        let (mut names, foreign) = list(&self.layout.incoming, LISTING).map_err(refused)?;
        names.retain(|name| !self.held.contains(name));
        if foreign && !std::mem::replace(&mut self.warned, true) {
            warn!(
                folder = %self.layout.incoming.display(),
                "the queue directory holds files that are no batches; they are left alone"
            );
        }
        self.listing = names.into();
        Ok(())
    }

    /// Does `what` with each token's file, then makes it last.
    fn settle(
        &mut self,
        tokens: Vec<Token>,
        what: impl Fn(&Path, Name, &Layout) -> io::Result<()>,
    ) -> Result<(), BrokerError> {
        // Closed since, so the files are back in the queue and the tokens void.
        let Some(folder) = self.den.as_ref().map(|den| den.folder.clone()) else {
            return Ok(());
        };
        let mut outcome = Ok(());
        for name in tokens.into_iter().filter_map(|token| token.name()) {
            if !self.held.contains(&name) {
                continue;
            }
            let path = folder.join(name.file());
            match what(&path, name, &self.layout) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    drop(put_back(&path, name, &self.layout, u32::MAX));
                    outcome = Err(error);
                }
                _ => {}
            }
            self.held.remove(&name);
        }
        outcome
            .and_then(|()| sync_folder(&folder))
            .map_err(|error| self.layout.error("be changed", &error))
    }

    fn give_back(&mut self) {
        self.ready.clear();
        self.held.clear();
        self.listing.clear();
        if let Some(den) = self.den.take()
            && let Err(error) = abandon(&den.folder, &self.layout, self.delivery_limit)
        {
            warn!(kind = %error.kind(), "unacknowledged batches stay in work/ until the next \
                consumer takes them back");
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Puts everything in a consumer's folder back into the queue.
fn abandon(folder: &Path, layout: &Layout, limit: u32) -> io::Result<()> {
    let names = match list(folder, usize::MAX) {
        Ok((names, _)) => names,
        // It died between its lock and its folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    names
        .into_iter()
        .try_for_each(|name| put_back(&folder.join(name.file()), name, layout, limit))
}

fn put_back(path: &Path, name: Name, layout: &Layout, limit: u32) -> io::Result<()> {
    let next = name.after_another_attempt();
    if next.attempts > limit {
        bury(path, name, DELIVERY_LIMIT_REASON, layout)
    } else {
        fs::rename(path, layout.incoming.join(next.file()))
    }
}

fn bury(path: &Path, name: Name, reason: &str, layout: &Layout) -> io::Result<()> {
    let reason_file = layout.reason_file(name.id);
    // Written beside the batch, inside the consumer's own folder, before either is moved.
    write_through(
        &path.with_extension("reason"),
        format!("{reason}\n").as_bytes(),
        &reason_file,
    )?;
    fs::rename(path, layout.dead.join(Name::new(name.id).file()))?;
    sync_folder(&layout.dead)
}

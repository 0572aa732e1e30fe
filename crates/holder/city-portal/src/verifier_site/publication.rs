//! Trust bundle and lists of ended passes, copied from the registry as they were signed.
//!
//! Any number of verifiers cost the registry one request a minute, and a few for each new
//! publication. While the registry is away the copy is handed out on: it says itself how old it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Mutex;

use super::root::{OTHER_ROOT, PinnedRoot};
use crate::fault_log::note;
use crate::registry::{RegistryClient, RegistryFault};

/// Age at which the registry is asked again.
pub(super) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Most differences between lists that are asked for until the next publication. The registry keeps
/// fewer; whoever holds another list is given the whole one.
pub(super) const MAX_DIFFERENCES: usize = 64;

/// Copy of the registry's publication.
pub(super) struct Publication {
    root: Arc<PinnedRoot>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Time since the clock's start at which the registry was last asked.
    asked_at: Option<Duration>,
    copy: Option<Copied>,
}

/// Publication as it was copied: signed bundle and list.
struct Copied {
    trust: Bytes,
    whole: Bytes,
    /// Answers for verifiers that hold the list of a sequence; `None`: theirs is the newest.
    differences: HashMap<u64, Option<Bytes>>,
}

/// Answer about the list of ended passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListAnswer {
    /// Signed list, or the difference to it.
    Signed(Bytes),
    /// The list that is held is the newest.
    Newest,
}

impl Publication {
    /// Publication that nothing was copied of yet, for a page that pins this root.
    pub(super) fn new(root: Arc<PinnedRoot>) -> Self {
        Self {
            root,
            state: Mutex::default(),
        }
    }

    /// Signed trust bundle; `None` where there was none yet.
    pub(super) async fn trust(&self, registry: &RegistryClient, now: Duration) -> Option<Bytes> {
        let mut state = self.state.lock().await;
        state.refresh(registry, &self.root, now).await;
        state.copy.as_ref().map(|copy| copy.trust.clone())
    }

    /// Signed list, or the difference from the list of a sequence that is held; `None` where there
    /// was none yet.
    pub(super) async fn list(
        &self,
        registry: &RegistryClient,
        held: Option<u64>,
        now: Duration,
    ) -> Option<ListAnswer> {
        let mut state = self.state.lock().await;
        state.refresh(registry, &self.root, now).await;
        let copy = state.copy.as_mut()?;
        let answer = match held {
            Some(sequence) => copy.difference(registry, sequence).await,
            None => None,
        };
        Some(answer.unwrap_or_else(|| ListAnswer::Signed(copy.whole.clone())))
    }
}

impl State {
    /// Asks the registry again if the last time is long ago. A failure leaves the copy as it is.
    async fn refresh(&mut self, registry: &RegistryClient, root: &PinnedRoot, now: Duration) {
        let is_recent = |asked: Duration| now.saturating_sub(asked) < ASK_AGAIN_AFTER;
        if self.asked_at.is_some_and(is_recent) {
            return;
        }
        match self.fetch(registry, root).await {
            Ok(()) => self.asked_at = Some(now),
            Err(fault) => {
                // Asked again at the next request where nothing was ever copied.
                self.asked_at = self.copy.is_some().then_some(now);
                note(&fault);
            }
        }
    }

    async fn fetch(
        &mut self,
        registry: &RegistryClient,
        root: &PinnedRoot,
    ) -> Result<(), RegistryFault> {
        // The bundle first: it refuses lists that are older than itself.
        let trust = registry.trust().await?;
        let is_held = |copy: &Copied| copy.trust == trust;
        if self.copy.as_ref().is_some_and(is_held) {
            return Ok(());
        }
        if !root.signs(&trust) {
            tracing::warn!(event = "verifier-root", "{OTHER_ROOT}");
        }
        if let Some(whole) = registry.revocations(0).await? {
            self.copy = Some(Copied {
                trust: trust.into(),
                whole: whole.into(),
                differences: HashMap::new(),
            });
        }
        Ok(())
    }
}

impl Copied {
    /// Answer for a verifier that holds the list of a sequence; `None`: the whole list.
    async fn difference(&mut self, registry: &RegistryClient, held: u64) -> Option<ListAnswer> {
        if !self.differences.contains_key(&held) {
            if self.differences.len() >= MAX_DIFFERENCES {
                return None;
            }
            let asked = registry.revocations(held).await;
            let asked = asked.inspect_err(note).ok()?;
            self.differences.insert(held, asked.map(Bytes::from));
        }
        let known = self.differences.get(&held)?;
        Some(match known {
            Some(signed) => ListAnswer::Signed(signed.clone()),
            None => ListAnswer::Newest,
        })
    }
}

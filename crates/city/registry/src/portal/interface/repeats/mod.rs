//! Answers that are kept for repeats of a request with the same Idempotency-Key.
//!
//! They are in the memory of this process only, and bounded in number, in bytes and in age: a
//! repeat after that, or after a start, issues further passes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use client_door::Client;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Longest Idempotency-Key, in characters.
pub const MAX_IDEMPOTENCY_KEY: usize = 64;
/// Time that an answer is kept for repeats.
pub const KEPT_FOR: Duration = Duration::from_secs(900);
/// Most answers that are kept.
const MOST_ANSWERS: usize = 10_000;
/// Most bytes of answers that are kept.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Hash of a client and its Idempotency-Key, which an answer is kept under.
type Key = [u8; 32];

/// Answers that are kept.
pub(super) struct Repeats {
    kept: Mutex<Kept>,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    answers: usize,
    bytes: usize,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Settled ones, the oldest first.
    order: VecDeque<(Key, Duration)>,
    bytes: usize,
}

struct Entry {
    body: [u8; 32],
    /// `None` while the request is in hand.
    answer: Option<Bytes>,
}

/// Knowledge of a request by its key.
pub(super) enum Begun {
    /// First request; its claim is settled with the answer, or given up when dropped.
    New(Claim),
    /// Answer to an earlier request of the same body.
    Repeat(Bytes),
    /// An earlier request is not answered yet.
    InHand,
    /// The key came with another body.
    OtherBody,
}

impl Repeats {
    /// None yet.
    pub(super) fn new() -> Arc<Self> {
        Self::with_limits(Limits {
            answers: MOST_ANSWERS,
            bytes: MOST_BYTES,
        })
    }

    fn with_limits(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            limits,
        })
    }

    /// Looks for an earlier request of the client with this key.
    pub(super) fn begin(
        self: &Arc<Self>,
        client: Client,
        key: &str,
        body: &[u8],
        elapsed: Duration,
    ) -> Begun {
        let mut hasher = Sha256::new();
        hasher.update(key.as_bytes());
        // A key is of visible characters.
        hasher.update([0]);
        hasher.update(client.bytes());
        let key: Key = hasher.finalize().into();
        let body: [u8; 32] = Sha256::digest(body).into();
        let mut kept = self.kept.lock();
        kept.forget(elapsed, self.limits);
        match kept.entries.get(&key) {
            Some(entry) if entry.body != body => Begun::OtherBody,
            Some(Entry { answer: None, .. }) => Begun::InHand,
            Some(Entry {
                answer: Some(answer),
                ..
            }) => Begun::Repeat(answer.clone()),
            None => {
                kept.entries.insert(key, Entry { body, answer: None });
                Begun::New(Claim {
                    repeats: Arc::clone(self),
                    key,
                })
            }
        }
    }
}

impl Kept {
    /// Removes what is too old, or too much.
    fn forget(&mut self, elapsed: Duration, limits: Limits) {
        while let Some((key, settled)) = self.order.front() {
            let is_old = elapsed.saturating_sub(*settled) >= KEPT_FOR;
            if !is_old && self.order.len() <= limits.answers && self.bytes <= limits.bytes {
                return;
            }
            let removed = self.entries.remove(key);
            let answer = removed.and_then(|entry| entry.answer);
            self.bytes -= answer.map_or(0, |answer| answer.len());
            self.order.pop_front();
        }
    }
}

/// Right to answer a request for the first time.
pub(super) struct Claim {
    repeats: Arc<Repeats>,
    key: Key,
}

impl Claim {
    /// Keeps the answer for repeats.
    pub(super) fn settle(self, answer: Bytes, elapsed: Duration) {
        let mut kept = self.repeats.kept.lock();
        if let Some(entry) = kept.entries.get_mut(&self.key) {
            let length = answer.len();
            entry.answer = Some(answer);
            kept.bytes += length;
            kept.order.push_back((self.key, elapsed));
        }
        kept.forget(elapsed, self.repeats.limits);
    }
}

impl Drop for Claim {
    /// Gives the key up where there is no answer, so that a repeat tries again.
    fn drop(&mut self) {
        let mut kept = self.repeats.kept.lock();
        let is_open = |entry: &Entry| entry.answer.is_none();
        if kept.entries.get(&self.key).is_some_and(is_open) {
            kept.entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;

//! One-use tokens of sealed batches: asked for by whoever uses the outbox, kept in memory alone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use contract::{AnswerKey, CompressedBatch, PaddedSizes, SealError, SealedBatch, SealedTokens};

/// Reason why there is no token for a batch. Nothing was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The issuer is away; the same call may succeed later.
    #[error("no tokens for batches: {0}; nothing is lost, the page is read again")]
    Away(String),
    /// The issuer gives this gateway no more today.
    #[error("no tokens for batches: {what}; nothing is lost, the page is read again")]
    Ceiling {
        /// Words about the ceiling.
        what: String,
        /// Time until the issuer may be asked again.
        after: Duration,
    },
    /// A person has to change something first.
    #[error("no tokens for batches: {0}")]
    Misconfigured(String),
}

impl NoToken {
    /// Short code for `status`, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Away(_) => "token-issuer-away",
            Self::Ceiling { .. } => "token-ceiling",
            Self::Misconfigured(_) => "token-issuer-misconfigured",
        }
    }

    /// Shortest time after which the same call may succeed; `None` where a person has to change
    /// something first.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away(_) => Some(Duration::ZERO),
            Self::Ceiling { after, .. } => Some(*after),
            Self::Misconfigured(_) => None,
        }
    }
}

/// Name of a feed of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedName<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Name of the feed.
    pub feed: &'a str,
}

/// Tokens in hand, of which every sealed batch takes one.
#[async_trait]
pub trait BatchTokens: fmt::Debug + Send + Sync {
    /// Sees to it that there are so many tokens, if need be by asking the issuer. `feed` is the one
    /// whose page waits for them; `None` for what belongs to no feed.
    ///
    /// # Errors
    /// [`NoToken`].
    async fn ready(&self, count: usize, feed: Option<FeedName<'_>>) -> Result<(), NoToken>;

    /// Takes the tokens of one batch.
    ///
    /// # Errors
    /// [`NoToken`], where there is none left.
    fn take(&self) -> Result<SealedTokens, NoToken>;

    /// Takes the token of a batch without an event; `None` where facts may need those that are
    /// left. No token of a day comes with it: such a batch is not sent again where it is lost.
    fn take_spare(&self) -> Option<SealedTokens>;

    /// Takes back the tokens of a batch that was sealed and never written down: nobody has seen
    /// them.
    fn give_back(&self, tokens: SealedTokens);
}

/// Tokens of one batch, from the seal until it may leave. Dropped before that, they go back.
pub(crate) struct TokensInHand {
    /// The tokens, and where they go back to; `None` where batches carry none.
    taken: Option<Taken>,
    leaves: AtomicBool,
}

struct Taken {
    tokens: SealedTokens,
    home: Arc<dyn BatchTokens>,
}

impl Taken {
    fn new(tokens: SealedTokens, home: &Arc<dyn BatchTokens>) -> Self {
        Self {
            tokens,
            home: Arc::clone(home),
        }
    }
}

impl TokensInHand {
    /// Takes the tokens of one batch, where batches carry any.
    pub(crate) fn take(from: Option<&Arc<dyn BatchTokens>>) -> Result<Self, NoToken> {
        match from {
            None => Ok(Self::holding(None)),
            Some(home) => home
                .take()
                .map(|tokens| Self::holding(Some(Taken::new(tokens, home)))),
        }
    }

    /// Takes the token of a batch without an event, where batches carry any; `None` where there is
    /// none to spare.
    pub(crate) fn take_spare(from: Option<&Arc<dyn BatchTokens>>) -> Option<Self> {
        match from {
            None => Some(Self::holding(None)),
            Some(home) => {
                let taken = home.take_spare();
                taken.map(|tokens| Self::holding(Some(Taken::new(tokens, home))))
            }
        }
    }

    const fn holding(taken: Option<Taken>) -> Self {
        Self {
            taken,
            leaves: AtomicBool::new(false),
        }
    }

    /// Seals a batch with the tokens, where batches carry any.
    pub(crate) fn seal(
        &self,
        batch: CompressedBatch<'_>,
        sizes: PaddedSizes,
    ) -> Result<(SealedBatch, AnswerKey), SealError> {
        match &self.taken {
            None => batch.seal_in(sizes),
            Some(taken) => batch.seal_with(sizes, &taken.tokens),
        }
    }

    /// Notes that the batch is about to be written or sent: from now on it may leave, and the
    /// tokens with it.
    pub(crate) fn note_leaves(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }
}

impl Drop for TokensInHand {
    fn drop(&mut self) {
        if self.leaves.load(Ordering::Relaxed) {
            return;
        }
        if let Some(Taken { tokens, home }) = self.taken.take() {
            home.give_back(tokens);
        }
    }
}

impl fmt::Debug for TokensInHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokensInHand(..)")
    }
}

#[cfg(test)]
mod tests {
    use contract::{PrivateKey, TOKEN_BYTES};
    use parking_lot::Mutex;

    use super::*;
    use crate::batches::test_events::{new_events, secrets};
    use crate::batches::{Sealing, seal_probes};
    use crate::file::OutboxError;
    use crate::options::OutboxOptions;

    /// Purse of so many tokens, each with a number of its own.
    #[derive(Debug)]
    struct Purse(Mutex<Vec<u8>>);

    #[async_trait]
    impl BatchTokens for Purse {
        async fn ready(&self, count: usize, _: Option<FeedName<'_>>) -> Result<(), NoToken> {
            let enough = self.0.lock().len() >= count;
            enough
                .then_some(())
                .ok_or_else(|| NoToken::Away("empty".into()))
        }

        fn take(&self) -> Result<SealedTokens, NoToken> {
            let taken = self.0.lock().pop();
            let number = taken.ok_or_else(|| NoToken::Away("empty".into()))?;
            Ok(SealedTokens {
                batch: [number; TOKEN_BYTES],
                day: None,
            })
        }

        fn take_spare(&self) -> Option<SealedTokens> {
            self.take().ok()
        }

        fn give_back(&self, tokens: SealedTokens) {
            self.0.lock().push(tokens.batch[0]);
        }
    }

    fn sealing(key: &PrivateKey, tokens: u8) -> (Arc<Purse>, Sealing) {
        let purse = Arc::new(Purse(Mutex::new((1..=tokens).collect())));
        let tokens: Arc<dyn BatchTokens> = Arc::<Purse>::clone(&purse);
        let options = OutboxOptions {
            batch_events: 10,
            tokens: Some(tokens),
            ..OutboxOptions::new(key.public(), secrets(), "test")
        };
        (purse, Sealing::new(&options))
    }

    #[tokio::test]
    async fn every_batch_has_a_token_of_its_own_and_what_is_not_written_gives_it_back() {
        let key = PrivateKey::generate();
        let (purse, sealing) = sealing(&key, 100);
        let sealed = sealing.shuffle_and_seal(new_events(53)).await.unwrap();
        assert_eq!((sealed.len(), purse.0.lock().len()), (6, 94));
        let token = |sealed: &crate::batches::NewBatch| {
            let opened = key.open(&sealed.batch.bytes).unwrap();
            opened.tokens.unwrap().batch[0]
        };
        let mut numbers: Vec<u8> = sealed.iter().map(token).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 6);
        sealed[0].tokens.note_leaves();
        let spent = token(&sealed[0]);
        drop(sealed);
        let left = purse.0.lock();
        assert!(left.len() == 99 && !left.contains(&spent));
    }

    #[tokio::test]
    async fn without_tokens_nothing_is_sealed_and_none_is_lost() {
        let (purse, sealing) = sealing(&PrivateKey::generate(), 3);
        let refused = sealing.shuffle_and_seal(new_events(53)).await.err();
        let Some(error @ OutboxError::NoToken(_)) = refused else {
            panic!("it was sealed")
        };
        assert!(error.is_retryable() && error.code() == "token-issuer-away");
        assert_eq!(purse.0.lock().len(), 3);
        assert!(
            seal_probes(&sealing, Vec::new(), 1)
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn every_dummy_has_a_token_of_its_own_and_there_are_no_more_than_tokens() {
        let key = PrivateKey::generate();
        let (purse, sealing) = sealing(&key, 3);
        let two = sealing.seal_dummies(2).await.unwrap();
        assert_eq!((two.len(), purse.0.lock().len()), (2, 1));
        let one = sealing.seal_dummies(2).await.unwrap();
        let token = |batch: &SealedBatch| {
            let opened = key.open(&batch.bytes).unwrap();
            opened.tokens.unwrap().batch[0]
        };
        let mut numbers: Vec<u8> = two.iter().chain(&one).map(token).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
        drop((two, one));
        assert!(purse.0.lock().is_empty(), "what may have left is spent");
        assert!(sealing.seal_dummies(2).await.unwrap().is_empty());
    }

    #[test]
    fn reasons_say_when_to_try_again() {
        let after = Duration::from_secs(9);
        let what = String::new();
        let ceiling = NoToken::Ceiling { what, after };
        assert_eq!(
            (ceiling.code(), ceiling.retry_after()),
            ("token-ceiling", Some(after))
        );
        let misconfigured = NoToken::Misconfigured("x".into());
        assert_eq!(misconfigured.retry_after(), None);
        assert_eq!(misconfigured.code(), "token-issuer-misconfigured");
    }
}

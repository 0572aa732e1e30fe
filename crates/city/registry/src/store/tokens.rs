//! Spending of one-use tokens, in the transaction that stores what they came with, and the tokens
//! of days, whose number is that of the clinics that are alive.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::RefusalReason;
use linking::{BatchTokens, OpenBatch, TokenName};
use sqlx::Error;

use super::error::StoreError;
use super::transaction::{Abort, StoreTransaction};
use super::{Store, in_time};

/// Number of days for which the spent tokens of a key are kept that this program does not know:
/// another registry of the same database may know it already, or still.
const FOREIGN_KEYS_DAYS: u64 = 7;

/// Result of spending the tokens of a group of batches.
#[derive(Debug, Default)]
pub(super) struct SpentTokens {
    /// The batches, those refused whose token is spent for another one; `None` where all may spend
    /// theirs.
    pub changed: Option<Vec<OpenBatch>>,
    /// Number of batches that were refused.
    pub replayed: usize,
}

/// Spends the tokens of a group of batches within the transaction. A token is the first batch's to
/// come with it, however often that comes.
///
/// Tokens are locked after the writers' lock and before anything else, by name.
pub(super) async fn spend(
    transaction: &mut dyn StoreTransaction,
    batches: &[&OpenBatch],
    now: DateTime<Utc>,
) -> Result<SpentTokens, Abort> {
    let tokens: Vec<BatchTokens> = batches.iter().filter_map(|batch| batch.tokens).collect();
    let spenders = spend_all(transaction, &tokens, now).await?;
    let is_replayed = |batch: &OpenBatch| {
        let tokens = batch.tokens.as_ref();
        tokens.is_some_and(|tokens| spenders.get(&tokens.batch) != Some(&tokens.sealed))
    };
    let replayed = batches.iter().filter(|batch| is_replayed(batch)).count();
    if replayed == 0 {
        return Ok(SpentTokens::default());
    }
    let judged = batches.iter().map(|batch| {
        let mut judged = (*batch).clone();
        if is_replayed(batch) {
            judged.refuse_all(RefusalReason::Token);
        }
        judged
    });
    Ok(SpentTokens {
        changed: Some(judged.collect()),
        replayed,
    })
}

/// Spends tokens, and the tokens of days that come with those that may be spent; returns the
/// digests of the batches that they are spent for by now.
async fn spend_all(
    transaction: &mut dyn StoreTransaction,
    tokens: &[BatchTokens],
    now: DateTime<Utc>,
) -> Result<BTreeMap<TokenName, [u8; 32]>, Abort> {
    if tokens.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut firsts: BTreeMap<TokenName, BatchTokens> = BTreeMap::new();
    for token in tokens {
        firsts.entry(token.batch).or_insert(*token);
    }
    let day = now.date_naive();
    let names: Vec<TokenName> = firsts.keys().copied().collect();
    let firsts: Vec<BatchTokens> = firsts.into_values().collect();
    transaction.add_spent(&firsts, day).await?;
    let spenders: BTreeMap<TokenName, [u8; 32]> =
        transaction.spenders(&names).await?.into_iter().collect();
    let genuine = tokens
        .iter()
        .filter(|tokens| spenders.get(&tokens.batch) == Some(&tokens.sealed));
    let mut days: Vec<TokenName> = genuine.filter_map(|tokens| tokens.day).collect();
    days.sort_unstable();
    days.dedup();
    if !days.is_empty() {
        transaction.add_days(&days, day).await?;
    }
    Ok(spenders)
}

/// Spends the tokens of a batch that stores nothing; false where they are spent for another one.
pub(super) async fn spend_alone(
    transaction: &mut dyn StoreTransaction,
    tokens: &BatchTokens,
    now: DateTime<Utc>,
) -> Result<bool, Abort> {
    transaction.lock_writers(false).await?;
    let spenders = spend_all(transaction, &[*tokens], now).await?;
    Ok(spenders.get(&tokens.batch) == Some(&tokens.sealed))
}

/// Number of clinics that are alive, by the tokens of days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct AliveClinics {
    /// Number on the present UTC day, so far.
    pub today: u64,
    /// Number on the UTC day before.
    pub yesterday: u64,
}

impl Store {
    /// Spends the tokens of a batch that stores nothing; false where they are spent for another
    /// one.
    pub(crate) async fn spend(
        &self,
        tokens: &BatchTokens,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.alone(|| self.backend.spend(tokens, now)).await
    }

    /// Number of clinics that are alive.
    pub(crate) async fn alive_clinics(
        &self,
        now: DateTime<Utc>,
    ) -> Result<AliveClinics, StoreError> {
        let today = now.date_naive();
        let yesterday = today.pred_opt().unwrap_or(today);
        let count = async |day| -> Result<u64, StoreError> {
            let seen = in_time(self.backend.days_seen(day)).await?;
            Ok(u64::try_from(seen).unwrap_or(0))
        };
        Ok(AliveClinics {
            today: count(today).await?,
            yesterday: count(yesterday).await?,
        })
    }

    /// Removes what is known of the tokens of keys that are not among these any more, some days
    /// after they were spent. `keys` is sorted.
    pub(crate) async fn prune_tokens(
        &self,
        keys: &[[u8; 32]],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let before = now.date_naive() - Days::new(FOREIGN_KEYS_DAYS);
        in_time(self.backend.prune_tokens(keys, before)).await
    }
}

/// Tokens in one kind of database.
#[async_trait]
pub(super) trait TokenStore {
    /// Spends the tokens of a batch that stores nothing, in a transaction of its own.
    async fn spend(&self, tokens: &BatchTokens, now: DateTime<Utc>) -> Result<bool, Abort>;

    /// Number of tokens of days that came first on this UTC day.
    async fn days_seen(&self, day: NaiveDate) -> Result<i64, Error>;

    /// Removes the tokens of keys other than these that came before a day; returns their number.
    async fn prune_tokens(&self, keys: &[[u8; 32]], before: NaiveDate) -> Result<u64, Error>;
}

/// Implements [`TokenStore`] for a store of this kind of database with these pools. `$are_known` is
/// the condition that a key is in the set `$2`, which `$digests` makes into what is bound.
macro_rules! token_store {
    ($kind:tt, $store:ty, $writer:ident, $reader:ident, $digests:path, $are_known:literal) => {
        #[async_trait]
        impl $crate::store::tokens::TokenStore for $store {
            async fn spend(
                &self,
                tokens: &linking::BatchTokens,
                now: DateTime<Utc>,
            ) -> Result<bool, Abort> {
                $crate::store::rekey::begin_transaction!($kind, self, transaction);
                let spend = $crate::store::tokens::spend_alone(&mut transaction, tokens, now);
                let is_own = spend.await?;
                transaction.commit().await?;
                Ok(is_own)
            }

            async fn days_seen(&self, day: chrono::NaiveDate) -> Result<i64, Error> {
                let seen = sqlx::query_scalar("SELECT count(*) FROM day_token WHERE seen_on = $1");
                seen.bind(day).fetch_one(&self.$reader).await
            }

            async fn prune_tokens(
                &self,
                keys: &[[u8; 32]],
                before: chrono::NaiveDate,
            ) -> Result<u64, Error> {
                let mut removed = 0;
                for prune in [
                    concat!(
                        "DELETE FROM spent_token WHERE spent_on < $1 AND NOT key_id ",
                        $are_known
                    ),
                    concat!(
                        "DELETE FROM day_token WHERE seen_on < $1 AND NOT key_id ",
                        $are_known
                    ),
                ] {
                    let prune = sqlx::query(prune).bind(before).bind($digests(keys));
                    removed += prune.execute(&self.$writer).await?.rows_affected();
                }
                Ok(removed)
            }
        }
    };
}
pub(super) use token_store;

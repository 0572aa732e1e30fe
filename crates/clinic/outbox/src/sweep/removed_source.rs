//! Withdrawal of everything that a removed source holds at the registry.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::FactKind;
use sqlx::sqlite::SqliteConnection;

use super::bitmap::Bits;
use super::missing::MissingRecords;
use super::running::{self, HeldWithdrawals, LostRows};
use super::types::SweepEnd;
use super::withdrawals::{Withdrawal, WithdrawalCause, Withdrawals};
use crate::classes;
use crate::corrections;
use crate::feeds::{enter_feed, feed_id};
use crate::file::{Database, OutboxError};
use crate::records::{Records, last_record_no};

/// A feed that is no longer configured, alone or with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFeed {
    /// Name of the feed.
    pub feed: String,
    /// Kind of fact that it held.
    pub kind: FactKind,
}

/// Feed to withdraw.
struct Removal<'a> {
    feed: &'a str,
    withdrawal: Withdrawal,
    records: MissingRecords,
}

/// Sources that are no longer configured.
#[derive(Debug)]
pub(crate) struct RemovedSources {
    database: Arc<Database>,
    records: Arc<Records>,
    withdrawals: Arc<Withdrawals>,
}

impl RemovedSources {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        withdrawals: Arc<Withdrawals>,
    ) -> Self {
        Self {
            database,
            records,
            withdrawals,
        }
    }

    /// Withdraws everything that the feeds of a removed source hold at the registry, once an
    /// operator has permitted it.
    pub(crate) async fn withdraw(
        &self,
        source: &str,
        feeds: &[RemovedFeed],
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let pool = self.database.readers();
        let mut removals = Vec::with_capacity(feeds.len());
        let mut missing = 0;
        let mut is_held = false;
        for removed in feeds {
            let Some(feed_id) = feed_id(pool, source, &removed.feed).await? else {
                continue;
            };
            let horizon = last_record_no(pool).await?;
            let permit = running::read_permit(pool, feed_id).await?;
            let none = Bits::default();
            let records = MissingRecords::find(&self.records, feed_id, horizon, &none).await?;
            missing += records.count();
            is_held |= records.count() > permit;
            removals.push(Removal {
                feed: &removed.feed,
                withdrawal: Withdrawal {
                    feed_id,
                    kind: removed.kind,
                    horizon,
                    cause: WithdrawalCause::RemovedSource,
                    now,
                },
                records,
            });
        }
        let mut withdrawn = 0;
        for removal in &removals {
            withdrawn += self.remove_or_hold(source, removal, is_held).await?;
        }
        if is_held {
            return Ok(SweepEnd::Held {
                missing,
                known: missing,
            });
        }
        Ok(SweepEnd::Done {
            seen: 0,
            withdrawn,
            dead_letters_closed: 0,
        })
    }

    /// Withdraws a feed, or notes what is held; returns the number of records withdrawn.
    async fn remove_or_hold(
        &self,
        source: &str,
        removal: &Removal<'_>,
        is_held: bool,
    ) -> Result<u64, OutboxError> {
        let mut withdrawn = 0;
        let missing = removal.records.count();
        let known = removal.records.known;
        if !is_held {
            for block in removal.records.blocks() {
                let withdrawal = &removal.withdrawal;
                withdrawn += self.withdrawals.withdraw_block(withdrawal, block).await?;
            }
        }
        // A feed with nothing left is not worth an operator's word.
        let held = (is_held && missing > 0).then_some(HeldWithdrawals { missing, known });
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let now = removal.withdrawal.now;
        let feed_id = enter_feed(connection, source, removal.feed, None, now).await?;
        sqlx::query("INSERT INTO sweep (feed_id) VALUES (?1) ON CONFLICT DO NOTHING")
            .bind(feed_id)
            .execute(&mut *connection)
            .await?;
        let lost = LostRows::default();
        running::end(connection, feed_id, held, &lost, false, now).await?;
        if !is_held {
            forget_feed(connection, feed_id).await?;
        }
        transaction.commit().await?;
        Ok(withdrawn)
    }
}

/// Forgets dead letters, notes of refused corrections, withheld records and cursor, so that a feed
/// that comes back is read from its beginning; not the letters of records that could not be
/// withdrawn.
async fn forget_feed(connection: &mut SqliteConnection, feed_id: i64) -> Result<(), OutboxError> {
    for statement in [
        "DELETE FROM dead_letter WHERE feed_id = ?1 AND reason <> 'versions-exhausted'",
        "DELETE FROM unlisted_refusal WHERE feed_id = ?1 AND reason <> 'versions-exhausted'",
        "DELETE FROM surprise WHERE feed_id = ?1",
        "UPDATE feed SET cursor = NULL, load_rows = 0 WHERE id = ?1",
    ] {
        sqlx::query(statement)
            .bind(feed_id)
            .execute(&mut *connection)
            .await?;
    }
    classes::forget_feed(&mut *connection, feed_id).await?;
    corrections::forget_feed(connection, feed_id).await
}

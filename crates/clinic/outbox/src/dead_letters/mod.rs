//! Dead letters: rows that could not become events, and events the registry refused; until they are
//! mended.

mod clinic;
mod list;
mod registry;
mod types;
mod unlisted;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub(crate) use self::clinic::{close_accepted, failed_since, name, open_refused};
pub(crate) use self::list::{record_ids_of, records_of, records_refused_for, select};
pub use self::registry::{
    FOREIGN_VERSION, SUPERSEDED, VERSION_REUSED, VERSIONS_EXHAUSTED, WITHDRAWAL_OF_UNKNOWN_KIND,
};
pub(crate) use self::registry::{
    RefusedByRegistry, RegistryLetter, close_of_registry, close_parked, open_letters,
    open_of_registry, refused_by_registry, unnamed,
};
pub use self::types::{
    DATE_FUTURE, DeadLetter, DeadLetterFilter, Origin, PERSON_HIDDEN, RECORD_UNREADABLE, Refused,
};
pub(crate) use self::unlisted::{
    UnlistedRefusal, forget_unlisted, next_unlisted, unlisted_of_clinic,
};
use crate::file::{Database, OutboxError, json, to_ms};

/// The dead letters, over the outbox file.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    database: Arc<Database>,
}

impl DeadLetters {
    /// Dead letters of the file.
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Returns whether rows of the feed have dead letters, discarded ones included.
    pub(crate) async fn any_of_clinic(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<bool, OutboxError> {
        let any = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM feed JOIN dead_letter ON feed_id = feed.id \
             WHERE source = ?1 AND feed = ?2 AND origin = 'clinic')",
        )
        .bind(source)
        .bind(feed)
        .fetch_one(self.database.readers())
        .await?;
        Ok(any)
    }

    /// Discards the open letters that the filter selects; returns their number.
    pub(crate) async fn discard(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let open = DeadLetterFilter {
            discarded: false,
            ..filter.clone()
        };
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let letters = select(&mut *connection, &open).await?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let discarded = sqlx::query(
            "UPDATE dead_letter SET discarded_at_ms = ?2 \
             WHERE id IN (SELECT value FROM json_each(?1))",
        )
        .bind(json(&ids))
        .bind(to_ms(now))
        .execute(connection)
        .await?
        .rows_affected();
        transaction.commit().await?;
        Ok(discarded)
    }
}

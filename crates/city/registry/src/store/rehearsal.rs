//! Rehearsal of a transaction, which tells a store in trouble from a batch in trouble; and what is
//! noted of the latter.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{BatchId, Fact, FactKind, PartialDate, RecordDigest, Scheme, Suite};
use linking::{Assertion, CityPseudonym, IncomingEvent, OpenBatch, RecordName};

use super::transaction::{Abort, Attempt};
use super::{MessageKey, Store, StoreError, in_time};

/// Longest duration of a rehearsal, in seconds: a store that takes longer over one fact is itself
/// in trouble.
const REHEARSAL_SECONDS: u64 = 10;
/// Number of days for which failures at a message are kept.
const KEEP_DAYS: i64 = 30;

impl Store {
    /// Commits a write that changes nothing, then writes an invented fact of an invented person as
    /// any other fact, and rolls that back.
    pub(crate) async fn rehearse(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.ping_writing().await?;
        let attempt = Attempt {
            is_rehearsal: true,
            ..Attempt::default()
        };
        let batch = invented();
        let batches = [&batch];
        let rehearsed = self
            .backend
            .apply(&batches, &self.rules, None, attempt, now);
        let limit = Duration::from_secs(REHEARSAL_SECONDS);
        match tokio::time::timeout(limit, rehearsed).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Abort::Sql(error))) => Err(error.into()),
            Ok(Err(Abort::Failed(error))) => Err(error),
            Ok(Err(Abort::Raced | Abort::TooSlow | Abort::TooMuch | Abort::Rekeyed)) | Err(_) => {
                Err(StoreError::TooSlow {
                    code: format!("{REHEARSAL_SECONDS} s for one fact"),
                })
            }
        }
    }

    /// Number of failures at a message by itself.
    pub(crate) async fn failures(&self, message: &MessageKey) -> Result<u32, StoreError> {
        in_time(self.backend.failures(message)).await
    }

    /// Writes the number of failures at a message; 0 removes it.
    pub(crate) async fn put_failures(
        &self,
        message: &MessageKey,
        failures: u32,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        in_time(self.backend.put_failures(message, failures, now)).await
    }

    /// Removes what was noted of messages long ago.
    pub(crate) async fn prune_failures(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        in_time(
            self.backend
                .prune_failures(now - TimeDelta::days(KEEP_DAYS)),
        )
        .await
    }
}

/// Batch of one fact that nobody has ever sent, about a person that nobody is.
fn invented() -> OpenBatch {
    let [record, name] = [random(), random()];
    let occurred_on = PartialDate::from_month(2021, 1).expect("there is such a month");
    let fact = Fact::Recovery {
        began_on: None,
        occurred_on,
    };
    let person = CityPseudonym {
        scheme: Scheme::Snils,
        suite: Suite::Hmac,
        epoch: 1,
        value: name,
    };
    let batch = BatchId::random();
    let event = IncomingEvent {
        batch,
        index: 0,
        record: RecordName {
            sent: RecordDigest(record),
            stored: record,
        },
        version: 1,
        content: [0; 16],
        owner: [0; 16],
        kind: FactKind::Recovery,
        asserted: Some(Assertion::new(fact, vec![person])),
        is_outdated: false,
    };
    OpenBatch {
        id: batch,
        name: None,
        tokens: None,
        events: vec![event],
        refusals: Vec::new(),
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

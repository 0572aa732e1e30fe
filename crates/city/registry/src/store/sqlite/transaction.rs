//! Writing transaction of SQLite: every statement takes its whole set as one JSON list.

use std::collections::HashMap;

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, SecondsFormat, Utc};
use linking::{EventRefusal, IncomingEvent, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, Sqlite, Transaction};

use super::queries::{self, hex_list, id_list, json_list};
use crate::store::columns::{columns, content, status};
use crate::store::held_facts::HeldFact;
use crate::store::old_facts::{MovedFact, OldFact};
use crate::store::person_statements::NameValue;
use crate::store::rows::{OldFactColumns, old_fact};
use crate::store::sql::{
    DROP_OLD_FACTS, IS_WATCHED, OLD_FACTS, REMOVE_UNSTATED, UNWATCH, WATCH, expire_facts,
    insert_facts, move_old_facts, permit_facts, purge_facts, replace_fact,
};
use crate::store::transaction::StoreTransaction;

/// Open transaction, begun with BEGIN IMMEDIATE: no other connection writes until it ends.
pub(super) struct SqliteTransaction(pub(super) Transaction<'static, Sqlite>);

impl SqliteTransaction {
    pub(super) fn new(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(transaction)
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }

    /// Runs a statement over a set, and returns the number of rows it changed.
    pub(super) async fn write(&mut self, sql: &'static str, rows: String) -> Result<u64, Error> {
        let done = sqlx::query(sql).bind(rows).execute(&mut *self.0).await?;
        Ok(done.rows_affected())
    }
}

#[async_trait]
impl StoreTransaction for SqliteTransaction {
    async fn lock_writers(&mut self, _exclusive: bool) -> Result<(), Error> {
        Ok(())
    }

    async fn lock_stored(
        &mut self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error> {
        queries::stored(&mut *self.0, records).await
    }

    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        self.write(ADD_FACTS, fact_list(facts)).await
    }

    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        self.write(PUT_FACTS, fact_list(facts)).await
    }

    async fn purge_facts(
        &mut self,
        records: &[StoredRecord],
        is_deletion: bool,
    ) -> Result<u64, Error> {
        let purge = sqlx::query(PURGE_FACTS)
            .bind(hex_list(records))
            .bind(is_deletion);
        let purged = purge.execute(&mut *self.0).await?;
        Ok(purged.rows_affected())
    }

    async fn permit_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error> {
        self.write(PERMIT_FACTS, hex_list(records)).await
    }

    async fn held_facts(&mut self, subjects: &[SubjectId]) -> Result<Vec<HeldFact>, Error> {
        queries::held_facts(&mut *self.0, subjects).await
    }

    async fn expire_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error> {
        self.write(EXPIRE_FACTS, hex_list(records)).await
    }

    async fn is_watched(&mut self) -> Result<bool, Error> {
        let is_watched = sqlx::query_scalar(IS_WATCHED);
        is_watched.fetch_one(&mut *self.0).await
    }

    async fn watch(&mut self) -> Result<(), Error> {
        let watch = sqlx::query(WATCH);
        watch.execute(&mut *self.0).await.map(drop)
    }

    async fn unwatch(&mut self) -> Result<(), Error> {
        let unwatch = sqlx::query(UNWATCH);
        unwatch.execute(&mut *self.0).await.map(drop)
    }

    async fn add_marks(
        &mut self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO pass_mark (made_at, name, subject_id)
             SELECT $1, unhex(j.value), NULL FROM json_each($2) AS j
             UNION ALL SELECT $1, NULL, j.value FROM json_each($3) AS j",
        )
        .bind(now.timestamp())
        .bind(hex_list(names))
        .bind(id_list(subjects))
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn has_old_facts(&mut self) -> Result<bool, Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'fact_before_links')",
        )
        .fetch_one(&mut *self.0)
        .await
    }

    async fn old_facts(&mut self, limit: usize) -> Result<Vec<OldFact>, Error> {
        let query = sqlx::query_as(OLD_FACTS).bind(limit.saturating_as::<i64>());
        let rows: Vec<OldFactColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(old_fact).collect()
    }

    async fn move_old_facts(&mut self, facts: &[MovedFact]) -> Result<(), Error> {
        let list = json_list(facts.iter().map(|fact| {
            let set = fact.name_set.map(|set| hex::encode(set.0));
            (hex::encode(fact.sent), hex::encode(fact.stored), set)
        }));
        self.write(MOVE_OLD_FACTS, list.clone()).await?;
        self.write(REMOVE_OLD_FACTS, list).await.map(drop)
    }

    async fn remove_unstated_names(&mut self) -> Result<(), Error> {
        for remove in REMOVE_UNSTATED {
            sqlx::query(remove).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn drop_old_facts(&mut self) -> Result<(), Error> {
        let drop_table = sqlx::query(DROP_OLD_FACTS);
        drop_table.execute(&mut *self.0).await.map(drop)
    }

    async fn add_refusals(
        &mut self,
        rows: &[&EventRefusal],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let list = rows.iter().map(|row| {
            (
                hex::encode(row.batch.0),
                row.index,
                row.record.map(|record| hex::encode(record.stored)),
                row.version,
                row.reason.as_str(),
            )
        });
        let query = sqlx::query(ADD_REFUSALS)
            .bind(json_list(list))
            .bind(time_text(now));
        query.execute(&mut *self.0).await.map(drop)
    }
}

const MOVE_OLD_FACTS: &str = move_old_facts!(
    "(SELECT unhex(j.value ->> 0) AS sent, unhex(j.value ->> 1) AS stored,
        unhex(j.value ->> 2) AS name_set FROM json_each($1) AS j) AS m"
);
const REMOVE_OLD_FACTS: &str = "DELETE FROM fact_before_links
    WHERE record IN (SELECT unhex(j.value ->> 0) FROM json_each($1) AS j)";
const ADD_REFUSALS: &str =
    "INSERT INTO refusal (batch_id, event_index, record, version, reason, seen_at)
    SELECT unhex(j.value ->> 0), j.value ->> 1, unhex(j.value ->> 2), j.value ->> 3,
        j.value ->> 4, $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (batch_id, event_index) DO NOTHING";
const PURGE_FACTS: &str = purge_facts!("IN (SELECT unhex(j.value) FROM json_each($1) AS j)");
const EXPIRE_FACTS: &str = expire_facts!("IN (SELECT unhex(j.value) FROM json_each($1) AS j)");
const PERMIT_FACTS: &str = permit_facts!("IN (SELECT unhex(j.value) FROM json_each($1) AS j)");

/// Rows of facts out of a JSON list, and what is done about those that are stored.
macro_rules! facts_from_list {
    ($conflict:expr) => {
        insert_facts!(
            "SELECT unhex(j.value ->> '$[0][0]'), j.value ->> '$[0][1]', j.value ->> '$[0][2]',
                j.value ->> '$[0][3]', unhex(j.value ->> '$[0][4]'),
                unhex(j.value ->> '$[0][5]'), j.value ->> 1, j.value ->> 2, j.value ->> 3,
                j.value ->> 4, j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8,
                unhex(j.value ->> '$[0][6]'), j.value ->> '$[0][7]'
            FROM json_each($1) AS j WHERE true",
            $conflict
        )
    };
}

const ADD_FACTS: &str = facts_from_list!("DO NOTHING");
const PUT_FACTS: &str = facts_from_list!(replace_fact!());

/// JSON list of facts.
fn fact_list(facts: &[&IncomingEvent]) -> String {
    let list = facts.iter().map(|event| {
        let fact = columns(event.fact());
        (
            (
                hex::encode(event.record.stored),
                event.version,
                event.kind.as_str(),
                status(event),
                hex::encode(event.owner),
                event.name_set().map(|set| hex::encode(set.0)),
                content(event).map(hex::encode),
                u8::from(event.is_tombstone()),
            ),
            fact.vaccine,
            fact.dose_number,
            fact.series_doses,
            fact.test,
            fact.result,
            fact.began_on,
            fact.occurred_on,
            fact.occurred_earliest,
        )
    });
    json_list(list)
}

pub(super) fn time_text(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

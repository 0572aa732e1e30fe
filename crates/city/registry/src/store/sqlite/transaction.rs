//! Writing transaction of SQLite: every statement takes its whole set as one JSON list.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use linking::{CityPseudonym, Conflict, EventRefusal, IncomingEvent, StoredVersion, SubjectId};
use sqlx::{Error, Sqlite, Transaction};

use super::queries::{self, id_list, json_list};
use crate::store::columns::{columns, status};
use crate::store::sql::put_facts;
use crate::store::transaction::StoreTransaction;

/// Open transaction, begun with BEGIN IMMEDIATE: no other connection writes until it ends.
pub(super) struct SqliteTransaction(Transaction<'static, Sqlite>);

impl SqliteTransaction {
    pub(super) fn new(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(transaction)
    }

    pub(super) async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }

    /// Runs a statement over a set, and returns the number of rows it changed.
    async fn write(&mut self, sql: &'static str, rows: String) -> Result<u64, Error> {
        let done = sqlx::query(sql).bind(rows).execute(&mut *self.0).await?;
        Ok(done.rows_affected())
    }
}

#[async_trait]
impl StoreTransaction for SqliteTransaction {
    async fn lock_writers(&mut self, _exclusive: bool) -> Result<(), Error> {
        Ok(())
    }

    async fn stored(
        &mut self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], StoredVersion>, Error> {
        queries::stored(&mut *self.0, records).await
    }

    async fn subjects_of(
        &mut self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        queries::subjects_of(&mut *self.0, values).await
    }

    async fn lock_subjects(&mut self, _ids: &[SubjectId]) -> Result<(), Error> {
        Ok(())
    }

    async fn anchors(
        &mut self,
        ids: &[SubjectId],
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        queries::anchors(&mut *self.0, ids).await
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        self.write(ADD_SUBJECTS, id_list(ids)).await
    }

    async fn add_pseudonyms(&mut self, rows: &[(CityPseudonym, SubjectId)]) -> Result<u64, Error> {
        let list = rows.iter().map(|(pseudonym, subject)| {
            (
                hex::encode(pseudonym.value),
                pseudonym.scheme.as_str(),
                pseudonym.suite.as_str(),
                pseudonym.epoch,
                subject,
            )
        });
        self.write(ADD_PSEUDONYMS, json_list(list)).await
    }

    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), Error> {
        let list = json_list(pairs.iter());
        self.write(MERGE, list.clone()).await?;
        self.write(REMOVE_MERGED, list).await.map(drop)
    }

    async fn add_conflicts(&mut self, rows: &[Conflict], now: DateTime<Utc>) -> Result<(), Error> {
        let list = rows.iter().map(|row| {
            (
                hex::encode(row.one),
                hex::encode(row.other),
                hex::encode(row.record),
            )
        });
        let query = sqlx::query(ADD_CONFLICTS)
            .bind(json_list(list))
            .bind(time_text(now));
        query.execute(&mut *self.0).await.map(drop)
    }

    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        let list = facts.iter().map(|event| {
            let fact = columns(event.fact());
            (
                hex::encode(event.record),
                event.version,
                event.kind.as_str(),
                status(event),
                event.strongest_value().map(hex::encode),
                fact.vaccine,
                fact.dose_number,
                fact.series_doses,
                fact.test,
                fact.result,
                fact.began_on,
                fact.occurred_on,
                fact.occurred_earliest,
                event.content.map(hex::encode),
            )
        });
        self.write(PUT_FACTS, json_list(list)).await
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
                row.record.map(hex::encode),
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

const ADD_SUBJECTS: &str =
    "INSERT INTO subject (id) SELECT j.value FROM json_each($1) AS j WHERE true
    ON CONFLICT (id) DO NOTHING";
const ADD_PSEUDONYMS: &str = "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id)
    SELECT unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4
    FROM json_each($1) AS j WHERE true ON CONFLICT (value) DO NOTHING";
const MERGE: &str = "UPDATE pseudonym SET subject_id = m.survivor
    FROM (SELECT j.value ->> 0 AS loser, j.value ->> 1 AS survivor FROM json_each($1) AS j) AS m
    WHERE pseudonym.subject_id = m.loser";
const REMOVE_MERGED: &str =
    "DELETE FROM subject WHERE id IN (SELECT j.value ->> 0 FROM json_each($1) AS j)";
const ADD_CONFLICTS: &str = "INSERT INTO conflict (one, other, record, first_seen_at)
    SELECT unhex(j.value ->> 0), unhex(j.value ->> 1), unhex(j.value ->> 2), $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (one, other) DO NOTHING";
const ADD_REFUSALS: &str =
    "INSERT INTO refusal (batch_id, event_index, record, version, reason, seen_at)
    SELECT unhex(j.value ->> 0), j.value ->> 1, unhex(j.value ->> 2), j.value ->> 3,
        j.value ->> 4, $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (batch_id, event_index) DO NOTHING";
const PUT_FACTS: &str = put_facts!(
    "SELECT unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2, j.value ->> 3,
        unhex(j.value ->> 4), j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8,
        j.value ->> 9, j.value ->> 10, j.value ->> 11, j.value ->> 12, unhex(j.value ->> 13)
    FROM json_each($1) AS j WHERE true"
);

fn time_text(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

//! The PostgreSQL transaction: every statement takes its whole set as arrays.
//!
//! Locks are taken in one order by everybody, so that writers never wait in a ring: the writers' advisory lock, subjects
//! by id, pseudonyms by value, facts by record.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Error, Postgres, Transaction};

use super::code::{FactColumns, columns};
use super::postgres::{STORED, SUBJECTS_OF};
use super::read::{PseudonymTuple, StoredTuple, raw_pseudonym, raw_stored, value_of};
use crate::apply::Rows;
use crate::choose::Stored;
use crate::incoming::{Incoming, Refusal};
use crate::link::{Conflict, SubjectId};
use crate::second_layer::CityPseudonym;

/// Key of the writers' advisory lock, the same for every registry of this database ("clgwlink").
const WRITERS_LOCK: i64 = 0x636c_6777_6c69_6e6b;

/// An open transaction, READ COMMITTED: each statement sees what others have committed.
pub(crate) struct PostgresRows(Transaction<'static, Postgres>);

impl PostgresRows {
    pub fn new(transaction: Transaction<'static, Postgres>) -> Self {
        Self(transaction)
    }

    pub async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }
}

#[async_trait]
impl Rows for PostgresRows {
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), Error> {
        let lock = if exclusive {
            "SELECT pg_advisory_xact_lock($1)"
        } else {
            "SELECT pg_advisory_xact_lock_shared($1)"
        };
        sqlx::query(lock).bind(WRITERS_LOCK).execute(&mut *self.0).await.map(drop)
    }

    async fn stored(&mut self, records: &[[u8; 32]]) -> Result<HashMap<[u8; 32], Stored>, Error> {
        let rows: Vec<StoredTuple> = sqlx::query_as(STORED).bind(records).fetch_all(&mut *self.0).await?;
        rows.into_iter().map(raw_stored).collect()
    }

    async fn subjects_of(&mut self, values: &[[u8; 32]]) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        let rows: Vec<(Vec<u8>, i64)> =
            sqlx::query_as(SUBJECTS_OF).bind(values).fetch_all(&mut *self.0).await?;
        rows.into_iter().map(|(value, id)| Ok((value_of(&value)?, id))).collect()
    }

    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), Error> {
        sqlx::query("SELECT id FROM subject WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
            .bind(ids)
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn anchors(&mut self, ids: &[SubjectId]) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        let rows: Vec<PseudonymTuple> = sqlx::query_as(
            "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym
             WHERE scheme = 'snils' AND subject_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&mut *self.0)
        .await?;
        rows.into_iter().map(raw_pseudonym).collect()
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        let add = "INSERT INTO subject (id) SELECT * FROM unnest($1::bigint[]) ON CONFLICT (id) DO NOTHING";
        Ok(sqlx::query(add).bind(ids).execute(&mut *self.0).await?.rows_affected())
    }

    async fn add_pseudonyms(&mut self, rows: &[(CityPseudonym, SubjectId)]) -> Result<u64, Error> {
        let done = sqlx::query(
            "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id)
             SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::int[], $5::bigint[]) AS t ORDER BY 1
             ON CONFLICT (value) DO NOTHING",
        )
        .bind(list(rows, |(pseudonym, _)| pseudonym.value))
        .bind(list(rows, |(pseudonym, _)| pseudonym.scheme.as_str()))
        .bind(list(rows, |(pseudonym, _)| pseudonym.suite.as_str()))
        .bind(list(rows, |(pseudonym, _)| i32::from(pseudonym.epoch)))
        .bind(list(rows, |(_, subject)| *subject))
        .execute(&mut *self.0)
        .await?;
        Ok(done.rows_affected())
    }

    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), Error> {
        let (losers, survivors): (Vec<SubjectId>, Vec<SubjectId>) = pairs.iter().copied().unzip();
        sqlx::query(
            "UPDATE pseudonym SET subject_id = m.survivor
             FROM unnest($1::bigint[], $2::bigint[]) AS m (loser, survivor) WHERE subject_id = m.loser",
        )
        .bind(&losers)
        .bind(&survivors)
        .execute(&mut *self.0)
        .await?;
        let remove = sqlx::query("DELETE FROM subject WHERE id = ANY($1)").bind(&losers);
        remove.execute(&mut *self.0).await.map(drop)
    }

    async fn add_conflicts(&mut self, rows: &[Conflict], now: DateTime<Utc>) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO conflict (one, other, record, first_seen_at)
             SELECT t.*, $4 FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS t ORDER BY 1, 2
             ON CONFLICT (one, other) DO NOTHING",
        )
        .bind(list(rows, |row| row.one))
        .bind(list(rows, |row| row.other))
        .bind(list(rows, |row| row.record))
        .bind(now)
        .execute(&mut *self.0)
        .await
        .map(drop)
    }

    async fn put_facts(&mut self, facts: &[&Incoming]) -> Result<u64, Error> {
        let of_facts: Vec<FactColumns> =
            facts.iter().map(|event| columns(event.asserted.as_ref().map(|(fact, _)| fact))).collect();
        let status = |event: &&Incoming| if event.asserted.is_some() { "asserted" } else { "withdrawn" };
        let done = sqlx::query(PUT_FACTS)
            .bind(list(facts, |event| event.record))
            .bind(list(facts, |event| event.version))
            .bind(list(facts, |event| event.kind.as_str()))
            .bind(list(facts, status))
            .bind(list(facts, |event| event.asserted.as_ref().map(|(_, person)| person[0].value)))
            .bind(list(&of_facts, |fact| fact.vaccine))
            .bind(list(&of_facts, |fact| fact.dose_number))
            .bind(list(&of_facts, |fact| fact.series_doses))
            .bind(list(&of_facts, |fact| fact.test))
            .bind(list(&of_facts, |fact| fact.result))
            .bind(list(&of_facts, |fact| fact.began_on.clone()))
            .bind(list(&of_facts, |fact| fact.occurred_on.clone()))
            .bind(list(&of_facts, |fact| fact.occurred_earliest))
            .bind(list(facts, |event| event.content))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    async fn add_refusals(&mut self, rows: &[&Refusal], now: DateTime<Utc>) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO refusal (batch_id, event_index, record, version, reason, seen_at)
             SELECT t.*, $6 FROM unnest($1::bytea[], $2::int[], $3::bytea[], $4::bigint[], $5::text[]) AS t
             ORDER BY 1, 2 ON CONFLICT (batch_id, event_index) DO NOTHING",
        )
        .bind(list(rows, |row| row.batch.0))
        .bind(list(rows, |row| i32::try_from(row.index).unwrap_or(i32::MAX)))
        .bind(list(rows, |row| row.record))
        .bind(list(rows, |row| row.version))
        .bind(list(rows, |row| row.reason.as_str()))
        .bind(now)
        .execute(&mut *self.0)
        .await
        .map(drop)
    }
}

const PUT_FACTS: &str = "INSERT INTO fact (record, version, kind, status, pseudonym, vaccine, dose_number,
        series_doses, test, result, began_on, occurred_on, occurred_earliest, content)
    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::smallint[],
        $8::smallint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::date[], $14::bytea[]) AS t
    ORDER BY 1
    ON CONFLICT (record) DO UPDATE SET version = excluded.version, status = excluded.status,
        pseudonym = excluded.pseudonym, vaccine = excluded.vaccine, dose_number = excluded.dose_number,
        series_doses = excluded.series_doses, test = excluded.test, result = excluded.result,
        began_on = excluded.began_on, occurred_on = excluded.occurred_on,
        occurred_earliest = excluded.occurred_earliest, content = excluded.content
    WHERE excluded.kind = fact.kind AND (excluded.version > fact.version OR (excluded.version = fact.version
        AND excluded.status = fact.status AND fact.content IS NULL AND excluded.content IS NOT NULL))";

/// One column of a set.
fn list<R, T>(rows: &[R], column: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

//! The SQLite transaction: every statement takes its whole set as one JSON list.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{Error, Sqlite, Transaction};

use super::code::columns;
use super::read::{PseudonymTuple, StoredTuple, raw_pseudonym, raw_stored, value_of};
use super::sqlite::{STORED, SUBJECTS_OF, id_list};
use crate::apply::Rows;
use crate::choose::Stored;
use crate::incoming::{Incoming, Refusal};
use crate::link::{Conflict, SubjectId};
use crate::second_layer::CityPseudonym;

/// An open transaction, begun with BEGIN IMMEDIATE: nobody else writes until it ends.
pub(crate) struct SqliteRows(Transaction<'static, Sqlite>);

impl SqliteRows {
    pub(crate) fn new(transaction: Transaction<'static, Sqlite>) -> Self {
        Self(transaction)
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }
}

#[async_trait]
impl Rows for SqliteRows {
    async fn lock_writers(&mut self, _exclusive: bool) -> Result<(), Error> {
        Ok(())
    }

    async fn stored(&mut self, records: &[[u8; 32]]) -> Result<HashMap<[u8; 32], Stored>, Error> {
        let rows: Vec<StoredTuple> = sqlx::query_as(STORED)
            .bind(hex_list(records))
            .fetch_all(&mut *self.0)
            .await?;
        rows.into_iter().map(raw_stored).collect()
    }

    async fn subjects_of(
        &mut self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(SUBJECTS_OF)
            .bind(hex_list(values))
            .fetch_all(&mut *self.0)
            .await?;
        rows.into_iter()
            .map(|(value, id)| Ok((value_of(&value)?, id)))
            .collect()
    }

    async fn lock_subjects(&mut self, _ids: &[SubjectId]) -> Result<(), Error> {
        Ok(())
    }

    async fn anchors(
        &mut self,
        ids: &[SubjectId],
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        let rows: Vec<PseudonymTuple> = sqlx::query_as(ANCHORS)
            .bind(id_list(ids))
            .fetch_all(&mut *self.0)
            .await?;
        rows.into_iter().map(raw_pseudonym).collect()
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        let done = sqlx::query(ADD_SUBJECTS)
            .bind(id_list(ids))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    async fn add_pseudonyms(&mut self, rows: &[(CityPseudonym, SubjectId)]) -> Result<u64, Error> {
        let list = rows.iter().map(|(pseudonym, subject)| {
            let CityPseudonym {
                scheme,
                suite,
                epoch,
                value,
            } = pseudonym;
            (
                hex::encode(value),
                scheme.as_str(),
                suite.as_str(),
                epoch,
                subject,
            )
        });
        let done = sqlx::query(ADD_PSEUDONYMS)
            .bind(json(list))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), Error> {
        let list = json(pairs.iter());
        sqlx::query(MERGE).bind(&list).execute(&mut *self.0).await?;
        sqlx::query(REMOVE_MERGED)
            .bind(&list)
            .execute(&mut *self.0)
            .await
            .map(drop)
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
            .bind(json(list))
            .bind(moment(now));
        query.execute(&mut *self.0).await.map(drop)
    }

    async fn put_facts(&mut self, facts: &[&Incoming]) -> Result<u64, Error> {
        let list = facts.iter().map(|event| {
            let fact = columns(event.asserted.as_ref().map(|(fact, _)| fact));
            (
                hex::encode(event.record),
                event.version,
                event.kind.as_str(),
                if event.asserted.is_some() {
                    "asserted"
                } else {
                    "withdrawn"
                },
                event
                    .asserted
                    .as_ref()
                    .map(|(_, person)| hex::encode(person[0].value)),
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
        let done = sqlx::query(PUT_FACTS)
            .bind(json(list))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    async fn add_refusals(&mut self, rows: &[&Refusal], now: DateTime<Utc>) -> Result<(), Error> {
        let list = rows.iter().map(|row| {
            (
                hex::encode(row.batch.0),
                row.index,
                row.record.map(hex::encode),
                row.version,
                row.reason.as_str(),
            )
        });
        let query = sqlx::query(ADD_REFUSALS).bind(json(list)).bind(moment(now));
        query.execute(&mut *self.0).await.map(drop)
    }
}

const ADD_SUBJECTS: &str =
    "INSERT INTO subject (id) SELECT j.value FROM json_each($1) AS j WHERE true
    ON CONFLICT (id) DO NOTHING";
const ANCHORS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym
    WHERE scheme = 'snils' AND subject_id IN (SELECT j.value FROM json_each($1) AS j)";
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
const ADD_REFUSALS: &str = "INSERT INTO refusal (batch_id, event_index, record, version, reason, \
    seen_at)
    SELECT unhex(j.value ->> 0), j.value ->> 1, unhex(j.value ->> 2), j.value ->> 3, j.value ->> \
    4, $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (batch_id, event_index) DO NOTHING";
const PUT_FACTS: &str = "INSERT INTO fact (record, version, kind, status, pseudonym, vaccine, \
    dose_number,
        series_doses, test, result, began_on, occurred_on, occurred_earliest, content)
    SELECT unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2, j.value ->> 3, unhex(j.value ->> \
    4), j.value ->> 5,
        j.value ->> 6, j.value ->> 7, j.value ->> 8, j.value ->> 9, j.value ->> 10, j.value ->> \
        11, j.value ->> 12,
        unhex(j.value ->> 13)
    FROM json_each($1) AS j WHERE true
    ON CONFLICT (record) DO UPDATE SET version = excluded.version, status = excluded.status,
        pseudonym = excluded.pseudonym, vaccine = excluded.vaccine, dose_number = \
        excluded.dose_number,
        series_doses = excluded.series_doses, test = excluded.test, result = excluded.result,
        began_on = excluded.began_on, occurred_on = excluded.occurred_on,
        occurred_earliest = excluded.occurred_earliest, content = excluded.content
    WHERE excluded.kind = fact.kind AND (excluded.version > fact.version OR (excluded.version = \
    fact.version
        AND excluded.status = fact.status AND fact.content IS NULL AND excluded.content IS NOT \
        NULL))";

/// A JSON list of digests in hex.
pub(super) fn hex_list(values: &[[u8; 32]]) -> String {
    json(values.iter().map(hex::encode))
}

fn json<T: serde::Serialize>(rows: impl Iterator<Item = T>) -> String {
    serde_json::to_string(&rows.collect::<Vec<T>>()).expect("text and numbers are always JSON")
}

fn moment(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

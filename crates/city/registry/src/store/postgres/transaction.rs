//! Writing transaction of PostgreSQL: every statement takes its whole set, as arrays or, for what
//! is new, as a COPY.
//!
//! Every writer takes locks in the same order, so that writers never wait for each other in a
//! circle: the writers' advisory lock, subjects by id, pseudonyms by value, new facts by record,
//! facts that are there by record.

use std::collections::HashMap;

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{CityPseudonym, Conflict, EventRefusal, IncomingEvent, StoredVersion, SubjectId};
use sqlx::{Error, PgConnection, Postgres, Transaction};

use super::copy::CopyRows;
use super::queries;
use crate::store::columns::{MedicalColumns, columns, status, undecodable};
use crate::store::sql::put_facts;
use crate::store::transaction::StoreTransaction;

/// Key of the writers' advisory lock, the same for every registry of this database ("clgwlink").
const WRITERS_LOCK: i64 = 0x636c_6777_6c69_6e6b;

/// Number of rows below which they go in by INSERT. A COPY ends with a short message of its own,
/// which TCP may hold back for the 40 ms of a delayed acknowledgement (the driver does not switch
/// that off); with so many rows the server is at work for longer than that. Few under test, so that
/// the small groups of the tests go both ways.
const COPY_ROWS: usize = if cfg!(test) { 4 } else { 4000 };

/// Open transaction, READ COMMITTED: each statement sees what others have committed.
pub(crate) struct PostgresTransaction<'c> {
    transaction: Transaction<'c, Postgres>,
    /// True where the connection must not be used again; see [`super::lease::ConnectionLease`].
    halfway: &'c mut bool,
}

impl<'c> PostgresTransaction<'c> {
    pub(super) fn new(transaction: Transaction<'c, Postgres>, halfway: &'c mut bool) -> Self {
        Self {
            transaction,
            halfway,
        }
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.transaction.commit().await
    }
}

#[async_trait]
impl StoreTransaction for PostgresTransaction<'_> {
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), Error> {
        let lock = if exclusive {
            "SELECT pg_advisory_xact_lock($1)"
        } else {
            "SELECT pg_advisory_xact_lock_shared($1)"
        };
        sqlx::query(lock)
            .bind(WRITERS_LOCK)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn stored(
        &mut self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], StoredVersion>, Error> {
        queries::stored(&mut *self.transaction, records).await
    }

    async fn subjects_of(
        &mut self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        queries::subjects_of(&mut *self.transaction, values).await
    }

    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), Error> {
        sqlx::query("SELECT id FROM subject WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
            .bind(ids)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn anchors(
        &mut self,
        ids: &[SubjectId],
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        queries::anchors(&mut *self.transaction, ids).await
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        let add = sqlx::query("INSERT INTO subject (id) SELECT unnest($1::bigint[])").bind(ids);
        Ok(add.execute(&mut *self.transaction).await?.rows_affected())
    }

    async fn add_pseudonyms(&mut self, named: &[(CityPseudonym, SubjectId)]) -> Result<u64, Error> {
        if named.len() < COPY_ROWS {
            let add = sqlx::query(
                "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id)
                 SELECT * FROM unnest(
                    $1::bytea[], $2::text[], $3::text[], $4::int[], $5::bigint[])",
            );
            let add = add
                .bind(list(named, |(name, _)| name.value))
                .bind(list(named, |(name, _)| name.scheme.as_str()))
                .bind(list(named, |(name, _)| name.suite.as_str()))
                .bind(list(named, |(name, _)| i32::from(name.epoch)))
                .bind(list(named, |(_, subject)| *subject));
            return Ok(add.execute(&mut *self.transaction).await?.rows_affected());
        }
        let mut rows = CopyRows::new(5, named.len(), 100);
        for (pseudonym, subject) in named {
            rows.row()
                .bytes(Some(pseudonym.value))
                .bytes(Some(pseudonym.scheme.as_str()))
                .bytes(Some(pseudonym.suite.as_str()))
                .integer(i32::from(pseudonym.epoch))
                .big(*subject);
        }
        self.copy(
            "COPY pseudonym (value, scheme, suite, epoch, subject_id) FROM STDIN (FORMAT binary)",
            rows,
        )
        .await
    }

    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), Error> {
        let (losers, survivors): (Vec<SubjectId>, Vec<SubjectId>) = pairs.iter().copied().unzip();
        sqlx::query(
            "UPDATE pseudonym SET subject_id = m.survivor
             FROM unnest($1::bigint[], $2::bigint[]) AS m (loser, survivor)
             WHERE subject_id = m.loser",
        )
        .bind(&losers)
        .bind(&survivors)
        .execute(&mut *self.transaction)
        .await?;
        let remove = sqlx::query("DELETE FROM subject WHERE id = ANY($1)").bind(&losers);
        remove.execute(&mut *self.transaction).await.map(drop)
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
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }

    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        if facts.len() < COPY_ROWS {
            return self.put_facts(facts).await;
        }
        let mut rows = CopyRows::new(14, facts.len(), 240);
        for event in facts {
            let fact = columns(event.fact());
            rows.row()
                .bytes(Some(event.record))
                .big(event.version)
                .bytes(Some(event.kind.as_str()))
                .bytes(Some(status(event)))
                .bytes(event.strongest_value())
                .bytes(fact.vaccine)
                .small(fact.dose_number)
                .small(fact.series_doses)
                .bytes(fact.test)
                .bytes(fact.result)
                .bytes(fact.began_on)
                .bytes(fact.occurred_on)
                .date(fact.occurred_earliest)
                .bytes(event.content);
        }
        self.copy(ADD_FACTS, rows).await
    }

    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        let medical: Vec<MedicalColumns> = list(facts, |event| columns(event.fact()));
        let done = sqlx::query(PUT_FACTS)
            .bind(list(facts, |event| event.record))
            .bind(list(facts, |event| event.version))
            .bind(list(facts, |event| event.kind.as_str()))
            .bind(list(facts, |event| status(event)))
            .bind(list(facts, |event| event.strongest_value()))
            .bind(list(&medical, |fact| fact.vaccine))
            .bind(list(&medical, |fact| fact.dose_number))
            .bind(list(&medical, |fact| fact.series_doses))
            .bind(list(&medical, |fact| fact.test))
            .bind(list(&medical, |fact| fact.result))
            .bind(list(&medical, |fact| fact.began_on.clone()))
            .bind(list(&medical, |fact| fact.occurred_on.clone()))
            .bind(list(&medical, |fact| fact.occurred_earliest))
            .bind(list(facts, |event| event.content))
            .execute(&mut *self.transaction)
            .await?;
        Ok(done.rows_affected())
    }

    async fn add_refusals(
        &mut self,
        rows: &[&EventRefusal],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO refusal (batch_id, event_index, record, version, reason, seen_at)
             SELECT t.*, $6 FROM unnest(
                $1::bytea[], $2::int[], $3::bytea[], $4::bigint[], $5::text[]) AS t
             ORDER BY 1, 2 ON CONFLICT (batch_id, event_index) DO NOTHING",
        )
        .bind(list(rows, |row| row.batch.0))
        .bind(list(rows, |row| row.index.saturating_as::<i32>()))
        .bind(list(rows, |row| row.record))
        .bind(list(rows, |row| row.version))
        .bind(list(rows, |row| row.reason.as_str()))
        .bind(now)
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }
}

impl PostgresTransaction<'_> {
    /// Copies rows into a table, and returns their number. A row that is there already fails as a
    /// unique violation, which is a lost race.
    async fn copy(&mut self, into: &str, rows: CopyRows) -> Result<u64, Error> {
        let (bytes, count) = rows.end();
        *self.halfway = true;
        let copied = copy_in(&mut self.transaction, into, bytes).await;
        // The driver reads the server's own refusal to its end; after any other failure it is not
        // known which answers are still to come.
        *self.halfway = !matches!(copied, Ok(_) | Err(Error::Database(_)));
        let copied = copied?;
        if copied == count {
            Ok(copied)
        } else {
            Err(undecodable("number of rows"))
        }
    }
}

async fn copy_in(connection: &mut PgConnection, into: &str, bytes: Vec<u8>) -> Result<u64, Error> {
    let mut copy = connection.copy_in_raw(into).await?;
    copy.send(bytes).await?;
    copy.finish().await
}

const ADD_FACTS: &str = "COPY fact (record, version, kind, status, pseudonym, vaccine, dose_number,
        series_doses, test, result, began_on, occurred_on, occurred_earliest, content)
    FROM STDIN (FORMAT binary)";

const PUT_FACTS: &str = put_facts!(
    "SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bytea[],
        $6::text[], $7::smallint[], $8::smallint[], $9::text[], $10::text[], $11::text[],
        $12::text[], $13::date[], $14::bytea[]) AS t ORDER BY 1"
);

/// Column of a set.
fn list<R, T>(rows: &[R], column: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

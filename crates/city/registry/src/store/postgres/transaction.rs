//! Writing transaction of PostgreSQL: every statement takes its whole set, as arrays or, for what
//! is new, as a COPY.
//!
//! Every writer takes locks in the same order, so that writers never wait for each other in a
//! circle: the writers' advisory lock, facts that are there by record, the changed name sets by id,
//! subjects by id, pseudonyms by value, new facts by record. Only the other name sets of a
//! component can close a circle: they are locked as they are met, after its subjects, and before
//! them where decisions or names apart make the component be read first. The server then ends one
//! of the two transactions, which is run again. `persons show` locks name sets without the advisory
//! lock, and ends without a change.

use std::collections::HashMap;

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{EventRefusal, IncomingEvent, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, PgConnection, Postgres, Transaction};

use super::copy::CopyRows;
use super::queries;
use crate::store::columns::{MedicalColumns, columns, content, status, undecodable};
use crate::store::held_facts::HeldFact;
use crate::store::old_facts::{MovedFact, OldFact};
use crate::store::person_statements::NameValue;
use crate::store::rows::{OldFactColumns, VersionColumns, old_fact, record_version};
use crate::store::sql::{
    DROP_OLD_FACTS, IS_WATCHED, OLD_FACTS, REMOVE_UNSTATED, UNWATCH, WATCH, expire_facts,
    insert_facts, move_old_facts, permit_facts, purge_facts, replace_fact,
};
use crate::store::transaction::StoreTransaction;

/// Key of the writers' advisory lock, the same for every registry of this database ("clgwlink").
const WRITERS_LOCK: i64 = 0x636c_6777_6c69_6e6b;

/// Number of rows below which they go in by INSERT. A COPY ends with a short message of its own,
/// which TCP may hold back for the 40 ms of a delayed acknowledgement (the driver does not switch
/// that off); with so many rows the server is at work for longer than that. Few under test, so that
/// the small groups of the tests go both ways.
pub(super) const COPY_ROWS: usize = if cfg!(test) { 4 } else { 4000 };

/// Open transaction, READ COMMITTED: each statement sees what others have committed.
pub(crate) struct PostgresTransaction<'c> {
    pub(super) transaction: Transaction<'c, Postgres>,
    /// True where the connection must not be used again; see
    /// [`super::lent_connection::LentConnection`].
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

    async fn lock_stored(
        &mut self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error> {
        let rows: Vec<VersionColumns> = sqlx::query_as(
            "SELECT record, version, kind, status, content, owner, name_set, purged,
        expired
             FROM fact WHERE record = ANY($1) ORDER BY record FOR NO KEY UPDATE",
        )
        .bind(records)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(record_version).collect()
    }

    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        if facts.len() < COPY_ROWS {
            return self.insert_facts(INSERT_FACTS, facts).await;
        }
        let mut rows = CopyRows::new(16, facts.len(), 246);
        for event in facts {
            let fact = columns(event.fact());
            rows.row()
                .bytes(Some(event.record.stored))
                .big(event.version)
                .bytes(Some(event.kind.as_str()))
                .bytes(Some(status(event)))
                .bytes(Some(event.owner))
                .bytes(event.name_set().map(|set| set.0))
                .bytes(fact.vaccine)
                .small(fact.dose_number)
                .small(fact.series_doses)
                .bytes(fact.test)
                .bytes(fact.result)
                .bytes(fact.began_on)
                .bytes(fact.occurred_on)
                .date(fact.occurred_earliest)
                .bytes(content(event))
                .boolean(event.is_tombstone());
        }
        self.copy(ADD_FACTS, rows).await
    }

    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        self.insert_facts(PUT_FACTS, facts).await
    }

    async fn purge_facts(
        &mut self,
        records: &[StoredRecord],
        is_deletion: bool,
    ) -> Result<u64, Error> {
        let purge = sqlx::query(purge_facts!("= ANY($1)"))
            .bind(records)
            .bind(is_deletion);
        let done = purge.execute(&mut *self.transaction).await?;
        Ok(done.rows_affected())
    }

    async fn permit_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error> {
        let permit = sqlx::query(permit_facts!("= ANY($1)")).bind(records);
        let done = permit.execute(&mut *self.transaction).await?;
        Ok(done.rows_affected())
    }

    async fn held_facts(&mut self, subjects: &[SubjectId]) -> Result<Vec<HeldFact>, Error> {
        queries::held_facts(&mut *self.transaction, subjects).await
    }

    async fn expire_facts(&mut self, records: &[StoredRecord]) -> Result<u64, Error> {
        let expire = sqlx::query(expire_facts!("= ANY($1)")).bind(records);
        let done = expire.execute(&mut *self.transaction).await?;
        Ok(done.rows_affected())
    }

    async fn is_watched(&mut self) -> Result<bool, Error> {
        let is_watched = sqlx::query_scalar(IS_WATCHED);
        is_watched.fetch_one(&mut *self.transaction).await
    }

    async fn watch(&mut self) -> Result<(), Error> {
        let watch = sqlx::query(WATCH);
        watch.execute(&mut *self.transaction).await.map(drop)
    }

    async fn unwatch(&mut self) -> Result<(), Error> {
        let unwatch = sqlx::query(UNWATCH);
        unwatch.execute(&mut *self.transaction).await.map(drop)
    }

    async fn add_marks(
        &mut self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO pass_mark (made_at, name, subject_id)
             SELECT $1, name, NULL FROM unnest($2::bytea[]) AS n (name)
             UNION ALL SELECT $1, NULL, id FROM unnest($3::bigint[]) AS s (id)",
        )
        .bind(now.timestamp())
        .bind(names)
        .bind(subjects)
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }

    async fn has_old_facts(&mut self) -> Result<bool, Error> {
        // Not to_regclass: it may still see a table that another program has just removed.
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class
                WHERE relname = 'fact_before_links' AND pg_catalog.pg_table_is_visible(oid))",
        )
        .fetch_one(&mut *self.transaction)
        .await
    }

    async fn old_facts(&mut self, limit: usize) -> Result<Vec<OldFact>, Error> {
        let rows: Vec<OldFactColumns> = sqlx::query_as(OLD_FACTS)
            .bind(limit.saturating_as::<i64>())
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.into_iter().map(old_fact).collect()
    }

    async fn move_old_facts(&mut self, facts: &[MovedFact]) -> Result<(), Error> {
        let sent = list(facts, |fact| fact.sent);
        let moved = sqlx::query(move_old_facts!(
            "unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS m (sent, stored, name_set)"
        ));
        moved
            .bind(&sent)
            .bind(list(facts, |fact| fact.stored))
            .bind(list(facts, |fact| fact.name_set.map(|set| set.0)))
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query("DELETE FROM fact_before_links WHERE record = ANY($1)")
            .bind(&sent)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn remove_unstated_names(&mut self) -> Result<(), Error> {
        for remove in REMOVE_UNSTATED {
            sqlx::query(remove).execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    async fn drop_old_facts(&mut self) -> Result<(), Error> {
        let drop_table = sqlx::query(DROP_OLD_FACTS);
        drop_table.execute(&mut *self.transaction).await.map(drop)
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
        .bind(list(rows, |row| row.record.map(|record| record.stored)))
        .bind(list(rows, |row| row.version))
        .bind(list(rows, |row| row.reason.as_str()))
        .bind(now)
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }
}

impl PostgresTransaction<'_> {
    /// Runs a statement over facts as arrays, and returns the number of rows written.
    async fn insert_facts(
        &mut self,
        sql: &'static str,
        facts: &[&IncomingEvent],
    ) -> Result<u64, Error> {
        let medical: Vec<MedicalColumns> = list(facts, |event| columns(event.fact()));
        let done = sqlx::query(sql)
            .bind(list(facts, |event| event.record.stored))
            .bind(list(facts, |event| event.version))
            .bind(list(facts, |event| event.kind.as_str()))
            .bind(list(facts, |event| status(event)))
            .bind(list(facts, |event| event.owner))
            .bind(list(facts, |event| event.name_set().map(|set| set.0)))
            .bind(list(&medical, |fact| fact.vaccine))
            .bind(list(&medical, |fact| fact.dose_number))
            .bind(list(&medical, |fact| fact.series_doses))
            .bind(list(&medical, |fact| fact.test))
            .bind(list(&medical, |fact| fact.result))
            .bind(list(&medical, |fact| fact.began_on.clone()))
            .bind(list(&medical, |fact| fact.occurred_on.clone()))
            .bind(list(&medical, |fact| fact.occurred_earliest))
            .bind(list(facts, |event| content(event)))
            .bind(list(facts, |event| event.is_tombstone()))
            .execute(&mut *self.transaction)
            .await?;
        Ok(done.rows_affected())
    }

    /// Copies rows into a table, and returns their number. A row that is there already fails as a
    /// unique violation, which is a lost race.
    pub(super) async fn copy(&mut self, into: &str, rows: CopyRows) -> Result<u64, Error> {
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

const ADD_FACTS: &str = "COPY fact (record, version, kind, status, owner, name_set, vaccine,
        dose_number, series_doses, test, result, began_on, occurred_on, occurred_earliest, content,
        expired)
    FROM STDIN (FORMAT binary)";

/// Rows of facts out of arrays, and what is done about those that are stored.
macro_rules! facts_from_arrays {
    ($conflict:expr) => {
        insert_facts!(
            "SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bytea[],
                $6::bytea[], $7::text[], $8::smallint[], $9::smallint[], $10::text[], $11::text[],
                $12::text[], $13::text[], $14::date[], $15::bytea[],
                $16::boolean[]) AS t ORDER BY 1",
            $conflict
        )
    };
}

const INSERT_FACTS: &str = facts_from_arrays!("DO NOTHING");
const PUT_FACTS: &str = facts_from_arrays!(replace_fact!());

/// Column of a set.
pub(super) fn list<R, T>(rows: &[R], column: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

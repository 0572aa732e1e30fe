//! Writing transaction of PostgreSQL: every statement takes its whole set, as arrays or, for what
//! is new, as a COPY.
//!
//! Every writer takes locks in the same order, so that writers never wait for each other in a
//! circle: the writers' advisory lock, facts that are there by record, the changed name sets by id,
//! subjects by id, pseudonyms by value, new facts by record. Only the other name sets of a
//! component, which are locked after its subjects, can close a circle; the server then ends one of
//! the two transactions, which is run again.

use std::collections::HashMap;

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{
    Contest, Decision, EventRefusal, IncomingEvent, NameSetId, StoredRecord, StoredVersion,
    SubjectId,
};
use sqlx::{Error, PgConnection, Postgres, Transaction};

use super::copy::CopyRows;
use crate::store::columns::{
    MedicalColumns, action, columns, contest_kind, decision_columns, status, undecodable,
};
use crate::store::rows::{
    DecisionColumns, LinkColumns, NameColumns, OldFactColumns, SetColumns, VersionColumns,
    decision_row, link_row, name_row, old_fact, record_version, set_row,
};
use crate::store::sql::{
    ADD_ACTION, DROP_OLD_FACTS, HAS_DECISIONS, OLD_FACTS, insert_facts, move_old_facts,
    replace_fact,
};
use crate::store::transaction::{NameRow, NameValue, SetRow, StoreTransaction};
use crate::store::upgrade::{MovedFact, OldFact};

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
            "SELECT record, version, kind, status, content, owner, name_set FROM fact
             WHERE record = ANY($1) ORDER BY record FOR NO KEY UPDATE",
        )
        .bind(records)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(record_version).collect()
    }

    async fn lock_sets(&mut self, ids: &[NameSetId]) -> Result<Vec<SetRow>, Error> {
        let rows: Vec<SetColumns> = sqlx::query_as(
            "SELECT id, records, names FROM name_set WHERE id = ANY($1) ORDER BY id
             FOR NO KEY UPDATE",
        )
        .bind(list(ids, |id| id.0))
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(set_row).collect()
    }

    async fn change_sets(&mut self, changes: &[(NameSetId, i64)]) -> Result<(), Error> {
        sqlx::query(
            "UPDATE name_set SET records = records + c.change
             FROM unnest($1::bytea[], $2::bigint[]) AS c (id, change) WHERE name_set.id = c.id",
        )
        .bind(list(changes, |(id, _)| id.0))
        .bind(list(changes, |(_, change)| *change))
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }

    async fn add_sets(&mut self, sets: &[SetRow]) -> Result<u64, Error> {
        let links = links_of(sets);
        if sets.len() < COPY_ROWS {
            let add = sqlx::query(
                "INSERT INTO name_set (id, records, names)
                 SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[])",
            );
            let added = add
                .bind(list(sets, |set| set.id.0))
                .bind(list(sets, |set| set.records))
                .bind(list(sets, |set| set.names.as_flattened().to_vec()))
                .execute(&mut *self.transaction)
                .await?
                .rows_affected();
            sqlx::query(
                "INSERT INTO link (pseudonym, name_set)
                 SELECT * FROM unnest($1::bytea[], $2::bytea[])",
            )
            .bind(list(&links, |(name, _)| *name))
            .bind(list(&links, |(_, set)| set.0))
            .execute(&mut *self.transaction)
            .await?;
            return Ok(added);
        }
        let mut rows = CopyRows::new(3, sets.len(), 140);
        for set in sets {
            rows.row()
                .bytes(Some(set.id.0))
                .big(set.records)
                .bytes(Some(set.names.as_flattened()));
        }
        let into = "COPY name_set (id, records, names) FROM STDIN (FORMAT binary)";
        let added = self.copy(into, rows).await?;
        let mut rows = CopyRows::new(2, links.len(), 60);
        for (name, set) in &links {
            rows.row().bytes(Some(name)).bytes(Some(set.0));
        }
        let into = "COPY link (pseudonym, name_set) FROM STDIN (FORMAT binary)";
        self.copy(into, rows).await?;
        Ok(added)
    }

    async fn remove_sets(&mut self, sets: &[SetRow]) -> Result<(), Error> {
        let links = links_of(sets);
        sqlx::query("DELETE FROM name_set WHERE id = ANY($1)")
            .bind(list(sets, |set| set.id.0))
            .execute(&mut *self.transaction)
            .await?;
        sqlx::query(
            "DELETE FROM link USING unnest($1::bytea[], $2::bytea[]) AS l (name, set)
             WHERE link.pseudonym = l.name AND link.name_set = l.set",
        )
        .bind(list(&links, |(name, _)| *name))
        .bind(list(&links, |(_, set)| set.0))
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }

    async fn names(&mut self, values: &[NameValue]) -> Result<Vec<NameRow>, Error> {
        let rows: Vec<NameColumns> = sqlx::query_as(
            "SELECT value, scheme, suite, epoch, subject_id, apart FROM pseudonym
             WHERE value = ANY($1)",
        )
        .bind(values)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(name_row).collect()
    }

    async fn links(
        &mut self,
        values: &[NameValue],
        limit: usize,
    ) -> Result<Vec<(NameValue, NameSetId)>, Error> {
        let rows: Vec<LinkColumns> = sqlx::query_as(
            "SELECT n.value, l.name_set FROM unnest($1::bytea[]) AS n (value)
             CROSS JOIN LATERAL (
                SELECT name_set FROM link WHERE pseudonym = n.value ORDER BY name_set LIMIT $2
             ) AS l",
        )
        .bind(values)
        .bind(limit.saturating_as::<i64>())
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(link_row).collect()
    }

    async fn has_decisions(&mut self) -> Result<bool, Error> {
        let decided = sqlx::query_scalar(HAS_DECISIONS);
        decided.fetch_one(&mut *self.transaction).await
    }

    async fn decisions(&mut self, values: &[NameValue]) -> Result<Vec<Decision>, Error> {
        let rows: Vec<DecisionColumns> = sqlx::query_as(
            "SELECT one, other FROM decision WHERE one = ANY($1)
             UNION SELECT one, other FROM decision WHERE other = ANY($1)",
        )
        .bind(values)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(decision_row).collect()
    }

    async fn decide(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (one, other) = decision_columns(decision);
        let query = if holds {
            sqlx::query(
                "INSERT INTO decision (one, other, decided_at) VALUES ($1, $2, $3)
                 ON CONFLICT DO NOTHING",
            )
            .bind(one)
            .bind(other)
            .bind(now)
        } else {
            sqlx::query("DELETE FROM decision WHERE one = $1 AND other IS NOT DISTINCT FROM $2")
                .bind(one)
                .bind(other)
        };
        let done = query.execute(&mut *self.transaction).await?;
        Ok(done.rows_affected() > 0)
    }

    async fn add_action(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (one, other) = decision_columns(decision);
        sqlx::query(ADD_ACTION)
            .bind(now)
            .bind(action(decision, holds))
            .bind(one)
            .bind(other)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), Error> {
        sqlx::query("SELECT id FROM subject WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
            .bind(ids)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        let add = sqlx::query("INSERT INTO subject (id) SELECT unnest($1::bigint[])").bind(ids);
        Ok(add.execute(&mut *self.transaction).await?.rows_affected())
    }

    async fn add_names(&mut self, names: &[NameRow]) -> Result<u64, Error> {
        if names.len() < COPY_ROWS {
            let add = sqlx::query(
                "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id, apart)
                 SELECT * FROM unnest(
                    $1::bytea[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::boolean[])",
            );
            let add = add
                .bind(list(names, |row| row.name.value))
                .bind(list(names, |row| row.name.scheme.as_str()))
                .bind(list(names, |row| row.name.suite.as_str()))
                .bind(list(names, |row| i32::from(row.name.epoch)))
                .bind(list(names, |row| row.subject))
                .bind(list(names, |row| row.apart));
            return Ok(add.execute(&mut *self.transaction).await?.rows_affected());
        }
        let mut rows = CopyRows::new(6, names.len(), 105);
        for row in names {
            rows.row()
                .bytes(Some(row.name.value))
                .bytes(Some(row.name.scheme.as_str()))
                .bytes(Some(row.name.suite.as_str()))
                .integer(i32::from(row.name.epoch))
                .big(row.subject)
                .boolean(row.apart);
        }
        self.copy(
            "COPY pseudonym (value, scheme, suite, epoch, subject_id, apart)
             FROM STDIN (FORMAT binary)",
            rows,
        )
        .await
    }

    async fn change_names(&mut self, rows: &[NameRow]) -> Result<(), Error> {
        sqlx::query(
            "UPDATE pseudonym SET subject_id = c.subject, apart = c.apart
             FROM unnest($1::bytea[], $2::bigint[], $3::boolean[]) AS c (value, subject, apart)
             WHERE pseudonym.value = c.value",
        )
        .bind(list(rows, |row| row.name.value))
        .bind(list(rows, |row| row.subject))
        .bind(list(rows, |row| row.apart))
        .execute(&mut *self.transaction)
        .await
        .map(drop)
    }

    async fn remove_names(&mut self, values: &[NameValue]) -> Result<(), Error> {
        for remove in [
            "DELETE FROM pseudonym WHERE value = ANY($1)",
            "DELETE FROM contest WHERE name = ANY($1)",
        ] {
            let remove = sqlx::query(remove).bind(values);
            remove.execute(&mut *self.transaction).await?;
        }
        Ok(())
    }

    async fn remove_empty_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        let removed = sqlx::query(
            "DELETE FROM subject WHERE id = ANY($1)
             AND NOT EXISTS (SELECT 1 FROM pseudonym WHERE subject_id = subject.id)",
        )
        .bind(ids)
        .execute(&mut *self.transaction)
        .await?;
        Ok(removed.rows_affected())
    }

    async fn put_contests(
        &mut self,
        about: &[NameValue],
        contests: &[Contest],
        now: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let names = list(contests, |contest| contest.name);
        let kinds = list(contests, |contest| contest_kind(contest.kind));
        sqlx::query(
            "DELETE FROM contest WHERE name = ANY($1) AND (name, kind) NOT IN
                (SELECT * FROM unnest($2::bytea[], $3::text[]))",
        )
        .bind(about)
        .bind(&names)
        .bind(&kinds)
        .execute(&mut *self.transaction)
        .await?;
        let added = sqlx::query(
            "INSERT INTO contest (name, kind, first_seen_at)
             SELECT t.*, $3 FROM unnest($1::bytea[], $2::text[]) AS t ORDER BY 1, 2
             ON CONFLICT (name, kind) DO NOTHING",
        )
        .bind(&names)
        .bind(&kinds)
        .bind(now)
        .execute(&mut *self.transaction)
        .await?;
        Ok(added.rows_affected())
    }

    async fn add_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        if facts.len() < COPY_ROWS {
            return self.insert_facts(INSERT_FACTS, facts).await;
        }
        let mut rows = CopyRows::new(15, facts.len(), 240);
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
                .bytes(Some(event.content));
        }
        self.copy(ADD_FACTS, rows).await
    }

    async fn put_facts(&mut self, facts: &[&IncomingEvent]) -> Result<u64, Error> {
        self.insert_facts(PUT_FACTS, facts).await
    }

    async fn has_old_facts(&mut self) -> Result<bool, Error> {
        sqlx::query_scalar("SELECT to_regclass('fact_before_links') IS NOT NULL")
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

    async fn names_of_subjects(&mut self, ids: &[SubjectId]) -> Result<Vec<NameRow>, Error> {
        let rows: Vec<NameColumns> = sqlx::query_as(
            "SELECT value, scheme, suite, epoch, subject_id, apart FROM pseudonym
             WHERE subject_id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(name_row).collect()
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
            .bind(list(facts, |event| event.content))
            .execute(&mut *self.transaction)
            .await?;
        Ok(done.rows_affected())
    }

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

const ADD_FACTS: &str = "COPY fact (record, version, kind, status, owner, name_set, vaccine,
        dose_number, series_doses, test, result, began_on, occurred_on, occurred_earliest, content)
    FROM STDIN (FORMAT binary)";

/// Rows of facts out of arrays, and what is done about those that are stored.
macro_rules! facts_from_arrays {
    ($conflict:expr) => {
        insert_facts!(
            "SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bytea[],
                $6::bytea[], $7::text[], $8::smallint[], $9::smallint[], $10::text[], $11::text[],
                $12::text[], $13::text[], $14::date[], $15::bytea[]) AS t ORDER BY 1",
            $conflict
        )
    };
}

const INSERT_FACTS: &str = facts_from_arrays!("DO NOTHING");
const PUT_FACTS: &str = facts_from_arrays!(replace_fact!());

/// Links of sets, sorted.
fn links_of(sets: &[SetRow]) -> Vec<(NameValue, NameSetId)> {
    let of_set = |set: &SetRow| {
        set.names
            .iter()
            .map(|name| (*name, set.id))
            .collect::<Vec<_>>()
    };
    let mut links: Vec<_> = sets.iter().flat_map(of_set).collect();
    links.sort_unstable();
    links
}

/// Column of a set.
fn list<R, T>(rows: &[R], column: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

//! Statements about persons in PostgreSQL.

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{Contest, Decision, NameSetId, SubjectId};
use sqlx::Error;

use super::copy::CopyRows;
use super::transaction::{COPY_ROWS, PostgresTransaction, list};
use crate::store::columns::{action, contest_kind, decision_columns};
use crate::store::person_statements::{NameRow, NameValue, PersonStatements, SetRow};
use crate::store::rows::{
    DecisionColumns, LinkColumns, NameColumns, SetColumns, decision_row, link_row, name_row,
    set_row,
};
use crate::store::sql::{ADD_ACTION, HAS_DECISIONS};

#[async_trait]
impl PersonStatements for PostgresTransaction<'_> {
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

    async fn names_of_subjects(
        &mut self,
        ids: &[SubjectId],
        limit: usize,
    ) -> Result<Vec<NameRow>, Error> {
        let rows: Vec<NameColumns> = sqlx::query_as(
            "SELECT p.value, p.scheme, p.suite, p.epoch, p.subject_id, p.apart
             FROM unnest($1::bigint[]) AS s (id)
             CROSS JOIN LATERAL (
                SELECT value, scheme, suite, epoch, subject_id, apart FROM pseudonym
                WHERE subject_id = s.id ORDER BY scheme <> 'snils' LIMIT $2
             ) AS p",
        )
        .bind(ids)
        .bind(limit.saturating_as::<i64>())
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(name_row).collect()
    }
}

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

//! Statements about persons in SQLite.

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use linking::{Contest, Decision, NameSetId, SubjectId};
use sqlx::Error;

use super::queries::{hex_list, id_list, json_list};
use super::transaction::{SqliteTransaction, time_text};
use crate::store::columns::{action, contest_kind, decision_columns};
use crate::store::person_statements::{NameRow, NameValue, PersonStatements, SetRow};
use crate::store::rows::{
    DecisionColumns, LinkColumns, NameColumns, SetColumns, decision_row, link_row, name_row,
    set_row,
};
use crate::store::sql::{ADD_ACTION, HAS_DECISIONS};

#[async_trait]
impl PersonStatements for SqliteTransaction {
    async fn lock_sets(&mut self, ids: &[NameSetId]) -> Result<Vec<SetRow>, Error> {
        let query = sqlx::query_as(SETS).bind(set_list(ids.iter()));
        let rows: Vec<SetColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(set_row).collect()
    }

    async fn change_sets(&mut self, changes: &[(NameSetId, i64)]) -> Result<(), Error> {
        let list = changes
            .iter()
            .map(|(id, change)| (hex::encode(id.0), change));
        self.write(CHANGE_SETS, json_list(list)).await.map(drop)
    }

    async fn add_sets(&mut self, sets: &[SetRow]) -> Result<u64, Error> {
        let list = sets.iter().map(|set| {
            let names = hex::encode(set.names.as_flattened());
            (hex::encode(set.id.0), set.records, names)
        });
        let added = self.write(ADD_SETS, json_list(list)).await?;
        self.write(ADD_LINKS, link_list(sets)).await?;
        Ok(added)
    }

    async fn remove_sets(&mut self, sets: &[SetRow]) -> Result<(), Error> {
        self.write(REMOVE_SETS, set_list(sets.iter().map(|set| &set.id)))
            .await?;
        self.write(REMOVE_LINKS, link_list(sets)).await.map(drop)
    }

    async fn names(&mut self, values: &[NameValue]) -> Result<Vec<NameRow>, Error> {
        let query = sqlx::query_as(NAMES).bind(hex_list(values));
        let rows: Vec<NameColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(name_row).collect()
    }

    async fn links(
        &mut self,
        values: &[NameValue],
        limit: usize,
    ) -> Result<Vec<(NameValue, NameSetId)>, Error> {
        let query = sqlx::query_as(LINKS)
            .bind(hex_list(values))
            .bind(limit.saturating_as::<i64>());
        let rows: Vec<LinkColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(link_row).collect()
    }

    async fn has_decisions(&mut self) -> Result<bool, Error> {
        let decided = sqlx::query_scalar(HAS_DECISIONS);
        decided.fetch_one(&mut *self.0).await
    }

    async fn decisions(&mut self, values: &[NameValue]) -> Result<Vec<Decision>, Error> {
        let query = sqlx::query_as(DECISIONS).bind(hex_list(values));
        let rows: Vec<DecisionColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(decision_row).collect()
    }

    async fn decide(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (one, other) = decision_columns(decision);
        let sql = if holds { DECIDE } else { TAKE_BACK };
        let query = sqlx::query(sql)
            .bind(one.to_vec())
            .bind(other.map(|other| other.to_vec()))
            .bind(time_text(now));
        Ok(query.execute(&mut *self.0).await?.rows_affected() > 0)
    }

    async fn add_action(
        &mut self,
        decision: Decision,
        holds: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let (one, other) = decision_columns(decision);
        sqlx::query(ADD_ACTION)
            .bind(time_text(now))
            .bind(action(decision, holds))
            .bind(one.to_vec())
            .bind(other.map(|other| other.to_vec()))
            .execute(&mut *self.0)
            .await
            .map(drop)
    }

    async fn lock_subjects(&mut self, _ids: &[SubjectId]) -> Result<(), Error> {
        Ok(())
    }

    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        self.write(ADD_SUBJECTS, id_list(ids)).await
    }

    async fn add_names(&mut self, rows: &[NameRow]) -> Result<u64, Error> {
        let list = rows.iter().map(|row| {
            (
                hex::encode(row.name.value),
                row.name.scheme.as_str(),
                row.name.suite.as_str(),
                row.name.epoch,
                row.subject,
                u8::from(row.apart),
            )
        });
        self.write(ADD_NAMES, json_list(list)).await
    }

    async fn change_names(&mut self, rows: &[NameRow]) -> Result<(), Error> {
        let list = rows.iter().map(|row| {
            (
                hex::encode(row.name.value),
                row.subject,
                u8::from(row.apart),
            )
        });
        self.write(CHANGE_NAMES, json_list(list)).await.map(drop)
    }

    async fn remove_names(&mut self, values: &[NameValue]) -> Result<(), Error> {
        self.write(REMOVE_NAMES, hex_list(values)).await?;
        self.write(REMOVE_CONTESTS, hex_list(values))
            .await
            .map(drop)
    }

    async fn remove_empty_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, Error> {
        self.write(REMOVE_EMPTY_SUBJECTS, id_list(ids)).await
    }

    async fn put_contests(
        &mut self,
        about: &[NameValue],
        contests: &[Contest],
        now: DateTime<Utc>,
    ) -> Result<u64, Error> {
        let list = json_list(
            contests
                .iter()
                .map(|contest| (hex::encode(contest.name), contest_kind(contest.kind))),
        );
        sqlx::query(SETTLE_CONTESTS)
            .bind(hex_list(about))
            .bind(&list)
            .execute(&mut *self.0)
            .await?;
        let add = sqlx::query(ADD_CONTESTS).bind(list).bind(time_text(now));
        Ok(add.execute(&mut *self.0).await?.rows_affected())
    }

    async fn names_of_subjects(
        &mut self,
        ids: &[SubjectId],
        limit: usize,
    ) -> Result<Vec<NameRow>, Error> {
        let query = sqlx::query_as(NAMES_OF_SUBJECTS)
            .bind(id_list(ids))
            .bind(limit.saturating_as::<i64>());
        let rows: Vec<NameColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(name_row).collect()
    }
}

const ADD_SUBJECTS: &str =
    "INSERT INTO subject (id) SELECT j.value FROM json_each($1) AS j WHERE true
    ON CONFLICT (id) DO NOTHING";
const SETS: &str = "SELECT id, records, names FROM name_set
    WHERE id IN (SELECT unhex(j.value) FROM json_each($1) AS j) ORDER BY id";
const CHANGE_SETS: &str = "UPDATE name_set SET records = records + c.change
    FROM (SELECT unhex(j.value ->> 0) AS id, j.value ->> 1 AS change FROM json_each($1) AS j) AS c
    WHERE name_set.id = c.id";
const ADD_SETS: &str = "INSERT INTO name_set (id, records, names)
    SELECT unhex(j.value ->> 0), j.value ->> 1, unhex(j.value ->> 2)
    FROM json_each($1) AS j WHERE true ON CONFLICT (id) DO NOTHING";
const ADD_LINKS: &str = "INSERT INTO link (pseudonym, name_set)
    SELECT unhex(j.value ->> 0), unhex(j.value ->> 1)
    FROM json_each($1) AS j WHERE true ON CONFLICT (pseudonym, name_set) DO NOTHING";
const REMOVE_SETS: &str =
    "DELETE FROM name_set WHERE id IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const REMOVE_LINKS: &str = "DELETE FROM link WHERE (pseudonym, name_set) IN
    (SELECT unhex(j.value ->> 0), unhex(j.value ->> 1) FROM json_each($1) AS j)";
const NAMES: &str = "SELECT value, scheme, suite, epoch, subject_id, apart FROM pseudonym
    WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const NAMES_OF_SUBJECTS: &str =
    "SELECT p.value, p.scheme, p.suite, p.epoch, p.subject_id, p.apart FROM json_each($1) AS j
    CROSS JOIN pseudonym AS p ON p.subject_id = j.value
    AND p.value IN (SELECT value FROM pseudonym WHERE subject_id = j.value
        ORDER BY scheme <> 'snils' LIMIT $2)";
const LINKS: &str = "SELECT l.pseudonym, l.name_set FROM json_each($1) AS j
    CROSS JOIN link AS l ON l.pseudonym = unhex(j.value)
    AND l.name_set IN (SELECT name_set FROM link WHERE pseudonym = unhex(j.value)
        ORDER BY name_set LIMIT $2)";
const DECISIONS: &str = "SELECT one, other FROM decision
    WHERE one IN (SELECT unhex(j.value) FROM json_each($1) AS j)
    UNION SELECT one, other FROM decision
    WHERE other IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const DECIDE: &str = "INSERT INTO decision (one, other, decided_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";
const TAKE_BACK: &str = "DELETE FROM decision WHERE one = $1 AND other IS $2";
const ADD_NAMES: &str = "INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id, apart)
    SELECT unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4,
        j.value ->> 5
    FROM json_each($1) AS j WHERE true ON CONFLICT (value) DO NOTHING";
const CHANGE_NAMES: &str = "UPDATE pseudonym SET subject_id = c.subject, apart = c.apart
    FROM (SELECT unhex(j.value ->> 0) AS value, j.value ->> 1 AS subject, j.value ->> 2 AS apart
        FROM json_each($1) AS j) AS c
    WHERE pseudonym.value = c.value";
const REMOVE_NAMES: &str =
    "DELETE FROM pseudonym WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const REMOVE_CONTESTS: &str =
    "DELETE FROM contest WHERE name IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const REMOVE_EMPTY_SUBJECTS: &str =
    "DELETE FROM subject WHERE id IN (SELECT j.value FROM json_each($1) AS j)
    AND NOT EXISTS (SELECT 1 FROM pseudonym WHERE subject_id = subject.id)";
const SETTLE_CONTESTS: &str = "DELETE FROM contest
    WHERE name IN (SELECT unhex(j.value) FROM json_each($1) AS j) AND (name, kind) NOT IN
        (SELECT unhex(j.value ->> 0), j.value ->> 1 FROM json_each($2) AS j)";
const ADD_CONTESTS: &str = "INSERT INTO contest (name, kind, first_seen_at)
    SELECT unhex(j.value ->> 0), j.value ->> 1, $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (name, kind) DO NOTHING";

/// JSON list of name sets' ids in hex.
fn set_list<'a>(ids: impl Iterator<Item = &'a NameSetId>) -> String {
    json_list(ids.map(|id| hex::encode(id.0)))
}

/// JSON list of the sets' links.
fn link_list(sets: &[SetRow]) -> String {
    let of_set = |set: &SetRow| {
        let id = hex::encode(set.id.0);
        let names = set.names.iter();
        names
            .map(|name| (hex::encode(name), id.clone()))
            .collect::<Vec<_>>()
    };
    json_list(sets.iter().flat_map(of_set))
}

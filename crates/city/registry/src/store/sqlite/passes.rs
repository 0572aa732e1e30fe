//! Statements about passes in SQLite.

use chrono::{DateTime, Utc};
use linking::SubjectId;
use sqlx::{Error, SqlitePool};

use super::queries::{hex_list, id_list, json_list};
use crate::store::marks::Mark;
use crate::store::passes::{PassCount, PassKey, key_column, numbers_before, passes};
use crate::store::person_statements::NameValue;
use crate::store::rows::digest;
use crate::store::sql::{
    ENDED_PASSES, IS_WATCHED, MARKS, NEXT_PUBLICATION, OPEN_NAMES, PRUNE_MARKS, PRUNE_PASSES,
    count_passes,
};

passes!(SqlitePool, hex_list, id_list);

const MARK_NAMES: &str = "INSERT INTO pass_mark (made_at, name)
    SELECT DISTINCT $2, unhex(j.value ->> 0) FROM json_each($1) AS j";
const COUNT_PASSES: &str = count_passes!(
    "SELECT unhex(j.value ->> 0), j.value ->> 1, j.value ->> 2, $2 FROM json_each($1) AS j
     WHERE true"
);
const END_PASSES: &str = "UPDATE pass_count SET ended = e.ended FROM (
        SELECT unhex(n.value) AS name, b.value AS begins_at, u.value AS ends_at, e.value AS ended
        FROM json_each($1) AS n JOIN json_each($2) AS b USING (key)
        JOIN json_each($3) AS u USING (key) JOIN json_each($4) AS e USING (key)
    ) AS e
    WHERE pass_count.name = e.name AND pass_count.begins_at = e.begins_at
        AND pass_count.ends_at = e.ends_at AND pass_count.ended < e.ended";
const OPEN_PASSES: &str = "SELECT name, begins_at, ends_at, issued, ended FROM pass_count
    WHERE name IN (SELECT unhex(j.value) FROM json_each($1) AS j) AND ends_at > $2
        AND ended < issued
    ORDER BY name, begins_at, ends_at";
const MARKED_NAMES: &str = "WITH present (value) AS (
        SELECT unhex(j.value) FROM json_each($1) AS j
        UNION SELECT n.value FROM json_each($1) AS j
        CROSS JOIN pseudonym AS m ON m.value = unhex(j.value)
        CROSS JOIN pseudonym AS n ON n.subject_id = m.subject_id
        UNION SELECT n.value FROM json_each($2) AS j
        CROSS JOIN pseudonym AS n ON n.subject_id = j.value
    ), counted (value) AS (
        SELECT value FROM present
        UNION SELECT f.former FROM present CROSS JOIN former_name AS f ON f.name = present.value
    )
    SELECT n.value FROM counted AS n
    WHERE EXISTS (SELECT 1 FROM pass_count AS c
        WHERE c.name = n.value AND c.ends_at > $3 AND c.ended < c.issued)
        OR EXISTS (SELECT 1 FROM certificate_count AS c
        WHERE c.name = n.value AND c.ends_at > $3 AND c.ended < c.issued)
    ORDER BY n.value";
const REMOVE_MARKS: &str =
    "DELETE FROM pass_mark WHERE id IN (SELECT j.value FROM json_each($1) AS j)";

/// Counts more passes of these windows and marks their names; returns how many each had before.
pub(super) async fn count_passes(
    pool: &SqlitePool,
    keys: &[PassKey],
    more: u32,
    now: DateTime<Utc>,
) -> Result<Vec<u32>, Error> {
    let list = json_list(
        keys.iter()
            .map(|key| (hex::encode(key.name), key.begins_at, key.ends_at)),
    );
    let mut transaction = pool.begin().await?;
    sqlx::query(MARK_NAMES)
        .bind(&list)
        .bind(now.timestamp())
        .execute(&mut *transaction)
        .await?;
    let counted: Vec<PassCount> = sqlx::query_as(COUNT_PASSES)
        .bind(list)
        .bind(i32::try_from(more).unwrap_or(i32::MAX))
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    numbers_before(keys, counted, more)
}

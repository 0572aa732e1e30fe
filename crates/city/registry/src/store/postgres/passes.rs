//! Statements about passes in PostgreSQL.

use chrono::{DateTime, Utc};
use linking::SubjectId;
use sqlx::{Error, PgPool};

use super::queries::array;
use crate::store::marks::Mark;
use crate::store::passes::{PassCount, PassKey, key_column, numbers_before, passes};
use crate::store::person_statements::NameValue;
use crate::store::rows::digest;
use crate::store::sql::{
    ENDED_PASSES, IS_WATCHED, MARKS, NEXT_PUBLICATION, OPEN_NAMES, PRUNE_MARKS, PRUNE_PASSES,
    count_passes,
};

passes!(PgPool, array, array);

/// Marks the names and counts the passes of windows, in the order of their keys, so that two that
/// count the same ones do not wait for each other in a circle.
const COUNT_PASSES: &str = concat!(
    "WITH counted AS (
        SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[])
            AS t (name, begins_at, ends_at)
    ), marked AS (
        INSERT INTO pass_mark (made_at, name) SELECT DISTINCT $5::bigint, name FROM counted
    ) ",
    count_passes!(
        "SELECT name, begins_at, ends_at, $4::int FROM counted ORDER BY name, begins_at, ends_at"
    )
);
/// Ends passes, in the same order.
const END_PASSES: &str = "UPDATE pass_count AS c SET ended = e.ended FROM (
        SELECT c.name, c.begins_at, c.ends_at, t.ended
        FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
            AS t (name, begins_at, ends_at, ended)
        JOIN pass_count AS c USING (name, begins_at, ends_at)
        ORDER BY c.name, c.begins_at, c.ends_at FOR NO KEY UPDATE OF c
    ) AS e
    WHERE c.name = e.name AND c.begins_at = e.begins_at AND c.ends_at = e.ends_at
        AND c.ended < e.ended";
const OPEN_PASSES: &str = "SELECT name, begins_at, ends_at, issued, ended FROM pass_count
    WHERE name = ANY($1) AND ends_at > $2 AND ended < issued ORDER BY name, begins_at, ends_at";
const MARKED_NAMES: &str = "WITH present (value) AS (
        SELECT unnest($1::bytea[])
        UNION SELECT n.value FROM pseudonym AS m JOIN pseudonym AS n USING (subject_id)
        WHERE m.value = ANY($1)
        UNION SELECT value FROM pseudonym WHERE subject_id = ANY($2)
    ), counted (value) AS (
        SELECT value FROM present
        UNION SELECT f.former FROM present JOIN former_name AS f ON f.name = present.value
    )
    SELECT n.value FROM counted AS n
    WHERE EXISTS (SELECT 1 FROM pass_count AS c
        WHERE c.name = n.value AND c.ends_at > $3 AND c.ended < c.issued)
        OR EXISTS (SELECT 1 FROM certificate_count AS c
        WHERE c.name = n.value AND c.ends_at > $3 AND c.ended < c.issued)
    ORDER BY n.value";
const REMOVE_MARKS: &str = "DELETE FROM pass_mark WHERE id = ANY($1)";

/// Counts more passes of these windows and marks their names; returns how many each had before.
pub(super) async fn count_passes(
    pool: &PgPool,
    keys: &[PassKey],
    more: u32,
    now: DateTime<Utc>,
) -> Result<Vec<u32>, Error> {
    let counted: Vec<PassCount> = sqlx::query_as(COUNT_PASSES)
        .bind(key_column(keys, |key| key.name))
        .bind(key_column(keys, |key| key.begins_at))
        .bind(key_column(keys, |key| key.ends_at))
        .bind(i32::try_from(more).unwrap_or(i32::MAX))
        .bind(now.timestamp())
        .fetch_all(pool)
        .await?;
    numbers_before(keys, counted, more)
}

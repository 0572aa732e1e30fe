//! Look-ups in SQLite. A set is bound as one JSON list.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, SqliteExecutor, SqlitePool};

use crate::store::asked::AskedPerson;
use crate::store::backend::MessageKey;
use crate::store::failures::failures;
use crate::store::held_facts::HeldFact;
use crate::store::lookups::lookups;
use crate::store::person_statements::NameValue;
use crate::store::rows::{
    FactRow, PseudonymColumns, SubjectColumns, VersionColumns, record_version, subject_pseudonym,
    value_subject,
};
use crate::store::sql::{
    ALL_FACTS, ALL_PSEUDONYMS, FAILURES, PRUNE_FAILURES, PUT_FAILURES, REMOVE_FAILURES,
    fact_columns, facts_of_pseudonyms, held_facts, is_doubt, select_facts,
};

lookups!(SqliteExecutor, hex_list, id_list);
failures!(SqlitePool);

const STORED: &str = "SELECT record, version, kind, status, content, owner, name_set, purged,
        expired
    FROM fact WHERE record IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym
    WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const SUBJECT_FACTS: &str = select_facts!(
    facts_of_pseudonyms!(),
    "WHERE p.subject_id IN (SELECT j.value FROM json_each($1) AS j)"
);
const HELD_FACTS: &str = held_facts!("IN (SELECT j.value FROM json_each($1) AS j)");
const SUBJECT_PSEUDONYMS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym
    WHERE subject_id IN (SELECT j.value FROM json_each($1) AS j)";

/// Person of the names `$1`, with at most `$2` facts (see PostgreSQL's).
const ASKED_PERSON: &str = concat!(
    "WITH given AS MATERIALIZED (
        SELECT j.key AS place, unhex(j.value) AS value FROM json_each($1) AS j
    ), person AS MATERIALIZED (
        SELECT min(g.place) AS place, coalesce(min(p.subject_id), -1) AS subject,
            coalesce(min(p.subject_id) < max(p.subject_id), FALSE) AS are_several
        FROM given AS g CROSS JOIN pseudonym AS p ON p.value = g.value
    )
    SELECT p.are_several
        OR EXISTS (SELECT 1 FROM pseudonym AS n CROSS JOIN contest AS c ON c.name = n.value
            WHERE n.subject_id = p.subject AND n.apart AND c.kind ",
    is_doubt!(),
    "), p.place, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM person AS p
    UNION ALL SELECT NULL, NULL, f.* FROM (
        SELECT ",
    fact_columns!(),
    " FROM person AS p CROSS JOIN pseudonym AS n ON n.subject_id = p.subject
        CROSS JOIN link AS l ON l.pseudonym = n.value
        CROSS JOIN name_set AS s ON s.id = l.name_set AND substr(s.names, 1, 32) = n.value
        CROSS JOIN fact AS f ON f.name_set = s.id LIMIT $2
    ) AS f"
);

/// Person of the names given, by one statement.
pub(super) async fn asked_person(
    pool: &SqlitePool,
    names: &[NameValue],
    most_facts: i64,
) -> Result<AskedPerson, Error> {
    let query = sqlx::query_as(ASKED_PERSON)
        .bind(hex_list(names))
        .bind(most_facts);
    AskedPerson::of_rows(query.fetch_all(pool).await?)
}

/// JSON list of ids.
pub(super) fn id_list(ids: &[SubjectId]) -> String {
    json_list(ids.iter())
}

/// JSON list of digests in hex.
pub(super) fn hex_list(values: &[[u8; 32]]) -> String {
    json_list(values.iter().map(hex::encode))
}

/// JSON list of rows; a row is a number, a text, or a list of them.
pub(super) fn json_list<T: serde::Serialize>(rows: impl Iterator<Item = T>) -> String {
    serde_json::to_string(&rows.collect::<Vec<T>>()).expect("text and numbers are always JSON")
}

//! Look-ups in PostgreSQL. A set is bound as an array.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, PgConnection, PgExecutor, PgPool};

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

lookups!(PgExecutor, array, array);
failures!(PgPool);

const STORED: &str = "SELECT record, version, kind, status, content, owner, name_set, purged,
        expired
    FROM fact WHERE record = ANY($1)";
const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym WHERE value = ANY($1)";
const SUBJECT_FACTS: &str = select_facts!(facts_of_pseudonyms!(), "WHERE p.subject_id = ANY($1)");
const HELD_FACTS: &str = held_facts!("= ANY($1)");
const SUBJECT_PSEUDONYMS: &str =
    "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym WHERE subject_id = ANY($1)";

/// Person of the names `$1`, with at most `$2` facts. The subject of whoever is unknown is -1,
/// whom the same indexes are asked for. A contested name is apart.
///
/// OFFSET 0 and LIMIT 1 keep the order of the joins as it is written, whatever the planner holds
/// for cheap while the tables are empty: from names to sets to facts, each by its index.
const ASKED_PERSON: &str = concat!(
    "SELECT p.are_several OR c.is_open IS NOT NULL, p.place, ",
    fact_columns!(),
    " FROM (
        SELECT min(array_position($1, value)) - 1 AS place,
            coalesce(min(subject_id), -1) AS subject,
            coalesce(min(subject_id) < max(subject_id), FALSE) AS are_several
        FROM pseudonym WHERE value = ANY($1)
    ) AS p
    LEFT JOIN LATERAL (
        SELECT TRUE AS is_open FROM pseudonym AS n CROSS JOIN LATERAL (
            SELECT FROM contest AS c WHERE c.name = n.value AND c.kind ",
    is_doubt!(),
    " LIMIT 1
        ) AS c
        WHERE n.subject_id = p.subject AND n.apart LIMIT 1
    ) AS c ON TRUE
    LEFT JOIN LATERAL (
        SELECT f.* FROM pseudonym AS n
        CROSS JOIN LATERAL (
            SELECT name_set FROM link WHERE pseudonym = n.value OFFSET 0
        ) AS l
        CROSS JOIN LATERAL (
            SELECT FROM name_set WHERE id = l.name_set AND substr(names, 1, 32) = n.value OFFSET 0
        ) AS s
        CROSS JOIN LATERAL (
            SELECT ",
    fact_columns!(),
    " FROM fact AS f WHERE f.name_set = l.name_set OFFSET 0
        ) AS f
        WHERE n.subject_id = p.subject LIMIT $2
    ) AS f ON TRUE"
);

/// Person of the names given, by one statement.
pub(super) async fn asked_person(
    connection: &mut PgConnection,
    names: &[NameValue],
    most_facts: i64,
) -> Result<AskedPerson, Error> {
    let query = sqlx::query_as(ASKED_PERSON).bind(names).bind(most_facts);
    AskedPerson::of_rows(query.fetch_all(connection).await?)
}

/// Set as it is: the driver binds a slice as an array.
pub(super) fn array<T>(values: &[T]) -> &[T] {
    values
}

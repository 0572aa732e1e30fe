//! Look-ups in PostgreSQL. A set is bound as an array.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, PgConnection, PgExecutor, PgPool};

use crate::store::asked::AskedPerson;
use crate::store::backend::MessageKey;
use crate::store::failures::failures;
use crate::store::lookups::lookups;
use crate::store::person_statements::NameValue;
use crate::store::rows::{
    FactRow, PseudonymColumns, SubjectColumns, VersionColumns, record_version, subject_pseudonym,
    value_subject,
};
use crate::store::sql::{
    ALL_FACTS, ALL_PSEUDONYMS, FAILURES, PRUNE_FAILURES, PUT_FAILURES, REMOVE_FAILURES,
    fact_columns, facts_of_pseudonyms, is_doubt, select_facts,
};

lookups!(PgExecutor, array, array);
failures!(PgPool);

const STORED: &str = "SELECT record, version, kind, status, content, owner, name_set FROM fact
    WHERE record = ANY($1)";
const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym WHERE value = ANY($1)";
const SUBJECT_FACTS: &str = select_facts!(facts_of_pseudonyms!(), "WHERE p.subject_id = ANY($1)");
const SUBJECT_PSEUDONYMS: &str =
    "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym WHERE subject_id = ANY($1)";

/// Person of the names `$1`, with at most `$2` facts. Whether a name is contested is asked for all
/// names of the subject; for nobody's where none is stored, by the same probes.
const ASKED_PERSON: &str = concat!(
    "SELECT p.are_several OR c.name IS NOT NULL, p.place, ",
    fact_columns!(),
    " FROM (
        SELECT min(array_position($1, value)) - 1 AS place,
            coalesce(min(subject_id), -1) AS subject,
            coalesce(min(subject_id) < max(subject_id), FALSE) AS are_several
        FROM pseudonym WHERE value = ANY($1)
    ) AS p
    LEFT JOIN LATERAL (
        SELECT c.name FROM contest AS c WHERE c.name = ANY($1) AND c.kind ",
    is_doubt!(),
    " UNION ALL
        SELECT c.name FROM pseudonym AS n JOIN contest AS c ON c.name = n.value
        WHERE n.subject_id = p.subject AND c.kind ",
    is_doubt!(),
    " LIMIT 1
    ) AS c ON TRUE
    LEFT JOIN LATERAL (
        SELECT ",
    fact_columns!(),
    " FROM pseudonym AS n
        JOIN link AS l ON l.pseudonym = n.value
        JOIN name_set AS s ON s.id = l.name_set AND substr(s.names, 1, 32) = n.value
        JOIN fact AS f ON f.name_set = s.id
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

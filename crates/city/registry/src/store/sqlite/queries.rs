//! Look-ups in SQLite. A set is bound as one JSON list.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, SqliteExecutor, SqlitePool};

use crate::store::backend::MessageKey;
use crate::store::failures::failures;
use crate::store::lookups::lookups;
use crate::store::passes::{PassCount, PassKey, passes};
use crate::store::rows::{
    FactRow, PseudonymColumns, SubjectColumns, VersionColumns, record_version, subject_pseudonym,
    value_subject,
};
use crate::store::sql::{
    ALL_FACTS, ALL_PSEUDONYMS, COUNT_PASSES, END_PASSES, FAILURES, IS_CONTESTED, NEXT_PUBLICATION,
    OPEN_PASSES, PRUNE_FAILURES, PRUNE_PASSES, PUT_FAILURES, REMOVE_FAILURES, facts_of_pseudonyms,
    select_facts,
};

lookups!(SqliteExecutor, hex_list, id_list);
failures!(SqlitePool);
passes!(SqlitePool);

const STORED: &str = "SELECT record, version, kind, status, content, owner, name_set FROM fact
    WHERE record IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym
    WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const SUBJECT_FACTS: &str = select_facts!(
    facts_of_pseudonyms!(),
    "WHERE p.subject_id IN (SELECT j.value FROM json_each($1) AS j)"
);
const SUBJECT_PSEUDONYMS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym
    WHERE subject_id IN (SELECT j.value FROM json_each($1) AS j)";

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

//! Look-ups in PostgreSQL. A set is bound as an array.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, StoredRecord, StoredVersion, SubjectId};
use sqlx::{Error, PgExecutor, PgPool};

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

lookups!(PgExecutor, array, array);
failures!(PgPool);
passes!(PgPool);

const STORED: &str = "SELECT record, version, kind, status, content, owner, name_set FROM fact
    WHERE record = ANY($1)";
const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym WHERE value = ANY($1)";
const SUBJECT_FACTS: &str = select_facts!(facts_of_pseudonyms!(), "WHERE p.subject_id = ANY($1)");
const SUBJECT_PSEUDONYMS: &str =
    "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym WHERE subject_id = ANY($1)";

/// Set as it is: the driver binds a slice as an array.
fn array<T>(values: &[T]) -> &[T] {
    values
}

//! What a page of whole rows brings along in a sweep: names of records and of dead letters that
//! lack theirs.

use contract::RecordDigest;
use sqlx::sqlite::SqlitePool;

use crate::dead_letters;
use crate::file::{OutboxError, side_by_side};
use crate::page::PageCommit;
use crate::records::{KnownRecord, RecordMap, RecordName, without_names};

/// Names that a page of whole rows has, and that are not stored yet.
#[derive(Debug, Default)]
pub(crate) struct NamesLacking {
    /// Names of asserted records, with the records' numbers.
    pub(crate) of_records: Vec<(i64, RecordName)>,
    /// Record ids for dead letters of the registry.
    pub(crate) of_letters: Vec<(RecordDigest, String)>,
}

impl NamesLacking {
    /// Finds them for a page of a content sweep; none for any other page.
    pub(crate) async fn find(
        pool: &SqlitePool,
        page: &PageCommit,
        known: &RecordMap<KnownRecord>,
    ) -> Result<Self, OutboxError> {
        if !page.reads_contents() {
            return Ok(Self::default());
        }
        let asserted = known.values().filter(|known| known.is_asserted());
        let asserted: Vec<i64> = asserted.map(|known| known.record_no).collect();
        let without = without_names(pool, &asserted).await?;
        let digests = named_rows(page).map(|(record, _)| record);
        let letters = dead_letters::unnamed(pool, side_by_side(digests)).await?;
        let mut lacking = Self::default();
        if without.is_empty() && letters.is_empty() {
            return Ok(lacking);
        }
        for (record, record_id) in named_rows(page) {
            if letters.contains(record) {
                lacking.of_letters.push((*record, record_id.clone()));
            }
            let lacks = known
                .get(record)
                .filter(|known| without.contains(&known.record_no));
            lacking.of_records.extend(lacks.map(|known| {
                let record = *record;
                let record_id = record_id.clone();
                (known.record_no, RecordName { record, record_id })
            }));
        }
        Ok(lacking)
    }
}

/// Records of a page with the clinic's own ids, the refused ones as well.
fn named_rows(page: &PageCommit) -> impl Iterator<Item = (&RecordDigest, &String)> {
    let named = page
        .names
        .iter()
        .map(|name| (&name.record, &name.record_id));
    let refused = page.refused.iter().map(|row| (&row.record, &row.record_id));
    named.chain(refused)
}

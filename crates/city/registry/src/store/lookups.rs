//! Look-ups that both kinds of database have, on a pool or within a transaction.

/// Makes the look-ups of one kind of database. `$executor` is the driver's trait; `$digests` and
/// `$ids` make a set into what the statements bind. The module has the statements, and imports the
/// types and the functions that read rows.
macro_rules! lookups {
    ($executor:ident, $digests:ident, $ids:ident) => {
        /// Versions of those records that are stored.
        pub(super) async fn stored<'e>(
            executor: impl $executor<'e>,
            records: &[StoredRecord],
        ) -> Result<HashMap<StoredRecord, StoredVersion>, Error> {
            let query = sqlx::query_as(STORED).bind($digests(records));
            let rows: Vec<VersionColumns> = query.fetch_all(executor).await?;
            rows.into_iter().map(record_version).collect()
        }

        /// Subjects of those pseudonyms that are stored.
        pub(super) async fn subjects_of<'e>(
            executor: impl $executor<'e>,
            values: &[[u8; 32]],
        ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
            let query = sqlx::query_as(SUBJECTS_OF).bind($digests(values));
            let rows: Vec<SubjectColumns> = query.fetch_all(executor).await?;
            rows.into_iter().map(value_subject).collect()
        }

        /// Facts of `subjects`, or all, sorted by record.
        pub(super) async fn facts<'e>(
            executor: impl $executor<'e>,
            subjects: Option<&[SubjectId]>,
        ) -> Result<Vec<FactRow>, Error> {
            let query = match subjects {
                None => sqlx::query_as(ALL_FACTS),
                Some(ids) => sqlx::query_as(SUBJECT_FACTS).bind($ids(ids)),
            };
            query.fetch_all(executor).await
        }

        /// Facts of the subjects with their sets of names, sorted by subject.
        pub(super) async fn held_facts<'e>(
            executor: impl $executor<'e>,
            subjects: &[SubjectId],
        ) -> Result<Vec<HeldFact>, Error> {
            let query = sqlx::query_as(HELD_FACTS).bind($ids(subjects));
            query.fetch_all(executor).await
        }

        /// Pseudonyms of `subjects`, or all.
        pub(super) async fn pseudonyms<'e>(
            executor: impl $executor<'e>,
            subjects: Option<&[SubjectId]>,
        ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
            let query = match subjects {
                None => sqlx::query_as(ALL_PSEUDONYMS),
                Some(ids) => sqlx::query_as(SUBJECT_PSEUDONYMS).bind($ids(ids)),
            };
            let rows: Vec<PseudonymColumns> = query.fetch_all(executor).await?;
            rows.into_iter().map(subject_pseudonym).collect()
        }
    };
}
pub(super) use lookups;

//! SQL of the statements about names that follow a new key, and their implementation within a
//! writing transaction, for both kinds of database.

pub(in crate::store) const REKEYING: &str =
    "SELECT to_epoch, check_value, finished_at IS NOT NULL FROM rekeying WHERE from_epoch = $1";
pub(in crate::store) const UNFINISHED: &str =
    "SELECT from_epoch FROM rekeying WHERE finished_at IS NULL ORDER BY from_epoch";
pub(in crate::store) const FINISHED: &str =
    "SELECT from_epoch FROM rekeying WHERE finished_at IS NOT NULL ORDER BY from_epoch";
pub(in crate::store) const BEGIN: &str =
    "INSERT INTO rekeying (from_epoch, to_epoch, check_value) VALUES ($1, $2, $3)";
pub(in crate::store) const FINISH: &str =
    "UPDATE rekeying SET finished_at = $2 WHERE from_epoch = $1";
pub(in crate::store) const NAMES_TO_REKEY: &str = "SELECT value, scheme FROM (
        SELECT value, scheme FROM pseudonym AS p
        WHERE suite = 'voprf' AND epoch = $1 AND value > $2
            AND NOT EXISTS (SELECT 1 FROM rekeyed_name AS m WHERE m.value = p.value)
        ORDER BY value LIMIT $3) AS a
    UNION SELECT value, scheme FROM (
        SELECT value, scheme FROM decided_name AS d
        WHERE suite = 'voprf' AND epoch = $1 AND value > $2
            AND NOT EXISTS (SELECT 1 FROM rekeyed_name AS m WHERE m.value = d.value)
        ORDER BY value LIMIT $3) AS b
    ORDER BY value LIMIT $3";
pub(in crate::store) const SETS_AFTER: &str =
    "SELECT id, records, names FROM name_set WHERE id > $1 ORDER BY id LIMIT $2";
pub(in crate::store) const NAMES_TO_JUDGE: &str = "SELECT DISTINCT m.rekeyed
    FROM rekeyed_name AS m JOIN pseudonym AS p ON p.value = m.value
    WHERE p.apart OR EXISTS (SELECT 1 FROM pseudonym AS q WHERE q.value = m.rekeyed)
        OR EXISTS (SELECT 1 FROM pseudonym AS q WHERE q.subject_id = p.subject_id
            AND q.suite = 'voprf' AND q.epoch = $1)
    ORDER BY 1";
pub(in crate::store) const ALL_DECISIONS: &str = "SELECT one, other FROM decision";
pub(in crate::store) const RENAME_DECISION: &str = "UPDATE decision SET one = $3, other = $4
    WHERE one = $1 AND other IS NOT DISTINCT FROM $2";
pub(in crate::store) const ADD_DECIDED_NAME: &str =
    "INSERT INTO decided_name (value, scheme, suite, epoch) VALUES ($1, $2, $3, $4)
    ON CONFLICT (value) DO NOTHING";

/// Renames what is kept about names, in this order; a row that is there already under the new name
/// takes the place of the old one.
pub(in crate::store) const RENAME: [&str; 9] = [
    "DELETE FROM contest WHERE EXISTS (SELECT 1 FROM rekeyed_name AS m
        JOIN contest AS c ON c.name = m.rekeyed
        WHERE m.value = contest.name AND c.kind = contest.kind)",
    "UPDATE contest SET name = m.rekeyed FROM rekeyed_name AS m WHERE m.value = contest.name",
    "UPDATE operator_action SET one = m.rekeyed FROM rekeyed_name AS m
        WHERE m.value = operator_action.one",
    "UPDATE operator_action SET other = m.rekeyed FROM rekeyed_name AS m
        WHERE m.value = operator_action.other",
    "UPDATE former_name SET name = m.rekeyed FROM rekeyed_name AS m
        WHERE m.value = former_name.name",
    "DELETE FROM decided_name WHERE EXISTS (SELECT 1 FROM rekeyed_name AS m
        JOIN decided_name AS d ON d.value = m.rekeyed WHERE m.value = decided_name.value)",
    "DELETE FROM pseudonym WHERE EXISTS (SELECT 1 FROM rekeyed_name AS m
        JOIN pseudonym AS q ON q.value = m.rekeyed WHERE m.value = pseudonym.value)",
    "DELETE FROM subject WHERE NOT EXISTS
        (SELECT 1 FROM pseudonym WHERE pseudonym.subject_id = subject.id)",
    // Whoever issues passes has to look at everything now.
    "DELETE FROM pass_watch",
];

/// Renames names to their new epoch, `$1`.
pub(in crate::store) const RENAME_TO: [&str; 2] = [
    "UPDATE decided_name SET value = m.rekeyed, epoch = $1 FROM rekeyed_name AS m
        WHERE m.value = decided_name.value",
    "UPDATE pseudonym SET value = m.rekeyed, epoch = $1 FROM rekeyed_name AS m
        WHERE m.value = pseudonym.value",
];

/// Keeps what names were called, as of `$1`: a pass may just be issued under any of them.
pub(in crate::store) const KEEP_FORMER: &str = "INSERT INTO former_name (former, name, made_at)
    SELECT value, rekeyed, $1 FROM rekeyed_name WHERE true ON CONFLICT (former) DO NOTHING";

pub(in crate::store) const FORGET: &str = "DELETE FROM rekeyed_name";

/// Implements [`RekeyStatements`] for a transaction whose connection `$connection` is. The other
/// arguments are what the kinds of database do in different ways.
macro_rules! rekey_statements {
    (
        $transaction:ty, $connection:tt,
        preparations: $preparations:expr,
        rekeyed: $rekeyed:expr, $digests:path,
        add_rekeyed: $add_rekeyed:path,
        move_facts: $move_facts:path $(,)?
    ) => {
        #[async_trait]
        impl $crate::store::rekey::RekeyStatements for $transaction {
            async fn prepare_for_whole_tables(&mut self) -> Result<(), Error> {
                for sql in $preparations {
                    sqlx::query(sql).execute(&mut *self.$connection).await?;
                }
                Ok(())
            }

            async fn rekeying(
                &mut self,
                from: contract::Epoch,
            ) -> Result<Option<$crate::store::rekey::RekeyingRow>, Error> {
                let query = sqlx::query_as($crate::store::rekey::statements::REKEYING);
                let row: Option<(i32, Vec<u8>, bool)> = query
                    .bind(i32::from(from))
                    .fetch_optional(&mut *self.$connection)
                    .await?;
                row.map($crate::store::rekey::rekeying_row).transpose()
            }

            async fn unfinished_rekeyings(&mut self) -> Result<Vec<contract::Epoch>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::statements::UNFINISHED);
                let epochs: Vec<i32> = query.fetch_all(&mut *self.$connection).await?;
                epochs
                    .into_iter()
                    .map($crate::store::rekey::epoch)
                    .collect()
            }

            async fn rekeyed_epochs(&mut self) -> Result<Vec<contract::Epoch>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::statements::FINISHED);
                let epochs: Vec<i32> = query.fetch_all(&mut *self.$connection).await?;
                epochs
                    .into_iter()
                    .map($crate::store::rekey::epoch)
                    .collect()
            }

            async fn begin_rekeying(
                &mut self,
                from: contract::Epoch,
                to: contract::Epoch,
                check: &[u8; 32],
            ) -> Result<(), Error> {
                sqlx::query($crate::store::rekey::statements::BEGIN)
                    .bind(i32::from(from))
                    .bind(i32::from(to))
                    .bind(&check[..])
                    .execute(&mut *self.$connection)
                    .await
                    .map(drop)
            }

            async fn finish_rekeying(
                &mut self,
                from: contract::Epoch,
                now: DateTime<Utc>,
            ) -> Result<(), Error> {
                sqlx::query($crate::store::rekey::statements::FINISH)
                    .bind(i32::from(from))
                    .bind(now.timestamp())
                    .execute(&mut *self.$connection)
                    .await
                    .map(drop)
            }

            async fn names_to_rekey(
                &mut self,
                from: contract::Epoch,
                after: &[u8],
                limit: i64,
            ) -> Result<Vec<(NameValue, contract::Scheme)>, Error> {
                let query = sqlx::query_as($crate::store::rekey::statements::NAMES_TO_REKEY);
                let rows: Vec<(Vec<u8>, String)> = query
                    .bind(i32::from(from))
                    .bind(after)
                    .bind(limit)
                    .fetch_all(&mut *self.$connection)
                    .await?;
                rows.into_iter()
                    .map($crate::store::rekey::scheme_row)
                    .collect()
            }

            async fn add_rekeyed(&mut self, names: &[(NameValue, NameValue)]) -> Result<(), Error> {
                $add_rekeyed(self, names).await
            }

            async fn rekeyed(
                &mut self,
                values: &[NameValue],
            ) -> Result<Vec<(NameValue, NameValue)>, Error> {
                let query = sqlx::query_as($rekeyed).bind($digests(values));
                let rows: Vec<(Vec<u8>, Vec<u8>)> = query.fetch_all(&mut *self.$connection).await?;
                rows.into_iter()
                    .map($crate::store::rekey::pair_row)
                    .collect()
            }

            async fn sets_after(
                &mut self,
                id: &[u8],
                limit: i64,
            ) -> Result<Vec<$crate::store::person_statements::SetRow>, Error> {
                let query = sqlx::query_as($crate::store::rekey::statements::SETS_AFTER);
                let rows: Vec<$crate::store::rows::SetColumns> = query
                    .bind(id)
                    .bind(limit)
                    .fetch_all(&mut *self.$connection)
                    .await?;
                rows.into_iter().map($crate::store::rows::set_row).collect()
            }

            async fn move_facts(
                &mut self,
                moves: &[(linking::NameSetId, linking::NameSetId)],
            ) -> Result<(), Error> {
                $move_facts(self, moves).await
            }

            async fn names_to_judge(
                &mut self,
                to: contract::Epoch,
            ) -> Result<Vec<NameValue>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::statements::NAMES_TO_JUDGE);
                let names: Vec<Vec<u8>> = query
                    .bind(i32::from(to))
                    .fetch_all(&mut *self.$connection)
                    .await?;
                names
                    .iter()
                    .map(|name| $crate::store::rows::digest(name))
                    .collect()
            }

            async fn all_decisions(&mut self) -> Result<Vec<linking::Decision>, Error> {
                let query = sqlx::query_as($crate::store::rekey::statements::ALL_DECISIONS);
                let rows: Vec<$crate::store::rows::DecisionColumns> =
                    query.fetch_all(&mut *self.$connection).await?;
                rows.into_iter()
                    .map($crate::store::rows::decision_row)
                    .collect()
            }

            async fn rename_decision(
                &mut self,
                old: linking::Decision,
                new: linking::Decision,
            ) -> Result<(), Error> {
                let (one, other) = $crate::store::columns::decision_columns(old);
                let (new_one, new_other) = $crate::store::columns::decision_columns(new);
                sqlx::query($crate::store::rekey::statements::RENAME_DECISION)
                    .bind(one.to_vec())
                    .bind(other.map(|other| other.to_vec()))
                    .bind(new_one.to_vec())
                    .bind(new_other.map(|other| other.to_vec()))
                    .execute(&mut *self.$connection)
                    .await
                    .map(drop)
            }

            async fn add_decided_names(
                &mut self,
                names: &[linking::CityPseudonym],
            ) -> Result<(), Error> {
                for name in names {
                    sqlx::query($crate::store::rekey::statements::ADD_DECIDED_NAME)
                        .bind(name.value.to_vec())
                        .bind(name.scheme.as_str())
                        .bind(name.suite.as_str())
                        .bind(i32::from(name.epoch))
                        .execute(&mut *self.$connection)
                        .await?;
                }
                Ok(())
            }

            async fn rename_all(
                &mut self,
                to: contract::Epoch,
                now: DateTime<Utc>,
            ) -> Result<(), Error> {
                for sql in $crate::store::rekey::statements::RENAME {
                    sqlx::query(sql).execute(&mut *self.$connection).await?;
                }
                for sql in $crate::store::rekey::statements::RENAME_TO {
                    let rename = sqlx::query(sql).bind(i32::from(to));
                    rename.execute(&mut *self.$connection).await?;
                }
                let keep = sqlx::query($crate::store::rekey::statements::KEEP_FORMER);
                keep.bind(now.timestamp())
                    .execute(&mut *self.$connection)
                    .await?;
                sqlx::query($crate::store::rekey::statements::FORGET)
                    .execute(&mut *self.$connection)
                    .await
                    .map(drop)
            }
        }
    };
}
pub(in crate::store) use rekey_statements;

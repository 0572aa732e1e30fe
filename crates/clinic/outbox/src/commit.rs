//! One page: everything of it committed in one transaction.

use std::sync::Arc;

use contract::FactKind;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

use crate::connect::WriteTransaction;
use crate::gate::Turn;
use crate::outbox::Inner;
use crate::plan::Plan;
use crate::prepare::{NotCommitted, Prepared};
use crate::records;
use crate::sealing::Sealed;
use crate::time::to_ms;
use crate::{Committed, OutboxError, PageCommit, letters, sweep};

/// Most batches written by one statement, whose parameters are copies of their bytes.
const MAX_STATEMENT_BATCHES: usize = 8;

impl Inner {
    /// In one turn from look-up to commit: pages are committed in the order in which they came.
    pub(crate) async fn commit_page(&self, page: PageCommit) -> Result<Committed, OutboxError> {
        let mut turn = self.gate.lock_for_records().await;
        self.refuse_page_if_full(&turn).await?;
        let prepared = self.prepare(page).await?;
        self.write(&mut turn, &prepared).await
    }

    pub(crate) async fn commit(&self, mut prepared: Prepared) -> Result<Committed, NotCommitted> {
        let mut turn = self.gate.lock_for_records().await;
        let refused = self.refuse_page_if_full(&turn).await;
        let stale = match refused {
            Ok(()) => self.is_stale(&turn, &prepared).await,
            Err(full) => Err(full),
        };
        match stale {
            Ok(false) => {}
            Ok(true) => prepared = self.prepare_anew(prepared).await?,
            Err(error) => {
                return Err(NotCommitted {
                    error,
                    prepared: Some(Box::new(prepared)),
                });
            }
        }
        let written = self.write(&mut turn, &prepared).await;
        written.map_err(|error| NotCommitted {
            error,
            prepared: Some(Box::new(prepared)),
        })
    }

    /// Writes a page down that rests on what is there now.
    async fn write(
        &self,
        turn: &mut Turn<'_>,
        prepared: &Prepared,
    ) -> Result<Committed, OutboxError> {
        let Prepared {
            page,
            kind,
            fallen,
            work,
        } = prepared;
        let mut counts = work.plan.counts;
        counts.unchanged += fallen;
        counts.batches = work.sealed.len() as u64;
        if page.sweep.is_none() {
            counts.missed = 0;
        }
        // Said before anything is done: the turn may end anywhere.
        let added_bytes: usize = work
            .sealed
            .iter()
            .map(|sealed| sealed.batch.bytes.len())
            .sum();
        turn.changing(work.plan.changed.clone(), added_bytes as u64);
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        let feed_id = enter_feed(connection, page, *kind)
            .await
            .map_err(OutboxError::database)?;
        // New rows are only those that no other page has numbered since the look-up: `store`
        // refuses them otherwise.
        let rows = &work.plan.rows;
        let feed = Some(feed_id);
        let numbered = records::store(connection, rows, feed, work.upto, &self.index).await?;
        self.index.spill(connection, &numbered).await?;
        records::store_moved(connection, &work.plan.moved, feed_id).await?;
        store(
            connection,
            page,
            feed_id,
            &work.plan,
            &work.sealed,
            &mut counts,
        )
        .await
        .map_err(OutboxError::database)?;
        sweep::note(
            connection,
            feed_id,
            page.sweep.as_ref(),
            &work.known,
            counts.missed,
        )
        .await?;
        let risen = page
            .read_in
            .is_some_and(|read_in| read_in < work.generation);
        let resume = page.resume.as_ref().filter(|_| !risen);
        store_progress(connection, page, feed_id, resume, &counts)
            .await
            .map_err(OutboxError::database)?;
        self.commit_versions(transaction, !work.sealed.is_empty())
            .await?;
        self.index.learn(&numbered).await;
        Ok(counts)
    }

    /// Refuses a page while the outbox is full. Batches are counted only when they may have become
    /// too many: a count looks at each of them.
    async fn refuse_page_if_full(&self, turn: &Turn<'_>) -> Result<(), OutboxError> {
        if self.has_room_for_sure() {
            return Ok(());
        }
        let kept_bytes = self.reader.backlog().await?.bytes;
        turn.counted(kept_bytes);
        self.full_at(kept_bytes)
    }

    pub(crate) fn has_room_for_sure(&self) -> bool {
        self.gate
            .kept_at_most_bytes()
            .is_some_and(|bytes| bytes < self.options.max_bytes)
    }

    pub(crate) async fn refuse_if_full(&self) -> Result<(), OutboxError> {
        self.full_at(self.reader.backlog().await?.bytes)
    }

    fn full_at(&self, pending_bytes: u64) -> Result<(), OutboxError> {
        let max_bytes = self.options.max_bytes;
        if pending_bytes < max_bytes {
            Ok(())
        } else {
            Err(OutboxError::Full {
                pending_bytes,
                max_bytes,
            })
        }
    }

    /// Commits; if versions were given out the mark moves before anybody else may write, or lease a
    /// batch of them.
    pub(crate) async fn commit_versions(
        &self,
        mut transaction: WriteTransaction<'_>,
        given_out: bool,
    ) -> Result<(), OutboxError> {
        let mut moved = None;
        if given_out {
            let stamp: i64 =
                sqlx::query_scalar("UPDATE meta SET stamp = stamp + 1 RETURNING stamp")
                    .fetch_one(transaction.connection())
                    .await
                    .map_err(OutboxError::database)?;
            moved = Some(stamp.unsigned_abs());
        }
        fault::check::<OutboxError>(fault::Point::OutboxStored)?;
        let writer = transaction.commit_and_hold().await?;
        fault::check::<OutboxError>(fault::Point::OutboxCommitted)?;
        if let Some(stamp) = moved {
            let mark = Arc::clone(&self.mark);
            let generation = self.generation();
            spawn_blocking(move || mark.set(generation, stamp))
                .await
                .map_err(OutboxError::unfinished)??;
        }
        drop(writer);
        fault::check::<OutboxError>(fault::Point::OutboxMarked)
    }
}

/// The feed's row, made at its first page; a page with drafts tells which kind of fact the feed
/// holds.
async fn enter_feed(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    kind: Option<FactKind>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO feed (source, feed, kind) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET kind = coalesce(?3, kind) RETURNING id",
    )
    .bind(&page.source)
    .bind(&page.feed)
    .bind(kind.map(FactKind::as_str))
    .fetch_one(connection)
    .await
}

/// Writes the page's batches and dead letters, and counts the latter.
async fn store(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
    plan: &Plan,
    sealed: &[Sealed],
    counts: &mut Committed,
) -> Result<(), sqlx::Error> {
    store_batches(connection, sealed, to_ms(page.now)).await?;
    let sent = plan
        .rows
        .iter()
        .filter(|row| row.version.count > 0)
        .map(|row| &row.record);
    letters::close_of_registry(connection, sent).await?;
    counts.refused_new = letters::open_refused(connection, page, feed_id).await?;
    counts.cleared = letters::close_accepted(connection, page, feed_id).await?;
    Ok(())
}

/// Writes batches down in their order, in few statements: each is a wait for SQLite's thread, most
/// of it for its turn on a processor.
pub(crate) async fn store_batches(
    connection: &mut SqliteConnection,
    sealed: &[Sealed],
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for sealed in sealed.chunks(MAX_STATEMENT_BATCHES) {
        let mut batches = QueryBuilder::new(
            "INSERT INTO batch \
             (batch_id, sealed_bytes, event_count, created_at_ms, answer_key, kind, \
             reconciliation_id) ",
        );
        batches.push_values(
            sealed,
            |mut row,
             Sealed {
                 batch,
                 answer_key,
                 event_count,
                 reconciliation_id,
             }| {
                row.push_bind(batch.id.0.as_slice())
                    .push_bind(i64::try_from(batch.bytes.len()).unwrap_or(i64::MAX))
                    .push_bind(event_count)
                    .push_bind(now_ms)
                    .push_bind(answer_key.expose().as_slice())
                    .push_bind(if reconciliation_id.is_none() {
                        "events"
                    } else {
                        "probe"
                    })
                    .push_bind(reconciliation_id);
            },
        );
        batches.build().execute(&mut *connection).await?;
        let mut bytes = QueryBuilder::new("INSERT INTO sealed (seq, bytes) ");
        bytes.push_values(sealed, |mut row, Sealed { batch, .. }| {
            row.push("(SELECT seq FROM batch WHERE batch_id = ")
                .push_bind_unseparated(batch.id.0.as_slice())
                .push_unseparated(")")
                .push_bind(batch.bytes.as_slice());
        });
        bytes.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn store_progress(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
    resume: Option<&String>,
    done: &Committed,
) -> Result<(), sqlx::Error> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE feed SET cursor = coalesce(?2, cursor), pulled_at_ms = ?3, new_total = new_total \
         + ?4, \
         corrected_total = corrected_total + ?5, withdrawn_total = withdrawn_total + ?6, \
         resent_total = resent_total + ?7, unchanged_total = unchanged_total + ?8, \
         refused_total = refused_total + ?9 WHERE id = ?1",
    )
    .bind(feed_id)
    .bind(resume)
    .bind(to_ms(page.now))
    .bind(number(done.new))
    .bind(number(done.corrected))
    .bind(number(done.withdrawn))
    .bind(number(done.resent))
    .bind(number(done.unchanged))
    .bind(number(done.refused_new))
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{Body, ContentDigest, Draft, PrivateKey, RecordDigest};

    use super::*;
    use crate::{Outbox, OutboxOptions, Pulled};

    #[tokio::test]
    async fn full_disk_is_told_and_the_page_goes_through_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let now = DateTime::UNIX_EPOCH;
        let key = PrivateKey::generate();
        let options = OutboxOptions::new(key.public(), "test");
        let outbox = Outbox::open(&folder.path().join("outbox.db"), options, now)
            .await
            .unwrap();
        let draft = |record: u8| {
            let body = Body::Withdrawn {
                kind: FactKind::Test,
            };
            let record = RecordDigest([record; 32]);
            let content = ContentDigest([0; 16]);
            Pulled {
                draft: Draft {
                    record,
                    content,
                    body,
                    only_if_sent: false,
                },
                stamp: None,
            }
        };
        let refused = Vec::new();
        let accepted_record_ids = Vec::new();
        let source = "mis".into();
        let feed = "tests".into();
        let resume = Some("a".into());
        let drafts = (0..200).map(draft).collect();
        let sweep = None;
        let read_in = None;
        let page = PageCommit {
            source,
            feed,
            drafts,
            refused,
            accepted_record_ids,
            resume,
            read_in,
            sweep,
            now,
        };

        // To SQLite a file that may not grow is a full disk. The limit belongs to the connection,
        // which a failed transaction closes; so the second try has room.
        let mut transaction = outbox.inner.writer.begin().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1")
            .execute(transaction.connection())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let error = outbox.commit_page(page.clone()).await.unwrap_err();
        assert!(
            matches!(error, OutboxError::DiskFull) && error.is_retryable(),
            "{error}"
        );
        assert_eq!(outbox.cursor("mis", "tests").await.unwrap(), None);
        assert_eq!(outbox.commit_page(page).await.unwrap().withdrawn, 200);
    }
}

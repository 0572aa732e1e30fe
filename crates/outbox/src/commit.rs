//! One page: look up, decide, seal, and commit everything in one transaction.

use std::sync::Arc;

use contract::FactKind;
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

use crate::connect::WriteTransaction;
use crate::outbox::{Inner, check_name};
use crate::plan::{self, Plan};
use crate::records::{self, side_by_side};
use crate::sealing::{self, Sealed};
use crate::time::to_ms;
use crate::{Committed, MAX_PAGE_DRAFTS, OutboxError, PageCommit, letters, sweep};

/// Longest cursor, in bytes: a connector's own (4096) and what the gateway writes before it.
const MAX_CURSOR_BYTES: usize = 4096 + 256;

impl Inner {
    pub(crate) async fn commit_page(&self, mut page: PageCommit) -> Result<Committed, OutboxError> {
        check(&page)?;
        let _turn = self.gate.lock().await;
        self.refuse_if_full().await?;

        let (drafts, fallen) = plan::last_of_each(std::mem::take(&mut page.drafts));
        let kind = drafts.first().map(|pulled| pulled.draft.body.kind());
        let refused = plan::only_refused(&page.refused, &drafts);
        let named = drafts.iter().map(|pulled| &pulled.draft.record).chain(refused.keys());
        let digests = side_by_side(named);
        let known = records::look_up(self.reader.pool(), digests.clone()).await?;
        let feed_id = self.reader.feed_id(&page.source, &page.feed).await?;
        let generation = self.generation();
        let mut plan = plan::plan(drafts, &refused, &known, feed_id, generation)?;
        drop(refused);
        if page.read_in.is_some_and(|read_in| read_in < generation) {
            page.resume = None;
        }
        if page.sweep.is_none() {
            plan.counts.missed = 0;
        }
        let events = std::mem::take(&mut plan.events);
        let sent = !events.is_empty();
        let sealed = sealing::seal(events, &self.options).await?;
        inject(fault::Point::OutboxSealed)?;

        plan.counts.unchanged += fallen;
        plan.counts.batches = sealed.len() as u64;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        let feed_id = enter_feed(connection, &page, kind).await.map_err(OutboxError::database)?;
        store(connection, &page, feed_id, &mut plan, &sealed).await.map_err(OutboxError::database)?;
        sweep::note(connection, feed_id, page.sweep.as_ref(), digests, plan.counts.missed).await?;
        store_progress(connection, &page, feed_id, &plan.counts).await.map_err(OutboxError::database)?;
        self.commit_versions(transaction, sent).await?;
        Ok(plan.counts)
    }

    pub(crate) async fn refuse_if_full(&self) -> Result<(), OutboxError> {
        let (pending_bytes, max_bytes) = (self.reader.backlog().await?.bytes, self.options.max_bytes);
        if pending_bytes >= max_bytes {
            return Err(OutboxError::Full { pending_bytes, max_bytes });
        }
        Ok(())
    }

    /// Commits; if versions were given out the mark moves before anybody else may write, or lease a batch of them.
    pub(crate) async fn commit_versions(
        &self,
        mut transaction: WriteTransaction<'_>,
        given_out: bool,
    ) -> Result<(), OutboxError> {
        let mut moved = None;
        if given_out {
            let stamp: i64 = sqlx::query_scalar("UPDATE meta SET stamp = stamp + 1 RETURNING stamp")
                .fetch_one(transaction.connection())
                .await
                .map_err(OutboxError::database)?;
            moved = Some(stamp.unsigned_abs());
        }
        inject(fault::Point::OutboxStored)?;
        let writer = transaction.commit_and_hold().await?;
        inject(fault::Point::OutboxCommitted)?;
        if let Some(stamp) = moved {
            let (mark, generation) = (Arc::clone(&self.mark), self.generation());
            spawn_blocking(move || mark.set(generation, stamp)).await.map_err(OutboxError::unfinished)??;
        }
        drop(writer);
        inject(fault::Point::OutboxMarked)
    }
}

/// What a test asked for at this step, as an error of that kind.
pub(crate) fn inject(point: fault::Point) -> Result<(), OutboxError> {
    match fault::at(point) {
        None => Ok(()),
        Some(fault::Fault::Retry) => Err(OutboxError::Io { what: point.as_str(), kind: "injected".into() }),
        Some(fault::Fault::Permanent) => Err(OutboxError::Database { code: "injected".into() }),
    }
}

fn check(page: &PageCommit) -> Result<(), OutboxError> {
    check_name(&page.source)?;
    check_name(&page.feed)?;
    let sweep = page.sweep.as_ref();
    let seen = sweep.map_or(0, |step| step.seen.len().max(step.names.len()));
    let lists = [page.drafts.len(), page.refused.len(), page.accepted_record_ids.len(), seen];
    if lists.into_iter().any(|length| length > MAX_PAGE_DRAFTS) {
        return Err(OutboxError::TooLarge { what: "a page" });
    }
    let cursors = [page.resume.as_ref(), sweep.and_then(|step| step.cursor.as_ref())];
    if cursors.into_iter().flatten().any(|cursor| cursor.len() > MAX_CURSOR_BYTES) {
        return Err(OutboxError::TooLarge { what: "a cursor" });
    }
    Ok(())
}

/// The feed's row, made at its first page; a page with drafts tells which kind of fact the feed holds.
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

/// Writes the page's batches, records and dead letters, and counts the latter.
async fn store(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
    plan: &mut Plan,
    sealed: &[Sealed],
) -> Result<(), sqlx::Error> {
    store_batches(connection, sealed, to_ms(page.now)).await?;
    records::store(connection, &plan.rows, Some(feed_id)).await?;
    records::store_moved(connection, &plan.moved, feed_id).await?;
    let sent = plan.rows.iter().filter(|row| row.version.count > 0).map(|row| &row.record);
    letters::close_of_registry(connection, sent).await?;
    plan.counts.refused_new = letters::open_refused(connection, page, feed_id).await?;
    plan.counts.cleared = letters::close_accepted(connection, page, feed_id).await?;
    Ok(())
}

pub(crate) async fn store_batches(
    connection: &mut SqliteConnection,
    sealed: &[Sealed],
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for Sealed { batch, answer_key, event_count, reconciliation_id } in sealed {
        let seq: i64 = sqlx::query_scalar(
            "INSERT INTO batch (batch_id, sealed_bytes, event_count, created_at_ms, answer_key, kind, reconciliation_id) \
             VALUES (?1, length(?2), ?3, ?4, ?5, iif(?6 IS NULL, 'events', 'probe'), ?6) RETURNING seq",
        )
        .bind(batch.id.0.as_slice())
        .bind(batch.bytes.as_slice())
        .bind(event_count)
        .bind(now_ms)
        .bind(answer_key.expose().as_slice())
        .bind(reconciliation_id)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("INSERT INTO sealed (seq, bytes) VALUES (?1, ?2)")
            .bind(seq)
            .bind(batch.bytes.as_slice())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn store_progress(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
    done: &Committed,
) -> Result<(), sqlx::Error> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "UPDATE feed SET cursor = coalesce(?2, cursor), pulled_at_ms = ?3, new_total = new_total + ?4, \
         corrected_total = corrected_total + ?5, withdrawn_total = withdrawn_total + ?6, \
         resent_total = resent_total + ?7, unchanged_total = unchanged_total + ?8, \
         refused_total = refused_total + ?9 WHERE id = ?1",
    )
    .bind(feed_id)
    .bind(&page.resume)
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
        let (now, key) = (DateTime::UNIX_EPOCH, PrivateKey::generate());
        let options = OutboxOptions::new(key.public(), "test");
        let outbox = Outbox::open(&folder.path().join("outbox.db"), options, now).await.unwrap();
        let draft = |record: u8| {
            let body = Body::Withdrawn { kind: FactKind::Test };
            let (record, content) = (RecordDigest([record; 32]), ContentDigest([0; 16]));
            Pulled { draft: Draft { record, content, body, only_if_sent: false }, stamp: None }
        };
        let (refused, accepted_record_ids) = (Vec::new(), Vec::new());
        let (source, feed, resume) = ("mis".into(), "tests".into(), Some("a".into()));
        let drafts = (0..200).map(draft).collect();
        let sweep = None;
        let read_in = None;
        let page =
            PageCommit { source, feed, drafts, refused, accepted_record_ids, resume, read_in, sweep, now };

        // To SQLite a file that may not grow is a full disk. The limit belongs to the connection, which a failed
        // transaction closes; so the second try has room.
        let mut transaction = outbox.inner.writer.begin().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(transaction.connection()).await.unwrap();
        transaction.commit().await.unwrap();
        let error = outbox.commit_page(page.clone()).await.unwrap_err();
        assert!(matches!(error, OutboxError::DiskFull) && error.is_retryable(), "{error}");
        assert_eq!(outbox.cursor("mis", "tests").await.unwrap(), None);
        assert_eq!(outbox.commit_page(page).await.unwrap().withdrawn, 200);
    }
}

//! One page: look up, decide, seal, and commit everything in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use contract::{ContentDigest, Draft, RecordDigest, Version};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

use crate::outbox::{Inner, check_name};
use crate::plan::{self, Known};
use crate::sealing::{self, Sealed};
use crate::time::to_ms;
use crate::{
    Committed, MAX_DEAD_LETTERS_PER_FEED, MAX_PAGE_DRAFTS, OutboxError, OutboxOptions, OutboxReader,
    PageCommit,
};

/// Longest cursor, in bytes: a connector's own (4096) and what the gateway writes before it.
const MAX_CURSOR_BYTES: usize = 4096 + 256;

/// Record ids are cut at this many characters.
const MAX_RECORD_ID_CHARS: usize = 512;

/// A remembered record as its row has it: digest, content, generation, count, withdrawn.
type KnownRow = (Vec<u8>, Vec<u8>, u32, u32, bool);

const DIGEST_BYTES: usize = 32;
const CONTENT_BYTES: usize = 16;

impl Inner {
    pub(crate) async fn commit_page(&self, mut page: PageCommit) -> Result<Committed, OutboxError> {
        check(&page)?;
        let _turn = self.gate.lock().await;
        refuse_if_full(&self.reader, &self.options).await?;

        let (drafts, fallen) = plan::last_of_each(std::mem::take(&mut page.drafts));
        let known = look_up(&self.reader, &drafts).await?;
        let plan = plan::plan(drafts, &known, self.generation)?;
        let sealed = sealing::seal(plan.events, &self.options).await?;

        let mut done = plan.counts;
        done.unchanged += fallen;
        done.batches = sealed.len() as u64;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        let stored = store(connection, &page, &plan.rows, &sealed, &mut done).await;
        let stamp = stored.map_err(OutboxError::database)?;
        let writer = transaction.commit_and_hold().await?;
        // Still holding the writer: no batch of this page can leave before the mark has moved.
        if let Some(stamp) = stamp {
            let mark = Arc::clone(&self.mark);
            spawn_blocking(move || mark.set_stamp(stamp)).await.map_err(OutboxError::unfinished)??;
        }
        drop(writer);
        Ok(done)
    }
}

fn check(page: &PageCommit) -> Result<(), OutboxError> {
    check_name(&page.source)?;
    check_name(&page.feed)?;
    if page.drafts.len().max(page.refused.len()).max(page.accepted_record_ids.len()) > MAX_PAGE_DRAFTS {
        return Err(OutboxError::TooLarge { what: "a page" });
    }
    if page.resume.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR_BYTES) {
        return Err(OutboxError::TooLarge { what: "a cursor" });
    }
    Ok(())
}

async fn refuse_if_full(reader: &OutboxReader, options: &OutboxOptions) -> Result<(), OutboxError> {
    let pending_bytes = reader.backlog().await?.bytes;
    if pending_bytes >= options.max_bytes {
        return Err(OutboxError::Full { pending_bytes, max_bytes: options.max_bytes });
    }
    Ok(())
}

/// What is remembered of the drafts' records, in one statement whatever the size of the page.
async fn look_up(
    reader: &OutboxReader,
    drafts: &[Draft],
) -> Result<HashMap<RecordDigest, Known>, OutboxError> {
    if drafts.is_empty() {
        return Ok(HashMap::new());
    }
    let digests: Vec<u8> = drafts.iter().flat_map(|draft| draft.record.0).collect();
    let rows: Vec<KnownRow> = sqlx::query_as(
        "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM place WHERE at + 32 < length(?1)) \
         SELECT r.record, r.content, r.generation, r.count, r.withdrawn \
         FROM place CROSS JOIN record AS r ON r.record = substr(?1, place.at, 32)",
    )
    .bind(digests)
    .fetch_all(reader.pool())
    .await
    .map_err(OutboxError::database)?;
    let known = rows.into_iter().map(|(record, content, generation, count, withdrawn)| {
        let content = ContentDigest(content.try_into().ok()?);
        let version = Version { generation, count };
        Some((RecordDigest(record.try_into().ok()?), Known { content, version, withdrawn }))
    });
    known.collect::<Option<_>>().ok_or(OutboxError::Damaged { what: "a digest" })
}

/// Writes the page; completes `done` and returns the new stamp if versions were given out.
async fn store(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    rows: &[(RecordDigest, Known)],
    sealed: &[Sealed],
    done: &mut Committed,
) -> Result<Option<u64>, sqlx::Error> {
    let feed_id: i64 = sqlx::query_scalar(
        "INSERT INTO feed (source, feed) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET feed = ?2 RETURNING id",
    )
    .bind(&page.source)
    .bind(&page.feed)
    .fetch_one(&mut *connection)
    .await?;
    let now_ms = to_ms(page.now);
    store_batches(connection, sealed, now_ms).await?;
    store_records(connection, rows).await?;
    store_dead_letters(connection, page, feed_id, done).await?;
    store_progress(connection, page, feed_id, done).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let stamp: i64 = sqlx::query_scalar("UPDATE meta SET stamp = stamp + 1 RETURNING stamp")
        .fetch_one(&mut *connection)
        .await?;
    Ok(u64::try_from(stamp).ok())
}

async fn store_batches(
    connection: &mut SqliteConnection,
    sealed: &[Sealed],
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for Sealed { batch, event_count } in sealed {
        let seq: i64 = sqlx::query_scalar(
            "INSERT INTO batch (batch_id, sealed_bytes, event_count, created_at_ms) \
             VALUES (?1, length(?2), ?3, ?4) RETURNING seq",
        )
        .bind(batch.id.0.as_slice())
        .bind(batch.bytes.as_slice())
        .bind(event_count)
        .bind(now_ms)
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

/// One statement: digests and contents side by side in two blobs, and a JSON array of one number a record (twice the
/// count, plus one if withdrawn) that drives it.
async fn store_records(
    connection: &mut SqliteConnection,
    rows: &[(RecordDigest, Known)],
) -> Result<(), sqlx::Error> {
    let Some((_, Known { version: Version { generation, .. }, .. })) = rows.first() else { return Ok(()) };
    let mut digests = Vec::with_capacity(rows.len() * DIGEST_BYTES);
    let mut contents = Vec::with_capacity(rows.len() * CONTENT_BYTES);
    let mut counts = Vec::with_capacity(rows.len());
    for (record, known) in rows {
        digests.extend_from_slice(&record.0);
        contents.extend_from_slice(&known.content.0);
        counts.push(u64::from(known.version.count) * 2 + u64::from(known.withdrawn));
    }
    sqlx::query(
        "INSERT INTO record (record, content, generation, count, withdrawn) \
         SELECT substr(?1, j.key * 32 + 1, 32), substr(?2, j.key * 16 + 1, 16), ?3, j.value >> 1, j.value & 1 \
         FROM json_each(?4) AS j WHERE true \
         ON CONFLICT (record) DO UPDATE SET content = excluded.content, generation = excluded.generation, \
         count = excluded.count, withdrawn = excluded.withdrawn",
    )
    .bind(digests)
    .bind(contents)
    .bind(generation)
    .bind(json(&counts))
    .execute(connection)
    .await
    .map(drop)
}

/// Opens or refreshes the dead letters of refused rows and closes those of accepted ones.
async fn store_dead_letters(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
    done: &mut Committed,
) -> Result<(), sqlx::Error> {
    let refused: HashMap<&str, &str> =
        page.refused.iter().map(|refused| (cut(&refused.record_id), refused.reason)).collect();
    if !refused.is_empty() {
        let before = count_dead_letters(connection, feed_id).await?;
        sqlx::query(
            "INSERT INTO dead_letter (feed_id, record_id, reason, first_seen_at_ms, last_seen_at_ms) \
             SELECT ?1, j.key, j.value, ?3, ?3 FROM json_each(?2) AS j \
             WHERE ?4 OR EXISTS (SELECT 1 FROM dead_letter WHERE feed_id = ?1 AND record_id = j.key) \
             ON CONFLICT (feed_id, record_id) DO UPDATE SET reason = excluded.reason, last_seen_at_ms = ?3",
        )
        .bind(feed_id)
        .bind(json(&refused))
        .bind(to_ms(page.now))
        .bind(before < i64::from(MAX_DEAD_LETTERS_PER_FEED))
        .execute(&mut *connection)
        .await?;
        let opened = count_dead_letters(connection, feed_id).await? - before;
        done.refused_new = u64::try_from(opened).unwrap_or(0);
    }
    let accepted: HashSet<&str> = page.accepted_record_ids.iter().map(|id| cut(id)).collect();
    let accepted: Vec<&str> = accepted.into_iter().filter(|id| !refused.contains_key(id)).collect();
    if !accepted.is_empty() {
        let closed = sqlx::query(
            "DELETE FROM dead_letter WHERE feed_id = ?1 AND record_id IN (SELECT value FROM json_each(?2))",
        );
        let closed = closed.bind(feed_id).bind(json(&accepted)).execute(connection).await?;
        done.cleared = closed.rows_affected();
    }
    Ok(())
}

async fn count_dead_letters(connection: &mut SqliteConnection, feed_id: i64) -> Result<i64, sqlx::Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM dead_letter WHERE feed_id = ?1");
    count.bind(feed_id).fetch_one(connection).await
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

fn cut(record_id: &str) -> &str {
    let end = record_id.char_indices().nth(MAX_RECORD_ID_CHARS).map_or(record_id.len(), |(at, _)| at);
    &record_id[..end]
}

/// Parameters of set statements.
pub(crate) fn json(values: &impl Serialize) -> String {
    serde_json::to_string(values).expect("numbers and strings always have a JSON form")
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{Body, FactKind, PrivateKey};

    use super::*;
    use crate::Outbox;

    #[tokio::test]
    async fn full_disk_is_told_and_the_page_goes_through_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let (now, key) = (DateTime::UNIX_EPOCH, PrivateKey::generate());
        let options = OutboxOptions::new(key.public(), "test");
        let outbox = Outbox::open(&folder.path().join("outbox.db"), options, now).await.unwrap();
        let draft = |record: u8| {
            let body = Body::Withdrawn { kind: FactKind::Test };
            let (record, content) = (RecordDigest([record; 32]), ContentDigest([0; 16]));
            Draft { record, content, body, only_if_sent: false }
        };
        let (refused, accepted_record_ids) = (Vec::new(), Vec::new());
        let (source, feed, resume) = ("mis".into(), "tests".into(), Some("a".into()));
        let drafts = (0..200).map(draft).collect();
        let page = PageCommit { source, feed, drafts, refused, accepted_record_ids, resume, now };

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

    #[test]
    fn record_ids_are_cut_between_characters() {
        assert_eq!(cut("запись-1"), "запись-1");
        assert_eq!(cut(&"ж".repeat(600)).chars().count(), MAX_RECORD_ID_CHARS);
    }
}

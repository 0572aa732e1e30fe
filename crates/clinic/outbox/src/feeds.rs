//! Feeds of the sources: cursors, ends of runs, surprises.

use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::FactKind;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::corrections::read_at_first;
use crate::file::{Database, OutboxError, check_name, own_words, short_code, to_ms};
use crate::limits::LOST_STATE_MS;

/// End of a feed's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome<'a> {
    /// Run that read the feed to its end.
    Ok,
    /// Run that was asked to stop before the feed's end, and had not failed.
    Stopped,
    /// Run that ended early. The code is kept if it is 1 to 64 letters, digits, `-`, `_`, `.` or
    /// `:`, and is `other` if not, so that no free text can stand for one.
    Failed {
        /// Short code.
        code: &'a str,
        /// Cause in the program's own words, which quote no value and no server's text; cut at 500
        /// characters.
        why: &'a str,
    },
}

/// What shows the gateway that a row of a feed has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeNotice {
    /// One change stamp of the row.
    Stamp,
    /// Change stamps of several tables.
    SeveralStamps,
    /// Lengths and times of the files that hold all rows.
    Files,
    /// The content of the row alone, which a content sweep reads.
    Contents,
}

impl ChangeNotice {
    /// Every kind of notice.
    pub const ALL: [Self; 4] = [
        Self::Stamp,
        Self::SeveralStamps,
        Self::Files,
        Self::Contents,
    ];

    /// Code of the notice in `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stamp => "stamp",
            Self::SeveralStamps => "several-stamps",
            Self::Files => "files",
            Self::Contents => "contents",
        }
    }

    /// Notice of a column; `None` for a code that this program does not know.
    pub(crate) fn from_column(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.as_str() == code)
    }
}

/// Code of the surprise that a source's pages never end, which the next good run disproves; a sweep
/// disproves all others but [`CODES_FILE`].
pub const SOURCE_ENDLESS: &str = "source-endless";

/// Code of the surprise that a source's codes file cannot be used; it is over when the file can.
pub const CODES_FILE: &str = "codes-file";

/// The feeds, over the outbox file.
#[derive(Debug)]
pub(crate) struct Feeds {
    database: Arc<Database>,
}

impl Feeds {
    /// Feeds of the file.
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Notes the end of a feed's run.
    pub(crate) async fn record_run(
        &self,
        source: &str,
        feed: &str,
        outcome: RunOutcome<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let feed_id = enter_feed(connection, source, feed, None, now).await?;
        let now = to_ms(now);
        match outcome {
            RunOutcome::Ok => {
                let good = "UPDATE feed SET last_run_at_ms = ?2, last_ok_at_ms = ?2, \
                            last_error = NULL, last_error_why = NULL, consecutive_failures = 0, \
                            load_rows = NULL, load_begun_at_ms = NULL, \
                            whole_as_of_ms = coalesce(load_begun_at_ms, whole_as_of_ms) \
                            WHERE id = ?1";
                let noted = sqlx::query(good).bind(feed_id).bind(now);
                noted.execute(&mut *connection).await?;
                mend_surprise(connection, feed_id, SOURCE_ENDLESS, now).await?;
            }
            RunOutcome::Stopped => {
                let stopped = "UPDATE feed SET last_run_at_ms = ?2 WHERE id = ?1";
                let noted = sqlx::query(stopped).bind(feed_id).bind(now);
                noted.execute(connection).await?;
            }
            RunOutcome::Failed { code, why } => {
                let failed = "UPDATE feed SET last_run_at_ms = ?2, last_error = ?3, \
                              last_error_why = ?4, \
                              consecutive_failures = consecutive_failures + 1 WHERE id = ?1";
                let noted = sqlx::query(failed).bind(feed_id).bind(now);
                let noted = noted.bind(short_code(code)).bind(own_words(why));
                noted.execute(connection).await?;
            }
        }
        transaction.commit().await
    }

    /// Notes that a feed is read from its beginning.
    pub(crate) async fn begin_load(
        &self,
        source: &str,
        feed: &str,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let feed_id = enter_feed(connection, source, feed, None, now).await?;
        let begin = "UPDATE feed SET load_rows = 0, load_begun_at_ms = ?2 WHERE id = ?1";
        let begin = sqlx::query(begin).bind(feed_id).bind(to_ms(now));
        begin.execute(connection).await?;
        transaction.commit().await
    }

    /// Notes what shows the gateway that a row of the feed has changed. Costs one read where it is
    /// noted already; a feed that has had no run is passed over.
    pub(crate) async fn note_notices(
        &self,
        source: &str,
        feed: &str,
        notices: ChangeNotice,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let noted: Option<Option<String>> =
            sqlx::query_scalar("SELECT notices FROM feed WHERE source = ?1 AND feed = ?2")
                .bind(source)
                .bind(feed)
                .fetch_optional(self.database.readers())
                .await?;
        if noted.flatten().as_deref() == Some(notices.as_str()) {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        let note = "UPDATE feed SET notices = ?3 WHERE source = ?1 AND feed = ?2";
        let note = sqlx::query(note).bind(source).bind(feed);
        let note = note.bind(notices.as_str());
        note.execute(transaction.connection()).await?;
        transaction.commit().await
    }

    /// Forgets the cursors of the source's feeds. Its dead letters stay until their rows were read
    /// again, or a sweep finds them gone.
    pub(crate) async fn forget_cursors(&self, source: &str) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("UPDATE feed SET cursor = NULL, load_rows = 0 WHERE source = ?1")
            .bind(source)
            .execute(transaction.connection())
            .await?;
        transaction.commit().await
    }

    /// Notes that a source did something it should not, `count` times.
    pub(crate) async fn note_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let mut transaction = self.database.begin().await?;
        let feed_id = enter_feed(transaction.connection(), source, feed, None, now).await?;
        sqlx::query(
            "INSERT INTO surprise (feed_id, code, count, first_seen_at_ms, last_seen_at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (feed_id, code) DO UPDATE SET count = count + ?3, \
             last_seen_at_ms = ?4, mended_at_ms = NULL",
        )
        .bind(feed_id)
        .bind(short_code(code))
        .bind(count.saturating_as::<i64>())
        .bind(to_ms(now))
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }

    /// Notes that a surprise of a feed is over, if it was noted.
    pub(crate) async fn end_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "UPDATE surprise SET mended_at_ms = ?4 WHERE code = ?3 AND mended_at_ms IS NULL \
             AND feed_id = (SELECT id FROM feed WHERE source = ?1 AND feed = ?2)",
        )
        .bind(source)
        .bind(feed)
        .bind(code)
        .bind(to_ms(now))
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }
}

/// Notes that a surprise of this code is over.
async fn mend_surprise(
    connection: &mut SqliteConnection,
    feed_id: i64,
    code: &str,
    now_ms: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE surprise SET mended_at_ms = ?3 \
         WHERE feed_id = ?1 AND code = ?2 AND mended_at_ms IS NULL",
    )
    .bind(feed_id)
    .bind(code)
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that everything the source did before a sweep began is over: the sweep has ended well.
pub(crate) async fn mend_surprises_before(
    connection: &mut SqliteConnection,
    feed_id: i64,
    sweep_begun_at_ms: Option<i64>,
    now_ms: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE surprise SET mended_at_ms = ?3 WHERE feed_id = ?1 AND code NOT IN (?4, ?5) \
         AND last_seen_at_ms <= ?2 AND mended_at_ms IS NULL",
    )
    .bind(feed_id)
    .bind(sweep_begun_at_ms)
    .bind(now_ms)
    .bind(SOURCE_ENDLESS)
    .bind(CODES_FILE)
    .execute(connection)
    .await?;
    Ok(())
}

/// Number of the feed's row, which is made if there is none; `kind` is the kind of fact the feed
/// holds, if it is known.
pub(crate) async fn enter_feed(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
    kind: Option<FactKind>,
    now: DateTime<Utc>,
) -> Result<i64, OutboxError> {
    let feed_id = sqlx::query_scalar(concat!(
        "INSERT INTO feed (source, feed, kind, read_generation) VALUES (?1, ?2, ?3, coalesce(",
        read_at_first!("?4", "?5"),
        ", 0)) ON CONFLICT DO UPDATE SET kind = coalesce(?3, kind) RETURNING id",
    ))
    .bind(source)
    .bind(feed)
    .bind(kind.map(FactKind::as_str))
    .bind(to_ms(now))
    .bind(LOST_STATE_MS)
    .fetch_one(connection)
    .await?;
    Ok(feed_id)
}

/// Number of the feed's row, if there is one.
pub(crate) async fn feed_id(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<Option<i64>, OutboxError> {
    let feed_id = sqlx::query_scalar("SELECT id FROM feed WHERE source = ?1 AND feed = ?2")
        .bind(source)
        .bind(feed)
        .fetch_optional(pool)
        .await?;
    Ok(feed_id)
}

/// Cursor of the feed, if it has one.
pub(crate) async fn cursor(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<Option<String>, OutboxError> {
    let cursor: Option<Option<String>> =
        sqlx::query_scalar("SELECT cursor FROM feed WHERE source = ?1 AND feed = ?2")
            .bind(source)
            .bind(feed)
            .fetch_optional(pool)
            .await?;
    Ok(cursor.flatten())
}

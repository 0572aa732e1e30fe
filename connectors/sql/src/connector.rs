//! The connector: one page at a time, in a read-only transaction, and where the next run begins.

use std::collections::HashMap;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{CheckReport, Connector, Cursor, Feed, Page, PageRequest, SourceError};

use crate::check;
use crate::cursor::Position;
use crate::driver::{Driver, Failure, Lease, Sessions};
use crate::layout::{CHANGED_AT, Layout, resolve};
use crate::page::{Pager, Rows, Start};
use crate::row::Reader;
use crate::salvage;
use crate::settings::{FeedSettings, Settings};
use crate::stamp;

/// Most rows in a page, whatever is asked for.
const MAX_PAGE_ROWS: u32 = 10_000;
/// How far rows without a key are counted.
const MAX_COUNTED_ROWS: u32 = 1000;
/// How long such a count holds: without an index it reads the whole table.
const COUNT_EVERY: TimeDelta = TimeDelta::hours(1);

/// A clinic system in PostgreSQL, MariaDB/MySQL or SQLite as a source of records.
pub struct SqlConnector {
    pub(crate) sessions: Sessions,
    pub(crate) settings: Settings,
    /// The columns of each feed, looked at anew with every run.
    layouts: Mutex<HashMap<Feed, Arc<Layout>>>,
    /// When the rows without a key were last counted.
    counted: Mutex<HashMap<Feed, DateTime<Utc>>>,
}

impl SqlConnector {
    /// A source in PostgreSQL. Reads the password and checks the queries' shape; does not talk to the server yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "postgres")]
    pub fn postgres(config: &crate::PostgresConfig, base_dir: &Path) -> Result<Self, SourceError> {
        let password = crate::settings::password(config.password.as_ref(), base_dir)?;
        let tls = crate::settings::Tls::new(&config.tls, &config.host, base_dir)?;
        let driver = crate::driver::postgres::Postgres::new(config, password.as_ref(), &tls);
        Self::new(Box::new(driver), config.common())
    }

    /// A source in MariaDB or MySQL. Reads the password and checks the queries' shape; does not talk to the server yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "mysql")]
    pub fn mysql(config: &crate::MySqlConfig, base_dir: &Path) -> Result<Self, SourceError> {
        let password = crate::settings::password(config.password.as_ref(), base_dir)?;
        let tls = crate::settings::Tls::new(&config.tls, &config.host, base_dir)?;
        let driver = crate::driver::mysql::MySql::new(config, password.as_ref(), &tls);
        Self::new(Box::new(driver), config.common())
    }

    /// A source in an SQLite file. Checks the queries' shape; does not open the file yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(config: &crate::SqliteConfig, base_dir: &Path) -> Result<Self, SourceError> {
        let driver = crate::driver::sqlite::Sqlite::new(base_dir.join(&config.path));
        Self::new(Box::new(driver), config.common())
    }

    fn new(driver: Box<dyn Driver>, common: crate::config::Common) -> Result<Self, SourceError> {
        let settings = Settings::new(common, driver.syntax())?;
        let sessions = Sessions::new(driver, settings.connect_timeout, settings.statement_timeout);
        Ok(Self { sessions, settings, layouts: Mutex::default(), counted: Mutex::default() })
    }

    /// The feed's columns: those of this run, or looked at now.
    async fn layout(
        &self,
        feed: &FeedSettings,
        fresh: bool,
        lease: &mut Lease<'_>,
    ) -> Result<Arc<Layout>, Failure> {
        let known = || self.layouts.lock().unwrap_or_else(PoisonError::into_inner).get(&feed.feed).cloned();
        if let Some(layout) = known().filter(|_| !fresh) {
            return Ok(layout);
        }
        let described = lease.describe(&feed.statement.text).await?;
        let found = resolve(feed.feed, &described, !feed.config.status_words.is_empty());
        let Some(layout) = found.layout else {
            let problem = found.errors.into_iter().next();
            let (what, help) = problem.map_or(Default::default(), |problem| (problem.what, problem.help));
            return Err(Failure::misconfigured(what, help));
        };
        let layout = Arc::new(layout);
        self.layouts.lock().unwrap_or_else(PoisonError::into_inner).insert(feed.feed, Arc::clone(&layout));
        Ok(layout)
    }

    fn start(&self, position: Option<Position>, first_of_run: bool, layout: &Layout) -> Start {
        let Some(Position { at, id, .. }) = position else { return Start::Beginning };
        match id {
            Some(id) if !first_of_run => Start::After(at, id),
            _ => {
                let (overlap, zone) = (self.settings.overlap_seconds, self.settings.zone);
                stamp::earlier(&at, overlap, layout.kinds[CHANGED_AT], zone)
                    .map_or(Start::Beginning, Start::From)
            }
        }
    }

    async fn read(
        &self,
        feed: &FeedSettings,
        position: Option<Position>,
        first_of_run: bool,
        limit: u32,
    ) -> Result<(Arc<Layout>, Rows), Failure> {
        let mut lease = self.sessions.lease().await?;
        lease.begin().await?;
        let layout = self.layout(feed, first_of_run, &mut lease).await?;
        let pager =
            Pager { driver: self.sessions.driver.as_ref(), statement: &feed.statement, layout: &layout };
        let start = self.start(position, first_of_run, &layout);
        let rows = match pager.read(&mut lease, &start, limit).await {
            Err(failure) if failure.is_of_data() => {
                let (reason, _) = failure.words(Some(&feed.statement));
                let rows = salvage::read(&pager, &mut lease, start, limit, failure).await?;
                let unreadable = rows.rows.iter().filter(|row| row.len() < layout.names.len()).count();
                if unreadable > 0 {
                    tracing::warn!(
                        event = "unreadable-rows",
                        feed = feed.feed.as_str(),
                        rows = unreadable,
                        reason,
                        "rows the database cannot hand over are refused; the others are read"
                    );
                }
                rows
            }
            rows => rows?,
        };
        lease.give_back().await?;
        Ok((layout, rows))
    }

    /// Tells, at most once an hour, how many rows never leave because they have no place in the order. The page does not
    /// depend on it.
    async fn tell_rows_without_key(&self, feed: &FeedSettings, layout: &Layout, now: DateTime<Utc>) {
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = counted.get(&feed.feed).is_some_and(|at| (*at..*at + COUNT_EVERY).contains(&now));
            if recent {
                return;
            }
            counted.insert(feed.feed, now);
        }
        let feed_name = feed.feed.as_str();
        match self.count_rows_without_key(feed, layout).await {
            Ok(0) => {}
            Ok(rows) => tracing::warn!(
                event = "rows-without-key",
                feed = feed_name,
                rows,
                at_least = rows >= u64::from(MAX_COUNTED_ROWS),
                "rows without a usable changed_at or record_id are never read; give them one, see `check`"
            ),
            Err(failure) => tracing::info!(
                event = "rows-without-key-not-counted",
                feed = feed_name,
                reason = failure.words(None).0,
                "whether rows lack changed_at or record_id is not known"
            ),
        }
    }

    async fn count_rows_without_key(&self, feed: &FeedSettings, layout: &Layout) -> Result<u64, Failure> {
        let mut lease = self.sessions.lease().await?;
        lease.begin().await?;
        let pager = Pager { driver: self.sessions.driver.as_ref(), statement: &feed.statement, layout };
        let count = lease.texts(&pager.without_key(MAX_COUNTED_ROWS)).await?;
        lease.give_back().await?;
        Ok(count.first().and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    /// Where the next run begins once these rows are safe: the last stamp that can be read, but never in the future.
    /// Rows stamped later than now come again with every run, until their time has come.
    fn resume(
        &self,
        feed: &FeedSettings,
        rows: &Rows,
        now: DateTime<Utc>,
    ) -> Result<Option<Cursor>, SourceError> {
        let stamp = rows.rows.iter().rev().find_map(|row| {
            let key = row[CHANGED_AT].key()?;
            stamp::not_after(&key, now, self.settings.zone)
        });
        stamp.map(|at| Position::new(&feed.fingerprint, at, None).write()).transpose()
    }

    fn page_of(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
        rows: &Rows,
        now: DateTime<Utc>,
    ) -> Result<Page, SourceError> {
        let reader = Reader::new(layout, feed, &self.settings);
        let next = rows
            .next
            .as_ref()
            .map(|(at, id)| Position::new(&feed.fingerprint, at.clone(), Some(id.clone())).write());
        Ok(Page {
            records: rows.rows.iter().map(|row| reader.record(row)).collect(),
            next: next.transpose()?,
            resume: self.resume(feed, rows, now)?,
        })
    }
}

fn place(feed: Feed) -> String {
    format!("feed {feed}")
}

#[async_trait]
impl Connector for SqlConnector {
    fn kind(&self) -> &'static str {
        self.sessions.driver.kind()
    }

    fn feeds(&self) -> Vec<Feed> {
        self.settings.feeds.iter().map(|feed| feed.feed).collect()
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        check::run(self, now).await
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        let Some(feed) = self.settings.feeds.iter().find(|feed| feed.feed == request.feed) else {
            let what = format!("the source has no feed {}", request.feed);
            return Err(SourceError::misconfigured(what, "add its table with a query"));
        };
        if request.limit == 0 {
            return Err(SourceError::misconfigured(
                "a page of no records was asked for",
                "ask for at least one",
            ));
        }
        let position = match &request.after {
            Some(cursor) => Position::read(cursor, &feed.fingerprint)?,
            None => None,
        };
        let limit = request.limit.min(MAX_PAGE_ROWS);
        match self.read(feed, position, request.first_of_run, limit).await {
            Ok((layout, rows)) => {
                if request.first_of_run {
                    self.tell_rows_without_key(feed, &layout, request.now).await;
                }
                self.page_of(feed, &layout, &rows, request.now)
            }
            Err(failure) => {
                self.layouts.lock().unwrap_or_else(PoisonError::into_inner).remove(&feed.feed);
                Err(failure.at(&place(feed.feed), Some(&feed.statement)))
            }
        }
    }
}

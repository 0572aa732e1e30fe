//! The connector: one page at a time, in a read-only transaction, and where the next run begins.

use std::collections::HashMap;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{
    CheckReport, ClinicRecord, Connector, Cursor, Feed, KeysPage, KeysRequest, Page, PageRequest,
    SourceError,
};

use crate::cursor::{self, Columns, Drift, Position};
use crate::driver::{Driver, Failure, Lease, Sessions};
use crate::layout::{CHANGED_AT, Layout, resolve};
use crate::page::{Order, Pager, Rows};
use crate::pull::{Pull, gone};
use crate::row::Reader;
use crate::settings::{FeedSettings, Settings};
use crate::table::Table;
use crate::{check, stamp, sweep};

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
    /// The columns that pages were last read with, or should have been.
    columns: Mutex<HashMap<Feed, Columns>>,
    /// The columns as they were last described.
    layouts: Mutex<HashMap<Feed, Arc<Layout>>>,
    /// When the rows without a key were last counted.
    counted: Mutex<HashMap<Feed, DateTime<Utc>>>,
}

impl SqlConnector {
    /// A source in PostgreSQL. Reads the password and checks the queries' shape; does not talk to
    /// the server yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`], with what to change.
    #[cfg(feature = "postgres")]
    pub fn postgres(config: &crate::PostgresConfig, base_dir: &Path) -> Result<Self, SourceError> {
        let password = crate::settings::password(config.password.as_ref(), base_dir)?;
        let tls = crate::settings::Tls::new(&config.tls, &config.host, base_dir)?;
        let listen_overlap_seconds =
            crate::settings::listen_overlap(config.listen_overlap_seconds)?;
        let driver = crate::driver::postgres::Postgres::new(config, password.as_ref(), &tls)?;
        let common = crate::config::Common {
            listen_overlap_seconds,
            ..config.common()
        };
        Self::new(Box::new(driver), common)
    }

    /// A source in MariaDB or MySQL. Reads the password and checks the queries' shape; does not
    /// talk to the server yet.
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
        Ok(Self {
            sessions,
            settings,
            columns: Mutex::default(),
            layouts: Mutex::default(),
            counted: Mutex::default(),
        })
    }

    /// The feed's columns as they are now.
    pub(crate) async fn layout(
        &self,
        feed: &FeedSettings,
        lease: &mut Lease<'_>,
    ) -> Result<Arc<Layout>, Failure> {
        let described = lease.describe(&feed.statement.text).await?;
        let found = resolve(feed.feed, &described, !feed.config.status_words.is_empty());
        let layout = found.layout.map(Arc::new).ok_or_else(|| {
            let problem = found.errors.into_iter().next();
            let (what, help) =
                problem.map_or(Default::default(), |problem| (problem.what, problem.help));
            Failure::misconfigured(what, help)
        })?;
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.insert(feed.feed, Arc::clone(&layout));
        Ok(layout)
    }

    /// The feed's columns as they were described, where rows themselves show that they are no
    /// longer so: a query without a `*` gives the columns it names or fails, and their types come
    /// with every row.
    pub(crate) fn known_layout(&self, feed: &FeedSettings) -> Option<Arc<Layout>> {
        if feed.statement.selects_all || !self.sessions.driver.keeps_sessions() {
            return None;
        }
        self.layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&feed.feed)
            .cloned()
    }

    /// Keeps the columns that rows of a feed are to have.
    pub(crate) fn remember(&self, feed: Feed, columns: Columns) {
        self.columns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(feed, columns);
    }

    /// Fails where a column is gone that pages were read with.
    pub(crate) fn nothing_gone(&self, feed: Feed, layout: &Layout) -> Result<(), Failure> {
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&feed).map(|columns| columns.drift(layout)) {
            Some(Drift::Gone(column)) => Err(gone(&column)),
            _ => Ok(()),
        }
    }

    pub(crate) fn pager<'s>(
        &'s self,
        feed: &'s FeedSettings,
        layout: &'s Layout,
        order: Order,
    ) -> Pager<'s> {
        Pager::new(
            self.sessions.driver.as_ref(),
            &feed.statement,
            layout,
            order,
        )
    }

    /// A failure in the words of the trait.
    pub(crate) fn failed(&self, feed: &FeedSettings, failure: &Failure) -> SourceError {
        failure.at(&format!("feed {}", feed.feed), Some(&feed.statement))
    }

    fn feed(&self, feed: Feed, limit: u32) -> Result<&FeedSettings, SourceError> {
        if limit == 0 {
            return Err(SourceError::misconfigured(
                "a page of no records was asked for",
                "ask for at least one",
            ));
        }
        self.settings
            .feeds
            .iter()
            .find(|known| known.feed == feed)
            .ok_or_else(|| {
                SourceError::misconfigured(
                    format!("the source has no feed {feed}"),
                    "add its table with a query",
                )
            })
    }

    /// Tells, at most once an hour, how many rows have no place in the order, so that only a key
    /// sweep finds them. The page does not depend on it.
    async fn tell_rows_without_key(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
        now: DateTime<Utc>,
    ) {
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = counted
                .get(&feed.feed)
                .is_some_and(|at| (*at..*at + COUNT_EVERY).contains(&now));
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
                "rows without a usable changed_at are left to the key sweep, those without \
                 record_id are never read; see `check`"
            ),
            Err(failure) => tracing::info!(
                event = "rows-without-key-not-counted",
                feed = feed_name,
                reason = failure.words(None).0,
                "whether rows lack changed_at or record_id is not known"
            ),
        }
    }

    async fn count_rows_without_key(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
    ) -> Result<u64, Failure> {
        let mut lease = self.sessions.lease().await?;
        let pager = self.pager(feed, layout, Order::Stamp);
        let count = lease.texts(&pager.without_key(MAX_COUNTED_ROWS)).await?;
        lease.give_back().await?;
        Ok(count
            .first()
            .and_then(|count| count.parse().ok())
            .unwrap_or(0))
    }

    /// A run begins with a look at the columns; its other pages trust it until one of them shows
    /// otherwise.
    async fn read(
        &self,
        feed: &FeedSettings,
        request: &PageRequest,
    ) -> Result<(Arc<Layout>, Pull), Failure> {
        let mut lease = self.sessions.lease().await?;
        let known = self.known_layout(feed).filter(|_| !request.first_of_run);
        if let Some(layout) = known {
            match Pull::read(self, feed, &layout, &mut lease, request).await {
                Err(failure) if failure.may_be_of_columns() => lease.recover().await?,
                pull => {
                    let pull = pull?;
                    lease.give_back().await?;
                    return Ok((layout, pull));
                }
            }
        }
        let layout = self.layout(feed, &mut lease).await?;
        let pull = Pull::read(self, feed, &layout, &mut lease, request).await?;
        lease.give_back().await?;
        Ok((layout, pull))
    }

    /// Where the next run begins once these rows are safe: the last stamp that can be read, but
    /// never in the future. Rows stamped later than now come again with every run, until their time
    /// has come.
    fn resume(
        &self,
        layout: &Layout,
        rows: &Rows,
        now: DateTime<Utc>,
    ) -> Result<Option<Cursor>, SourceError> {
        let stamp = rows.rows.rows().rev().find_map(|row| {
            let key = row.cell(CHANGED_AT).key()?;
            stamp::not_after(&key, now, self.settings.zone)
        });
        stamp
            .map(|at| cursor::write(&Position::new(layout, at)))
            .transpose()
    }

    fn page_of(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
        pull: Pull,
        now: DateTime<Utc>,
    ) -> Result<Page, SourceError> {
        let Pull {
            rows,
            until,
            surprise,
        } = pull;
        let reader = Reader::new(layout, feed, &self.settings);
        let next = rows.next.as_ref().and_then(|place| {
            let at = place.at.clone()?;
            let mut position = Position::new(layout, at);
            (position.id, position.until) = (Some(place.id.clone()), until);
            Some(position)
        });
        Ok(Page {
            records: rows.rows.rows().map(|row| reader.record(row)).collect(),
            next: next.as_ref().map(cursor::write).transpose()?,
            resume: self.resume(layout, &rows, now)?,
            surprise,
        })
    }
}

/// Says how many rows the database could not hand over, and why.
pub(crate) fn tell_unreadable(feed: &FeedSettings, layout: &Layout, rows: &Table, reason: &str) {
    let unreadable = rows
        .rows()
        .filter(|row| row.width() < layout.names.len())
        .count();
    if unreadable > 0 {
        tracing::warn!(
            event = "unreadable-rows",
            feed = feed.feed.as_str(),
            rows = unreadable,
            reason,
            "rows the database cannot hand over are refused; the others are read"
        );
    }
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

    async fn page(&self, mut request: PageRequest) -> Result<Page, SourceError> {
        let feed = self.feed(request.feed, request.limit)?;
        request.limit = request.limit.min(MAX_PAGE_ROWS);
        let (layout, pull) = self
            .read(feed, &request)
            .await
            .map_err(|failure| self.failed(feed, &failure))?;
        if request.first_of_run && !request.hinted {
            self.tell_rows_without_key(feed, &layout, request.now).await;
        }
        self.page_of(feed, &layout, pull, request.now)
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        let feed = self.feed(request.feed, request.limit)?;
        sweep::keys(self, feed, &request, request.limit.min(MAX_PAGE_ROWS)).await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        sweep::fetch(self, self.feed(feed, 1)?, ids).await
    }

    async fn changed(&self) -> Result<(), SourceError> {
        self.sessions.driver.changed().await;
        Ok(())
    }
}

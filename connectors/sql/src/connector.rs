//! The connector: one page at a time, in a read-only transaction, and where the next run begins.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_kit::{
    CheckReport, ClinicRecord, Connector, Cursor, Feed, KeysPage, KeysRequest, Page, PageRequest,
    SampledRecord, SourceError, SourceSurprise,
};

use crate::closing::Lateness;
use crate::cursor::{self, Position};
use crate::driver::Driver;
use crate::layout::{CHANGED_AT, Layout};
use crate::pull::Pull;
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::{SqlSource, source_error};
use crate::value::Key;
use crate::without_key::RowsWithoutKey;
use crate::{check, pull, stamp, sweep};

/// Most rows in a page, whatever is asked for.
const MAX_PAGE_ROWS: u32 = 10_000;

/// A clinic system in PostgreSQL, MariaDB/MySQL or SQLite as a source of records.
pub struct SqlConnector {
    source: SqlSource,
    without_key: RowsWithoutKey,
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
        Ok(Self {
            source: SqlSource::new(driver, common)?,
            without_key: RowsWithoutKey::default(),
        })
    }

    /// The cursor at which the next run begins once these rows are safe: the last stamp that can be
    /// read and is not of the future. Rows stamped later than now come again with every run, until
    /// their time has come.
    fn resume(
        &self,
        layout: &Layout,
        pull: &Pull,
        now: DateTime<Utc>,
    ) -> Result<Option<Cursor>, SourceError> {
        let settings = &self.source.settings;
        let is_past = |key: &Key| stamp::not_after(key, now, settings.zone).as_ref() == Some(key);
        let rows = pull.rows.rows.rows().rev();
        let mut stamps = rows.filter_map(|row| row.cell(CHANGED_AT).key());
        // The last page of a run may be empty, which shows that the one before it was the last.
        let behind = pull.behind.clone().filter(|_| pull.rows.next.is_none());
        let Some(at) = stamps.find(is_past).or(behind.filter(is_past)) else {
            return Ok(None);
        };
        let lateness = pull.run.lateness(&at, pull.seen, settings);
        let mut position = Position::new(layout, at);
        position.closed.clone_from(&pull.run.closed);
        match (lateness, &pull.rows.next) {
            (Lateness::Open(seen), _) => position.seen = seen,
            (Lateness::Closed, None) => position.closed = Some(position.at.clone()),
            (Lateness::Closed, Some(last)) if last.at.as_ref() == Some(&position.at) => {
                position.id = Some(last.id.clone());
            }
            (Lateness::Closed, Some(_)) => {}
        }
        cursor::write(&position).map(Some)
    }

    fn page_of(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
        pull: Pull,
        now: DateTime<Utc>,
    ) -> Result<Page, SourceError> {
        let resume = self.resume(layout, &pull, now)?;
        let Pull {
            rows,
            until,
            run,
            surprise,
            ..
        } = pull;
        let reader = Reader::new(layout, feed, &self.source.settings);
        let next = rows.next.as_ref().and_then(|place| {
            let at = place.at.clone()?;
            let mut position = Position::new(layout, at);
            position.id = Some(place.id.clone());
            position.until = until;
            position.run = Some(run);
            Some(position)
        });
        let records: Vec<ClinicRecord> = rows.rows.rows().map(|row| reader.record(row)).collect();
        let ids = records.iter().map(|record| record.record_id.as_str());
        let repeats = sweep::repeat(ids).then_some(SourceSurprise::IdsRepeat);
        Ok(Page {
            records,
            next: next.as_ref().map(cursor::write).transpose()?,
            resume,
            surprise: surprise.or(repeats),
        })
    }
}

#[async_trait]
impl Connector for SqlConnector {
    fn kind(&self) -> &'static str {
        self.source.sessions.driver.kind()
    }

    fn feeds(&self) -> Vec<Feed> {
        self.source
            .settings
            .feeds
            .iter()
            .map(|feed| feed.feed)
            .collect()
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        check::run(&self.source, now).await
    }

    async fn page(&self, mut request: PageRequest) -> Result<Page, SourceError> {
        let feed = self.source.feed(request.feed, request.limit)?;
        request.limit = request.limit.min(MAX_PAGE_ROWS);
        let pull = pull::read(&self.source, feed, &request).await;
        let (layout, pull) = pull.map_err(|failure| source_error(feed, &failure))?;
        if request.first_of_run && !request.hinted {
            let log = self
                .without_key
                .log(&self.source, feed, &layout, request.now);
            log.await;
        }
        self.page_of(feed, &layout, pull, request.now)
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        let feed = self.source.feed(request.feed, request.limit)?;
        sweep::keys(
            &self.source,
            feed,
            &request,
            request.limit.min(MAX_PAGE_ROWS),
        )
        .await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        sweep::fetch(&self.source, self.source.feed(feed, 1)?, ids).await
    }

    async fn sample(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<Vec<SampledRecord>, SourceError> {
        let feed = self.source.feed(feed, 1)?;
        check::sample::read(&self.source, feed, now)
            .await
            .map_err(|failure| source_error(feed, &failure))
    }

    async fn changed(&self) -> Result<(), SourceError> {
        self.source.sessions.driver.changed().await;
        Ok(())
    }
}

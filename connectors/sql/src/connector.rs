//! The connector: one page at a time, by the way in which the feed's changes are noticed.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_kit::{
    ChangeNotice, CheckReport, ClinicRecord, Connector, ContentsPage, Feed, KeysPage, KeysRequest,
    Page, PageRequest, SampledRecord, SourceError, SourceSurprise, SweepReads,
};

use crate::config::ChangeDetection;
use crate::cursor::{self, ChangesPosition, Columns, LoadPosition, LoadedPosition};
use crate::driver::{Driver, Failure};
use crate::load::Resume;
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::{SqlSource, source_error};
use crate::without_key::RowsWithoutKey;
use crate::{changes, check, load, pull, sweep};

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

    /// A page of a feed that goes by one stamp; a load from the very beginning where there is no
    /// position among stamps.
    async fn by_stamp(
        &self,
        feed: &FeedSettings,
        request: &PageRequest,
    ) -> Result<Page, SourceError> {
        let pull = pull::read(&self.source, feed, request).await;
        let (layout, pull) = pull.map_err(|failure| source_error(feed, &failure))?;
        let Some(pull) = pull else {
            return self.load(feed, None, request).await;
        };
        let settings = &self.source.settings;
        let resume = pull.resume(&layout, settings, request.now);
        let next = pull.next(&layout);
        self.log_without_key(feed, request).await;
        let reader = Reader::new(&layout, feed, settings);
        let rows = pull.rows.rows.rows();
        let records: Vec<ClinicRecord> = rows.map(|row| reader.record(row)).collect();
        Ok(Page {
            surprise: pull.surprise.or(repeated(&records)),
            records,
            next: next.as_ref().map(cursor::write).transpose()?,
            resume: resume.as_ref().map(cursor::write).transpose()?,
        })
    }

    /// A load from the very beginning, since the cursor says nothing.
    async fn start_over(
        &self,
        feed: &FeedSettings,
        request: &PageRequest,
    ) -> Result<Page, SourceError> {
        pull::log_not_understood(feed);
        self.load(feed, None, request).await
    }

    /// A page of a first load.
    async fn load(
        &self,
        feed: &FeedSettings,
        position: Option<LoadPosition>,
        request: &PageRequest,
    ) -> Result<Page, SourceError> {
        let page = load::page(&self.source, feed, position, request).await;
        let page = page.map_err(|failure| source_error(feed, &failure))?;
        self.log_without_key(feed, request).await;
        let reader = Reader::new(&page.layout, feed, &self.source.settings);
        let rows = page.rows.rows();
        let mut records: Vec<ClinicRecord> = rows.map(|row| reader.record(row)).collect();
        let surprise = repeated(&records);
        if surprise.is_some() {
            // The newest of an id comes last, as in the order of stamps. The rows of one id are
            // never on two pages.
            records.sort_by_key(|record| record.stamp);
        }
        let resume = page.resume.as_ref().map(Resume::write).transpose()?;
        Ok(Page {
            surprise,
            records,
            next: resume.clone().filter(|_| page.goes_on),
            resume,
        })
    }

    /// A page of a feed that goes by several stamps.
    async fn by_changes(
        &self,
        feed: &FeedSettings,
        position: ChangesPosition,
        request: &PageRequest,
    ) -> Result<Page, SourceError> {
        let page = changes::page(&self.source, feed, position, request).await;
        let page = page.map_err(|failure| source_error(feed, &failure))?;
        let Some(page) = page else {
            return self.load(feed, None, request).await;
        };
        self.log_without_key(feed, request).await;
        Ok(Page {
            records: page.records,
            next: page.next.as_ref().map(cursor::write).transpose()?,
            resume: page.resume.as_ref().map(cursor::write).transpose()?,
            surprise: page.surprise,
        })
    }

    /// An empty page of a feed whose changes only sweeps notice, once it is loaded: a look at its
    /// columns, and at no row.
    async fn loaded(
        &self,
        feed: &FeedSettings,
        position: &LoadedPosition,
        request: &PageRequest,
    ) -> Result<Page, SourceError> {
        let goes_on = self.has_columns(feed, position).await;
        if !goes_on.map_err(|failure| source_error(feed, &failure))? {
            return self.load(feed, None, request).await;
        }
        Ok(Page {
            records: Vec::new(),
            next: None,
            resume: None,
            surprise: None,
        })
    }

    async fn has_columns(
        &self,
        feed: &FeedSettings,
        position: &LoadedPosition,
    ) -> Result<bool, Failure> {
        let mut lent = self.source.sessions.lend().await?;
        let layout = self.source.layout(feed, &mut lent).await?;
        lent.give_back().await?;
        let goes_on = pull::has_columns(&self.source, feed, &layout, &position.columns)?;
        self.source.remember(feed, Columns::of(&layout));
        Ok(goes_on)
    }

    async fn log_without_key(&self, feed: &FeedSettings, request: &PageRequest) {
        if request.first_of_run && !request.hinted {
            self.without_key.log(&self.source, feed, request.now).await;
        }
    }
}

/// Ids that stand twice in a page, as a surprise.
fn repeated(records: &[ClinicRecord]) -> Option<SourceSurprise> {
    let ids = records.iter().map(|record| record.record_id.as_str());
    sweep::repeat(ids).then_some(SourceSurprise::IdsRepeat)
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
        let Some(cursor) = &request.after else {
            return self.load(feed, None, &request).await;
        };
        if let Some(position) = cursor::read::<LoadPosition>(cursor) {
            return self.load(feed, Some(position), &request).await;
        }
        // A sweep's open statement has rows that may be older than those of this page.
        self.source.whole.close(feed.feed);
        match feed.detection {
            ChangeDetection::Stamp => self.by_stamp(feed, &request).await,
            ChangeDetection::SeveralStamps => match cursor::read(cursor) {
                Some(position) => self.by_changes(feed, position, &request).await,
                None => self.start_over(feed, &request).await,
            },
            ChangeDetection::Content => match cursor::read(cursor) {
                Some(position) => self.loaded(feed, &position, &request).await,
                None => self.start_over(feed, &request).await,
            },
        }
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

    fn sweep_reads(&self, feed: Feed) -> SweepReads {
        let mut feeds = self.source.settings.feeds.iter();
        let has_stamps = feeds
            .find(|known| known.feed == feed)
            .is_none_or(|feed| feed.has_stamp() && !feed.config.sweep_contents);
        if has_stamps {
            SweepReads::Stamps
        } else {
            SweepReads::Contents
        }
    }

    fn notices(&self, feed: Feed) -> ChangeNotice {
        let mut feeds = self.source.settings.feeds.iter();
        let known = feeds.find(|known| known.feed == feed);
        match known.map_or(ChangeDetection::Stamp, |feed| feed.detection) {
            ChangeDetection::Stamp => ChangeNotice::Stamp,
            ChangeDetection::SeveralStamps => ChangeNotice::SeveralStamps,
            ChangeDetection::Content => ChangeNotice::Contents,
        }
    }

    async fn contents(&self, request: KeysRequest) -> Result<ContentsPage, SourceError> {
        let feed = self.source.feed(request.feed, request.limit)?;
        let limit = request.limit.min(MAX_PAGE_ROWS);
        sweep::contents(&self.source, feed, &request, limit).await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let settings = self.source.feed(feed, 1)?;
        // Its rows may be older than those that are read here.
        self.source.whole.close_rows(feed);
        sweep::fetch(&self.source, settings, ids).await
    }

    async fn sample(
        &self,
        feed: Feed,
        _now: DateTime<Utc>,
    ) -> Result<Vec<SampledRecord>, SourceError> {
        let feed = self.source.feed(feed, 1)?;
        check::sample::read(&self.source, feed)
            .await
            .map_err(|failure| source_error(feed, &failure))
    }

    async fn changed(&self) -> Result<(), SourceError> {
        self.source.sessions.driver.changed().await;
        Ok(())
    }
}

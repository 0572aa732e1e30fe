//! The source that pages, sweeps and `check` read: its sessions, its settings, and its columns as
//! they were last seen.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clock::{Clock as _, SystemClock};
use connector_kit::{Feed, SourceError};
use parking_lot::Mutex;

use crate::config::Common;
use crate::cursor::{Columns, Drift};
use crate::driver::{Driver, Failure, LentSession, Sessions};
use crate::hourly::Hourly;
use crate::layout::{Layout, resolve};
use crate::open_read::WholeReads;
use crate::page::{Order, Pager};
use crate::present::Clocks;
use crate::settings::{FeedSettings, SqlSettings};

/// A feed, and the name of one of its change queries where it is not the feed's own query.
type QueryName = (Feed, Option<String>);

/// A clinic's database with its configured feeds.
pub(crate) struct SqlSource {
    pub sessions: Sessions,
    pub settings: SqlSettings,
    /// Measures how long runs take; the time itself comes with the requests.
    pub clock: SystemClock,
    /// Columns that pages were last read with, or should have been.
    columns: Mutex<HashMap<Feed, Columns>>,
    /// Columns as the database last described them, of each feed and of its change queries.
    layouts: Mutex<HashMap<QueryName, Arc<Layout>>>,
    /// Statements that read a whole feed, and stay open from page to page.
    pub whole: WholeReads,
    /// Feeds whose stamps were told to be written in several ways.
    mixed: Mutex<HashSet<Feed>>,
    /// Change queries of which it was told that ids have no row.
    without_row: Hourly<QueryName>,
}

impl SqlSource {
    pub(crate) fn new(driver: Box<dyn Driver>, common: Common) -> Result<Self, SourceError> {
        let settings = SqlSettings::new(common, driver.syntax())?;
        let sessions = Sessions::new(driver, settings.connect_timeout, settings.statement_timeout);
        Ok(Self {
            sessions,
            settings,
            clock: SystemClock::default(),
            columns: Mutex::default(),
            layouts: Mutex::default(),
            whole: WholeReads::default(),
            mixed: Mutex::default(),
            without_row: Hourly::default(),
        })
    }

    /// Has the database describe the feed's columns.
    pub(crate) async fn layout(
        &self,
        feed: &FeedSettings,
        lent: &mut LentSession<'_>,
    ) -> Result<Arc<Layout>, Failure> {
        let described = lent.describe(&feed.statement.text).await?;
        let found = resolve(feed, &described);
        let layout = found.layout.map(Arc::new).ok_or_else(|| {
            let problem = found.errors.into_iter().next();
            let (what, help) =
                problem.map_or(Default::default(), |problem| (problem.what, problem.help));
            Failure::misconfigured(what, help)
        })?;
        let mut layouts = self.layouts.lock();
        layouts.insert((feed.feed, feed.change.clone()), Arc::clone(&layout));
        Ok(layout)
    }

    /// The feed's columns as they were described, where rows themselves show that they are no
    /// longer so: a query without a `*` gives the columns it names or fails, and their types come
    /// with every row.
    pub(crate) fn known_layout(&self, feed: &FeedSettings) -> Option<Arc<Layout>> {
        if feed.statement.selects_all || !self.sessions.driver.keeps_sessions() {
            return None;
        }
        let key = (feed.feed, feed.change.clone());
        self.layouts.lock().get(&key).cloned()
    }

    /// Clocks beside the source's own, for a page that is asked for now.
    pub(crate) async fn clocks(&self, now: DateTime<Utc>) -> Clocks<'_> {
        Clocks {
            now,
            watch: &self.clock,
            entered: self.clock.elapsed(),
            written: self.sessions.driver.last_written().await,
        }
    }

    /// True at the first call for a feed: once is enough for a log.
    pub(crate) fn is_news(&self, feed: Feed) -> bool {
        self.mixed.lock().insert(feed)
    }

    /// True where it is due to tell that ids of a change query have no row: once an hour, since
    /// each run reads an overlap again.
    pub(crate) fn is_due_to_tell(&self, change: &FeedSettings, now: DateTime<Utc>) -> bool {
        let name = (change.feed, change.change.clone());
        self.without_row.is_due(name, now)
    }

    /// Keeps the columns that rows of a feed are to have.
    pub(crate) fn remember(&self, feed: &FeedSettings, columns: Columns) {
        if feed.change.is_none() {
            self.columns.lock().insert(feed.feed, columns);
        }
    }

    /// Fails where a column is gone that pages were read with.
    pub(crate) fn ensure_none_gone(&self, feed: Feed, layout: &Layout) -> Result<(), Failure> {
        let known = self.columns.lock();
        match known.get(&feed).map(|columns| columns.drift(layout)) {
            Some(Drift::Gone(column)) => Err(gone(&column)),
            _ => Ok(()),
        }
    }

    /// Writes statements around the feed's query.
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

    /// The settings of a feed that a page of so many records is asked of.
    pub(crate) fn feed(&self, feed: Feed, limit: u32) -> Result<&FeedSettings, SourceError> {
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
}

/// Failure of a feed whose rows would say less than they did without this column.
pub(crate) fn gone(column: &str) -> Failure {
    Failure::misconfigured(
        format!("column `{column}` is gone; it was there when the feed was last read"),
        "put it back; if it is meant to be gone, start the source over with `clinic-gateway sync \
         --full`",
    )
}

/// A failure of a feed in the words of the trait.
pub(crate) fn source_error(feed: &FeedSettings, failure: &Failure) -> SourceError {
    failure.at(&format!("feed {}", feed.place()), Some(&feed.statement))
}

/// Logs how many rows the database could not hand over, and why.
pub(crate) fn log_unreadable(feed: &FeedSettings, rows: usize, reason: &str) {
    if rows > 0 {
        tracing::warn!(
            event = "unreadable-rows",
            feed = feed.feed.as_str(),
            rows,
            reason,
            "rows the database cannot hand over are refused; the others are read"
        );
    }
}

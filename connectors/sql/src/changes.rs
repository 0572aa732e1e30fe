//! Several stamps: what the change queries name since their positions, and the rows of the feed's
//! own query with these ids.
//!
//! Each change query is read as a feed with one stamp is, with its own position, overlap and
//! closing. A page holds what one page of one change query names.

use std::collections::HashSet;
use std::sync::Arc;

use connector_kit::{ClinicRecord, PageRequest, SourceSurprise};

use crate::cursor::{self, ChangesPosition, ChangesRun, Columns, Position};
use crate::driver::{Failure, LentSession};
use crate::layout::Layout;
use crate::present::Clocks;
use crate::pull::Pull;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::Table;
use crate::{named_ids, pull};

/// A page of what the change queries name.
pub(crate) struct ChangesPage {
    pub records: Vec<ClinicRecord>,
    /// Position at which the run's next page begins.
    pub next: Option<ChangesPosition>,
    /// Position at which the next run begins, where it has moved.
    pub resume: Option<ChangesPosition>,
    pub surprise: Option<SourceSurprise>,
}

/// Reads the next page; `None` where the feed starts over.
pub(crate) async fn page(
    source: &SqlSource,
    feed: &FeedSettings,
    mut position: ChangesPosition,
    request: &PageRequest,
) -> Result<Option<ChangesPage>, Failure> {
    let clocks = source.clocks(request.now).await;
    let mut lent = source.sessions.lend().await?;
    let known = source.known_layout(feed).filter(|_| !request.first_of_run);
    let layout = match known {
        Some(layout) => layout,
        None => source.layout(feed, &mut lent).await?,
    };
    if !pull::has_columns(source, feed, &layout, &position.columns)? {
        return Ok(None);
    }
    source.remember(feed, Columns::of(&layout));
    let run = position.run.take();
    let mut walk = Walk {
        source,
        feed,
        layout: &layout,
        request,
        clocks: &clocks,
        position,
        has_moved: false,
        surprise: None,
    };
    let page = walk.go(&mut lent, run).await?;
    lent.give_back().await?;
    Ok(page)
}

/// A walk over the change queries, up to the first that names rows.
struct Walk<'w> {
    source: &'w SqlSource,
    feed: &'w FeedSettings,
    layout: &'w Layout,
    request: &'w PageRequest,
    clocks: &'w Clocks<'w>,
    /// Positions at which the next run begins.
    position: ChangesPosition,
    /// True where one of them is another than before.
    has_moved: bool,
    surprise: Option<SourceSurprise>,
}

impl Walk<'_> {
    async fn go(
        &mut self,
        lent: &mut LentSession<'_>,
        run: Option<ChangesRun>,
    ) -> Result<Option<ChangesPage>, Failure> {
        let name = run.as_ref().map(|run| run.query.clone());
        let begins = |change: &&FeedSettings| name.is_none() || change.change == name;
        let Some(start) = self.feed.changes.iter().position(|change| begins(&change)) else {
            pull::log_not_understood(self.feed);
            return Ok(None);
        };
        let mut place = run.and_then(|run| run.place);
        for index in start..self.feed.changes.len() {
            let change = &self.feed.changes[index];
            let Some((keys, pull)) = self.pull(change, lent, place.take()).await? else {
                return Ok(None);
            };
            if pull.rows.rows.is_empty() && pull.rows.next.is_none() {
                continue;
            }
            let records = self.records(lent, change, &pull.rows.rows).await?;
            let query = change.change.clone().unwrap_or_default();
            let following = self.feed.changes.get(index + 1);
            let run = match pull.next(&keys) {
                Some(place) => Some(ChangesRun {
                    query,
                    place: Some(place),
                }),
                None => following.map(|change| ChangesRun {
                    query: change.change.clone().unwrap_or_default(),
                    place: None,
                }),
            };
            return Ok(Some(self.page(records, run)));
        }
        Ok(Some(self.page(Vec::new(), None)))
    }

    /// Reads a page of one change query, and moves its position.
    async fn pull(
        &mut self,
        change: &FeedSettings,
        lent: &mut LentSession<'_>,
        place: Option<Position>,
    ) -> Result<Option<(Arc<Layout>, Pull)>, Failure> {
        let name = change.change.clone().unwrap_or_default();
        let first_of_run = place.is_none();
        let known = self.source.known_layout(change).filter(|_| !first_of_run);
        let keys = match known {
            Some(keys) => keys,
            None => {
                let keys = self.source.layout(change, lent).await;
                keys.map_err(|failure| failure.of_change(change))?
            }
        };
        named_ids::ensure_fit(change, &keys, self.layout)?;
        let after = place.or_else(|| self.position.changes.get(&name).cloned());
        let after = after.map(|place| cursor::write(&place)).transpose();
        let after = after.map_err(|_| {
            Failure::misconfigured(
                format!("{}: {}", change.place(), cursor::TOO_LONG),
                cursor::SHORTER,
            )
        })?;
        let request = PageRequest {
            after,
            first_of_run,
            ..self.request.clone()
        };
        let pull = Pull::read(self.source, change, &keys, lent, &request, self.clocks).await;
        let Some(pull) = pull.map_err(|failure| failure.of_change(change))? else {
            return Ok(None);
        };
        self.surprise = self.surprise.or(pull.surprise);
        if let Some(resume) = pull.resume(&keys, &self.source.settings, self.request.now) {
            self.has_moved |= self.position.changes.get(&name) != Some(&resume);
            self.position.note(name, resume);
        }
        Ok(Some((keys, pull)))
    }

    /// The rows of the feed's own query that a page of a change query names. Ids that none has are
    /// counted: the query may leave some out, or the change query may name something else.
    async fn records(
        &mut self,
        lent: &mut LentSession<'_>,
        change: &FeedSettings,
        rows: &Table,
    ) -> Result<Vec<ClinicRecord>, Failure> {
        let mut found = named_ids::find(self.source, self.feed, self.layout, lent, rows).await?;
        if found.repeats {
            self.surprise = self.surprise.or(Some(SourceSurprise::IdsRepeat));
            keep_last(&mut found.records);
        }
        if found.without_row > 0 && self.source.is_due_to_tell(change, self.request.now) {
            tracing::info!(
                event = "ids-without-row",
                feed = change.feed.as_str(),
                change = change.change.as_deref(),
                ids = found.ids,
                without_row = found.without_row,
                "ids of a change query are of no row of the feed's own query, which may leave such \
                 rows out; see `check`"
            );
        }
        Ok(found.records)
    }

    fn page(&self, records: Vec<ClinicRecord>, run: Option<ChangesRun>) -> ChangesPage {
        let next = run.map(|run| ChangesPosition {
            run: Some(run),
            ..self.position.clone()
        });
        ChangesPage {
            records,
            next,
            resume: self.has_moved.then(|| self.position.clone()),
            surprise: self.surprise,
        }
    }
}

/// Keeps, of records with the same id, the one that was read last.
fn keep_last(records: &mut Vec<ClinicRecord>) {
    let mut known = HashSet::new();
    records.reverse();
    records.retain(|record| known.insert(record.record_id.clone()));
    records.reverse();
}

//! Several stamps: what the change queries name since their positions, and the rows of the feed's
//! own query with these ids.
//!
//! Each change query is read as a feed with one stamp is, with its own position, overlap and
//! closing. A page holds what one page of one change query names.

use std::collections::HashSet;
use std::sync::Arc;

use connector_kit::{ClinicRecord, MAX_FETCH_IDS, PageRequest, SourceSurprise};

use crate::cursor::{self, ChangesPosition, ChangesRun, Columns, Position};
use crate::driver::{Failure, LentSession};
use crate::layout::{Layout, RECORD_ID};
use crate::page::{Order, Pager};
use crate::present::Clocks;
use crate::pull::Pull;
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::Table;
use crate::value::{Key, Kind};
use crate::{pull, sweep};

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
            let ids = ids(&pull.rows.rows, self.layout);
            if ids.is_empty() && pull.rows.next.is_none() {
                continue;
            }
            let records = self.records(lent, ids).await?;
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
        ensure_ids_fit(change, &keys, self.layout)?;
        let after = place.or_else(|| self.position.changes.get(&name).cloned());
        let after = after.map(|place| cursor::write(&place)).transpose();
        let after = after.map_err(|_| {
            Failure::misconfigured(
                format!(
                    "{}: a record_id or changed_at is too long to remember",
                    change.place()
                ),
                "select a shorter record_id, at most 512 characters",
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
            self.position.changes.insert(name, resume);
        }
        Ok(Some((keys, pull)))
    }

    /// The rows of the feed's own query with these ids.
    async fn records(
        &mut self,
        lent: &mut LentSession<'_>,
        ids: Vec<Key>,
    ) -> Result<Vec<ClinicRecord>, Failure> {
        let pager: Pager<'_> = self.source.pager(self.feed, self.layout, Order::Id);
        let reader = Reader::new(self.layout, self.feed, &self.source.settings);
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_FETCH_IDS) {
            let rows = sweep::with_ids(self.feed, &pager, lent, ids.to_vec()).await?;
            records.extend(rows.rows().map(|row| reader.record(row)));
        }
        if sweep::repeat(records.iter().map(|record| record.record_id.as_str())) {
            self.surprise = self.surprise.or(Some(SourceSurprise::IdsRepeat));
            keep_last(&mut records);
        }
        Ok(records)
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

/// Ids that rows of a change query name, each once, as values of the feed's own `record_id`. One
/// that was too long to be handed over whole is left to the sweep.
fn ids(rows: &Table, layout: &Layout) -> Vec<Key> {
    let kind = layout.kinds[RECORD_ID];
    let mut known = HashSet::new();
    let ids = rows.rows().map(|row| row.cell(RECORD_ID));
    let ids = ids.filter(|id| !id.is_cut()).filter_map(|id| id.key());
    let of_kind = |id: Key| Key {
        kind: if kind == Kind::Dynamic { id.kind } else { kind },
        value: id.value,
    };
    ids.map(of_kind)
        .filter(|id| known.insert(id.value.clone()))
        .collect()
}

/// Keeps, of records with the same id, the one that was read last.
fn keep_last(records: &mut Vec<ClinicRecord>) {
    let mut known = HashSet::new();
    records.reverse();
    records.retain(|record| known.insert(record.record_id.clone()));
    records.reverse();
}

/// Fails where the ids of a change query cannot be those of the feed's own query.
pub(crate) fn ensure_ids_fit(
    change: &FeedSettings,
    keys: &Layout,
    layout: &Layout,
) -> Result<(), Failure> {
    let is_number = |kind| matches!(kind, Kind::Integer | Kind::Unsigned | Kind::Decimal);
    let is_text = |kind| matches!(kind, Kind::Text | Kind::FixedText);
    let named = keys.kinds[RECORD_ID];
    let own = layout.kinds[RECORD_ID];
    if named == own || (is_number(named) && is_number(own)) || (is_text(named) && is_text(own)) {
        return Ok(());
    }
    Err(Failure::misconfigured(
        format!(
            "{}: its record_id is of another type than that of the feed's own query",
            change.place()
        ),
        "select the same column as in `query`, with the same conversion if there is one",
    ))
}

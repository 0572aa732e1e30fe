//! Pages, from the look-up to the commit.

use std::collections::HashSet;
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::TimeDelta;
use contract::RecordDigest;
use sqlx::sqlite::SqliteConnection;

use super::drafts::{refused_without_draft, sort_and_keep_last};
use super::evaluation::evaluate;
use super::plan::{PagePlan, PlanBasis};
use super::prepared::{NotCommitted, Prepared, ReadState};
use super::types::{Committed, PageCommit, Pulled};
use crate::batches::{Capacity, NewBatch, Sealing, store_batches};
use crate::corrections::{self, Noticed};
use crate::dead_letters::{
    Origin, RegistryLetter, VERSIONS_EXHAUSTED, close_accepted, close_of_registry, close_parked,
    failed_since, forget_unlisted, open_letters, open_refused,
};
use crate::feeds::{enter_feed, feed_id};
use crate::file::{Database, OutboxError, to_ms};
use crate::limits::UNREADABLE_AGAIN_MS;
use crate::records::{Key, LookedUp, Records, add_names, key_of, store_moved, store_names};
use crate::sweep::{NamesLacking, SeenPage, note_page};
use crate::values::{note_values, tidy_values};
use crate::versions::{CommitGuard, Versions};

/// Pages of all feeds, over one writer.
#[derive(Debug)]
pub(crate) struct Pages {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    sealing: Arc<Sealing>,
    capacity: Arc<Capacity>,
}

impl Pages {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        sealing: Arc<Sealing>,
        capacity: Arc<Capacity>,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            sealing,
            capacity,
        }
    }

    /// Looks the page's records up, plans its events, and seals them.
    pub(crate) async fn prepare(&self, mut page: PageCommit) -> Result<Prepared, OutboxError> {
        page.check()?;
        let offered_drafts = page.drafts.len() as u64;
        let sorted = sort_and_keep_last(std::mem::take(&mut page.drafts));
        let kind = sorted.drafts.first().map(|pulled| pulled.draft.body.kind());
        let (read, plan, batches) = self.plan_and_seal(&page, sorted.drafts).await?;
        Ok(Prepared {
            page,
            kind,
            offered_drafts,
            replaced_drafts: sorted.replaced,
            read,
            plan,
            batches,
        })
    }

    /// Prepares the page anew. Only under the gate, where nothing changes that it rests on.
    async fn prepare_anew(&self, prepared: &mut Prepared) -> Result<(), OutboxError> {
        let drafts = std::mem::take(&mut prepared.plan).into_drafts();
        let (read, plan, batches) = self.plan_and_seal(&prepared.page, drafts).await?;
        prepared.read = read;
        prepared.plan = plan;
        prepared.batches = batches;
        Ok(())
    }

    /// Plans sorted drafts of distinct records, and seals the events.
    async fn plan_and_seal(
        &self,
        page: &PageCommit,
        drafts: Vec<Pulled>,
    ) -> Result<(ReadState, PagePlan, Vec<NewBatch>), OutboxError> {
        let refused = refused_without_draft(&page.refused, &drafts);
        let digests: Vec<RecordDigest> = drafts
            .iter()
            .map(|pulled| &pulled.draft.record)
            .chain(refused.keys())
            .copied()
            .collect();
        // The point first: a commit between the two then counts as unseen, never the other way
        // round.
        let point = self.versions.gate().read_point();
        let generation = self.versions.generation();
        let LookedUp { known, upto } = self.records.look_up(&digests).await?;
        let drafted = &digests[..drafts.len()];
        let refused_contents =
            corrections::contents_refused(self.database.readers(), drafted).await?;
        let feed_id = feed_id(self.database.readers(), &page.source, &page.feed).await?;
        let names = NamesLacking::find(self.database.readers(), page, &known).await?;
        let mut keys: Vec<Key> = digests.iter().map(key_of).collect();
        keys.sort_unstable();
        let basis = PlanBasis {
            feed_id,
            generation,
            contents_since: self.versions.contents_since(),
            may_be_lost: !refused.is_empty()
                && corrections::may_be_lost(self.database.readers(), feed_id, generation, page.now)
                    .await?,
            refused_contents: &refused_contents,
        };
        let mut plan = PagePlan::new(drafts, &refused, &known, basis);
        self.sealing
            .shuffle(&mut plan.new_events, &mut plan.metadata)?;
        let new_events = std::mem::take(&mut plan.new_events);
        let new_events = evaluate(new_events, page.evaluator.as_deref()).await?;
        let (batches, events) = self.sealing.seal(new_events).await?;
        plan.events = events;
        fault::check::<OutboxError>(fault::Point::OutboxSealed)?;
        let read = ReadState {
            point,
            keys,
            generation,
            feed_id,
            record_nos: known.values().map(|known| known.record_no).collect(),
            upto,
            names,
        };
        Ok((read, plan, batches))
    }

    /// Prepares and commits a page under one guard: pages are committed in the order in which they
    /// came.
    pub(crate) async fn commit_page(&self, page: PageCommit) -> Result<Committed, OutboxError> {
        let mut guard = self.versions.gate().lock_for_records().await;
        self.capacity.check_for_page(&guard).await?;
        let prepared = self.prepare(page).await?;
        self.write(&mut guard, &prepared).await
    }

    /// Commits a prepared page; prepares it anew first if anything it rests on may have changed.
    pub(crate) async fn commit(&self, mut prepared: Prepared) -> Result<Committed, NotCommitted> {
        let give_back = |error, prepared| NotCommitted {
            error,
            prepared: Some(Box::new(prepared)),
        };
        let mut guard = self.versions.gate().lock_for_records().await;
        if let Err(full) = self.capacity.check_for_page(&guard).await {
            return Err(give_back(full, prepared));
        }
        match self.is_stale(&guard, &prepared).await {
            Ok(false) => {}
            Ok(true) => self.prepare_anew(&mut prepared).await?,
            Err(error) => return Err(give_back(error, prepared)),
        }
        match self.write(&mut guard, &prepared).await {
            Ok(committed) => Ok(committed),
            Err(error) => Err(give_back(error, prepared)),
        }
    }

    /// Returns whether a commit since may have changed the state that the page rests on.
    pub(super) async fn is_stale(
        &self,
        guard: &CommitGuard<'_>,
        prepared: &Prepared,
    ) -> Result<bool, OutboxError> {
        let Prepared { page, read, .. } = prepared;
        if read.generation != self.versions.generation()
            || guard.may_have_changed(read.point, &read.keys)
        {
            return Ok(true);
        }
        // A feed, once it is there, keeps its number; and the number matters only to records that
        // are known.
        if read.feed_id.is_some() || read.record_nos.is_empty() {
            return Ok(false);
        }
        let feed_id = feed_id(self.database.readers(), &page.source, &page.feed).await?;
        Ok(feed_id.is_some())
    }

    /// Writes and commits a page that rests on the present state.
    async fn write(
        &self,
        guard: &mut CommitGuard<'_>,
        prepared: &Prepared,
    ) -> Result<Committed, OutboxError> {
        let Prepared {
            page, read, plan, ..
        } = prepared;
        let batches = &prepared.batches;
        let mut counts = prepared.counts();
        // Announced before anything is done: the guard may end anywhere.
        let added_bytes: usize = batches.iter().map(|new| new.batch.bytes.len()).sum();
        guard.announce(plan.changed.clone(), added_bytes as u64);
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let feed_id = enter_feed(
            connection,
            &page.source,
            &page.feed,
            prepared.kind,
            page.now,
        )
        .await?;
        // New records are only those that no other page has appended since the look-up: `store`
        // refuses them otherwise.
        let appended = self
            .records
            .store(connection, &plan.updates, feed_id, read.upto)
            .await?;
        let secrets = self.sealing.secrets();
        if let Some(step) = &page.sweep {
            add_names(connection, secrets, &step.names_to_add()).await?;
            add_names(connection, secrets, &read.names.of_records).await?;
        }
        let last_known = appended.after();
        store_names(connection, secrets, &plan.updates, &page.names, last_known).await?;
        store_moved(connection, &plan.moved, feed_id).await?;
        store_batches(connection, batches, page.now).await?;
        let refused = &page.refused;
        note_values(connection, secrets.values(), refused, feed_id, page.now).await?;
        store_dead_letters(connection, page, plan, feed_id, &mut counts).await?;
        tidy_values(connection, refused, feed_id).await?;
        let seen = SeenPage {
            step: page.sweep.as_ref(),
            record_nos: &read.record_nos,
            upto: read.upto,
            names: &read.names,
            rows_read: counts.read,
            missed: counts.missed,
        };
        note_page(connection, feed_id, &seen).await?;
        if page.reads_contents() {
            fault::check::<OutboxError>(fault::Point::OutboxSweepNoted)?;
        }
        store_progress(connection, feed_id, prepared, &counts).await?;
        self.versions
            .commit(transaction, !batches.is_empty())
            .await?;
        self.records.note_committed(&appended).await;
        Ok(counts)
    }
}

impl Prepared {
    /// Counts of the page, but for its dead letters.
    const fn counts(&self) -> Committed {
        let mut counts = self.plan.counts;
        counts.refused = self.page.refused.len() as u64;
        counts.read = self.offered_drafts + counts.refused;
        counts.unchanged += self.replaced_drafts;
        counts.batches = self.batches.len() as u64;
        if self.page.sweep.is_none() {
            counts.missed = 0;
        }
        if !self.page.reads_contents() {
            counts.went_back = 0;
        }
        counts
    }

    /// Cursor to write; `None` where the generation has risen since the run began.
    fn resume(&self) -> Option<&String> {
        let generation = self.read.generation;
        let has_risen = self
            .page
            .generation_at_read
            .is_some_and(|generation_at_read| generation_at_read < generation);
        self.page.resume.as_ref().filter(|_| !has_risen)
    }
}

/// Opens and closes dead letters, and counts those of the clinic; the same for notes of refused
/// corrections, whose records' letters follow them.
async fn store_dead_letters(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    plan: &PagePlan,
    feed_id: i64,
    counts: &mut Committed,
) -> Result<(), OutboxError> {
    let sent = plan
        .updates
        .iter()
        .filter(|update| update.revision.count > 0)
        .map(|update| &update.record);
    let unsent = plan.unchanged.iter().chain(&plan.parked);
    let unsent = unsent.map(|pulled| &pulled.draft.record);
    let forgotten = corrections::forget(connection, sent.clone().chain(unsent)).await?;
    let noticed = |record: RecordDigest, possible| Noticed {
        record,
        feed_id,
        possible,
        by_registry: false,
        content: None,
    };
    let failed = refused_before(connection, page, &plan.unread_corrections, feed_id).await?;
    let certain = plan.refused_corrections.iter().chain(&failed);
    let certain = certain.map(|record| noticed(*record, false));
    let possible = plan.possible_corrections.iter();
    let possible = possible.map(|record| noticed(*record, true));
    let noticed: Vec<Noticed> = certain.chain(possible).collect();
    corrections::notice(connection, &noticed, page.now).await?;
    close_of_registry(connection, sent.chain(&forgotten)).await?;
    let unchanged = plan.unchanged.iter().map(|pulled| &pulled.draft.record);
    close_parked(connection, unchanged).await?;
    let parked = plan.parked.iter().map(|pulled| RegistryLetter {
        record: pulled.draft.record,
        feed_id: Some(feed_id),
        reason: VERSIONS_EXHAUSTED,
        stamp: pulled.stamp,
    });
    open_letters(connection, parked, page.now).await?;
    counts.refused_new = open_refused(connection, &page.refused, feed_id, page.now).await?;
    let refused: HashSet<&RecordDigest> = page.refused.iter().map(|row| &row.record).collect();
    let well = plan.records().filter(|record| !refused.contains(record));
    counts.cleared = forget_unlisted(connection, well, Origin::Clinic).await?;
    let accepted = &page.accepted_record_ids;
    counts.cleared += close_accepted(connection, accepted, &page.refused, feed_id).await?;
    Ok(())
}

/// Those of the page's unread corrections that an earlier run could not send either. To be asked
/// before the page's own letters are written.
async fn refused_before(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    unread: &[RecordDigest],
    feed_id: i64,
) -> Result<Vec<RecordDigest>, OutboxError> {
    if unread.is_empty() {
        return Ok(Vec::new());
    }
    let unread: HashSet<&RecordDigest> = unread.iter().collect();
    let rows = page.refused.iter();
    let rows = rows.filter(|row| unread.contains(&row.record));
    let before = page.now - TimeDelta::milliseconds(UNREADABLE_AGAIN_MS);
    failed_since(connection, rows, feed_id, before).await
}

/// Writes the feed's cursor and adds to its totals.
async fn store_progress(
    connection: &mut SqliteConnection,
    feed_id: i64,
    prepared: &Prepared,
    counts: &Committed,
) -> Result<(), OutboxError> {
    let number = |count: u64| count.saturating_as::<i64>();
    // A retry of dead letters and a sweep read rows of which the load knows nothing.
    let is_pull = prepared.page.generation_at_read.is_some();
    sqlx::query(
        "UPDATE feed SET cursor = coalesce(?2, cursor), pulled_at_ms = ?3, \
         new_total = new_total + ?4, corrected_total = corrected_total + ?5, \
         withdrawn_total = withdrawn_total + ?6, resent_total = resent_total + ?7, \
         unchanged_total = unchanged_total + ?8, refused_total = refused_total + ?9, \
         load_rows = load_rows + ?10, rows_read = rows_read + ?11, rows_sent = rows_sent + ?12, \
         rows_no_fact = rows_no_fact + ?13, rows_unchanged = rows_unchanged + ?8, \
         rows_refused = rows_refused + ?14, rows_parked = rows_parked + ?15 WHERE id = ?1",
    )
    .bind(feed_id)
    .bind(prepared.resume())
    .bind(to_ms(prepared.page.now))
    .bind(number(counts.new))
    .bind(number(counts.corrected))
    .bind(number(counts.withdrawn))
    .bind(number(counts.resent))
    .bind(number(counts.unchanged))
    .bind(number(counts.refused_new))
    .bind(number(if is_pull { counts.read } else { 0 }))
    .bind(number(counts.read))
    .bind(number(counts.sent))
    .bind(number(counts.no_fact))
    .bind(number(counts.refused))
    .bind(number(counts.parked))
    .execute(connection)
    .await?;
    Ok(())
}

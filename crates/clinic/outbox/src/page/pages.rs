//! Pages, from the look-up to the commit.

use std::sync::Arc;

use az::SaturatingAs as _;
use contract::{ContentDigest, RecordDigest};
use draft::Draft;
use sqlx::sqlite::SqliteConnection;

use super::drafts::{refused_without_draft, sort_and_keep_last};
use super::evaluation::evaluate;
use super::letters::store_dead_letters;
use super::plan::{PagePlan, PlanBasis};
use super::prepared::{NotCommitted, Prepared, ReadState};
use super::types::{Committed, PageCommit, Pulled};
use crate::batches::{Capacity, NewBatch, Sealing, store_batches};
use crate::classes::{self, ClassChanges, Opening};
use crate::corrections;
use crate::feeds::{enter_feed, feed_id};
use crate::file::{Database, OutboxError, to_ms};
use crate::records::{
    Key, KnownRecord, LookedUp, RecordMap, Records, add_names, key_of, store_moved, store_names,
};
use crate::sweep::{NamesLacking, SeenPage, note_page};
use crate::tokens::FeedName;
use crate::values::{note_values, tidy_values};
use crate::versions::{CommitGuard, Versions};

/// Times that a page which asks services is prepared anew outside the gate, before it is under it.
const ANEW_OUTSIDE_GATE: u32 = 3;

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

    /// Looks the page's records up, plans its events, and seals them. The longest step is on the heap:
    /// all callers' stacks would have to hold it otherwise.
    pub(crate) async fn prepare(&self, mut page: PageCommit) -> Result<Prepared, OutboxError> {
        page.check()?;
        let offered_drafts = page.drafts.len() as u64;
        let sorted = sort_and_keep_last(std::mem::take(&mut page.drafts));
        let kind = sorted.drafts.first().map(|pulled| pulled.draft.body.kind());
        let (read, plan, batches) = Box::pin(self.plan_and_seal(&page, sorted.drafts)).await?;
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

    /// Prepares the page anew. Under the gate nothing changes that it rests on.
    async fn prepare_anew(&self, prepared: &mut Prepared) -> Result<(), OutboxError> {
        let drafts = std::mem::take(&mut prepared.plan).into_drafts();
        let (read, plan, batches) = Box::pin(self.plan_and_seal(&prepared.page, drafts)).await?;
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
        let classes = self.classes_of(&drafts, &digests, &known, &refused_contents);
        let classes = Box::pin(classes).await?;
        let feed_id = feed_id(self.database.readers(), &page.source, &page.feed).await?;
        let names = NamesLacking::find(self.database.readers(), page, &known).await?;
        let mut keys: Vec<Key> = digests.iter().map(key_of).collect();
        keys.extend(classes.keys());
        keys.sort_unstable();
        let basis = PlanBasis {
            feed_id,
            generation,
            contents_since: self.versions.contents_since(),
            may_be_lost: (!refused.is_empty() || classes.any_small())
                && corrections::may_be_lost(self.database.readers(), feed_id, generation, page.now)
                    .await?,
            refused_contents: &refused_contents,
            classes: &classes,
        };
        let mut plan = PagePlan::new(drafts, &refused, &known, basis);
        self.sealing
            .shuffle(&mut plan.new_events, &mut plan.metadata)?;
        let new_events = std::mem::take(&mut plan.new_events);
        let new_events = evaluate(new_events, page.evaluator.as_deref()).await?;
        let name = FeedName {
            source: &page.source,
            feed: &page.feed,
        };
        let (batches, events) = self.sealing.seal(new_events, Some(name)).await?;
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

    /// Decides about the classes of the drafts' facts. Contents that the registry refused count
    /// nowhere.
    async fn classes_of(
        &self,
        drafts: &[Pulled],
        records: &[RecordDigest],
        known: &RecordMap<KnownRecord>,
        refused_contents: &RecordMap<ContentDigest>,
    ) -> Result<Opening, OutboxError> {
        let drafts = drafts.iter().map(|pulled| &pulled.draft);
        let is_refused =
            |draft: &&Draft| refused_contents.get(&draft.record) == Some(&draft.content);
        let candidates: Vec<&Draft> = drafts.filter(|draft| !is_refused(draft)).collect();
        let of_page = records.iter().collect();
        Opening::decide(self.database.readers(), &candidates, known, &of_page).await
    }

    /// Prepares and commits a page under one guard: pages are committed in the order in which they
    /// came.
    pub(crate) async fn commit_page(&self, page: PageCommit) -> Result<Committed, OutboxError> {
        let mut guard = self.versions.gate().lock_for_records().await;
        self.capacity.check_for_page(&guard).await?;
        let prepared = self.prepare(page).await?;
        self.write(&mut guard, &prepared).await
    }

    /// Commits a prepared page; prepares it anew first if anything it rests on may have changed. A
    /// page that asks services is prepared anew outside the gate, some times: what they are slow to
    /// answer would hold every other feed's commit. What they have answered by then is in memory.
    pub(crate) async fn commit(&self, mut prepared: Prepared) -> Result<Committed, NotCommitted> {
        let give_back = |error, prepared| NotCommitted {
            error,
            prepared: Some(Box::new(prepared)),
        };
        let mut outside = 0;
        let mut guard = loop {
            let guard = self.versions.gate().lock_for_records().await;
            if let Err(full) = self.capacity.check_for_page(&guard).await {
                return Err(give_back(full, prepared));
            }
            match self.is_stale(&guard, &prepared).await {
                Ok(false) => break guard,
                Ok(true) if self.asks_services(&prepared) && outside < ANEW_OUTSIDE_GATE => {
                    drop(guard);
                    outside += 1;
                    self.prepare_anew(&mut prepared).await?;
                }
                Ok(true) => {
                    self.prepare_anew(&mut prepared).await?;
                    break guard;
                }
                Err(error) => return Err(give_back(error, prepared)),
            }
        };
        match self.write(&mut guard, &prepared).await {
            Ok(committed) => Ok(committed),
            Err(error) => Err(give_back(error, prepared)),
        }
    }

    /// Returns whether a page needs answers of key services or of the token issuer.
    fn asks_services(&self, prepared: &Prepared) -> bool {
        prepared.page.evaluator.is_some() || self.sealing.tokens().is_some()
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
        let of_classes = ClassChanges {
            records: plan
                .records()
                .chain(refused.iter().map(|row| &row.record))
                .copied()
                .collect(),
            members: &plan.members,
            opened: &plan.opened,
            names: &page.names,
            feed_id,
            now: page.now,
        };
        classes::store(connection, secrets, &of_classes).await?;
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
         rows_refused = rows_refused + ?14, rows_parked = rows_parked + ?15, \
         rows_withheld = rows_withheld + ?16 WHERE id = ?1",
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
    .bind(number(counts.withheld))
    .execute(connection)
    .await?;
    Ok(())
}

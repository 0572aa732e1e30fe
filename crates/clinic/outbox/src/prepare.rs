//! A page before its commit: looked up, decided and sealed, while another page is being written.
//!
//! Nothing of it is written, and no sealed byte leaves. What it was decided on (records,
//! generation, feed) is looked at again under the gate; if a commit since may have changed any of
//! it, the page is prepared anew there, and what was sealed before is thrown away: no version is
//! given out by a preparation, only by a commit.

use std::fmt;

use contract::{FactKind, RecordDigest};

use crate::gate::{Key, Moment, Turn, any_common};
use crate::keys::key_of;
use crate::outbox::{Inner, check_name};
use crate::plan::{self, Plan};
use crate::records::LookedUp;
use crate::sealing::{self, Sealed};
use crate::{MAX_PAGE_DRAFTS, OutboxError, PageCommit, Pulled};

/// Longest cursor, in bytes: a connector's own (4096) and what the gateway writes before it.
const MAX_CURSOR_BYTES: usize = 4096 + 256;

/// A page whose batches are sealed, to be given to [`crate::Outbox::commit`]. Dropped instead, it
/// leaves no trace.
pub struct Prepared {
    /// Without its drafts: those are in `work`.
    pub(crate) page: PageCommit,
    /// Of the feed's facts, if a draft tells.
    pub(crate) kind: Option<FactKind>,
    /// Drafts that a later one of the same record replaced.
    pub(crate) fallen: u64,
    pub(crate) work: Work,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.work.plan.events.len();
        let batches = self.work.sealed.len();
        write!(
            f,
            "Prepared({}/{}, {events} events, {batches} batches)",
            self.page.source, self.page.feed
        )
    }
}

impl Prepared {
    /// Takes in the page that follows, so that both are committed in one transaction, with one wait
    /// for the disk; the cursor and the time are those of the second then. Given back where that
    /// would not come to the same as one commit after the other: pages of two feeds, of sweeps, or
    /// of the same record, prepared in two generations or in another order.
    ///
    /// # Errors
    /// The page given, which is to be committed after this one.
    pub fn join(&mut self, next: Self) -> Result<(), Box<Self>> {
        if !self.may_join(&next) {
            return Err(Box::new(next));
        }
        let Self {
            page,
            kind,
            fallen,
            work,
        } = next;
        self.page.refused.extend(page.refused);
        self.page
            .accepted_record_ids
            .extend(page.accepted_record_ids);
        self.page.resume = page.resume.or(self.page.resume.take());
        self.page.now = page.now;
        self.kind = self.kind.or(kind);
        self.fallen += fallen;
        self.work.join(work);
        Ok(())
    }

    fn may_join(&self, next: &Self) -> bool {
        let page = &self.page;
        let next_page = &next.page;
        let same_feed = page.source == next_page.source && page.feed == next_page.feed;
        let same_run =
            page.read_in == next_page.read_in && page.sweep.is_none() && next_page.sweep.is_none();
        let work = &self.work;
        let next_work = &next.work;
        let same_ground =
            work.generation == next_work.generation && work.feed_id == next_work.feed_id;
        let in_order = work.moment.is_no_later_than(next_work.moment);
        let apart = !any_common(&work.looked_up, &next_work.looked_up);
        same_feed && same_run && same_ground && in_order && apart
    }
}

impl Work {
    /// What rests on two looks rests on the earlier, this one's: at worst it is prepared anew
    /// without need.
    fn join(&mut self, later: Self) {
        let Self {
            looked_up,
            known,
            upto,
            plan,
            sealed,
            ..
        } = later;
        self.looked_up.extend(looked_up);
        self.looked_up.sort_unstable();
        self.known.extend(known);
        self.upto = self.upto.min(upto);
        self.plan.join(plan);
        self.sealed.extend(sealed);
    }
}

/// A page that was not committed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotCommitted {
    /// Why.
    #[source]
    pub error: OutboxError,
    /// The page as it was, to be committed later; `None` where it has to be read again.
    pub prepared: Option<Box<Prepared>>,
}

impl From<OutboxError> for NotCommitted {
    fn from(error: OutboxError) -> Self {
        Self {
            error,
            prepared: None,
        }
    }
}

impl From<NotCommitted> for OutboxError {
    fn from(not_committed: NotCommitted) -> Self {
        not_committed.error
    }
}

/// What was made of a page, and what it rests on.
pub(crate) struct Work {
    /// Before the look-up.
    moment: Moment,
    /// The keys of the records looked up, sorted.
    looked_up: Vec<Key>,
    pub(crate) generation: u32,
    feed_id: Option<i64>,
    /// The numbers of those records that were known.
    pub(crate) known: Vec<i64>,
    /// The highest number when they were looked up.
    pub(crate) upto: i64,
    pub(crate) plan: Plan,
    pub(crate) sealed: Vec<Sealed>,
}

impl Inner {
    pub(crate) async fn prepare(&self, mut page: PageCommit) -> Result<Prepared, OutboxError> {
        check(&page)?;
        let (drafts, fallen) = plan::last_of_each(std::mem::take(&mut page.drafts));
        let kind = drafts.first().map(|pulled| pulled.draft.body.kind());
        let work = self.work(&page, drafts).await?;
        Ok(Prepared {
            page,
            kind,
            fallen,
            work,
        })
    }

    /// Prepares the page anew. Only under the gate, where nothing changes what it rests on.
    pub(crate) async fn prepare_anew(&self, prepared: Prepared) -> Result<Prepared, OutboxError> {
        let Prepared {
            page,
            kind,
            fallen,
            work,
        } = prepared;
        let work = self.work(&page, work.plan.into_drafts()).await?;
        Ok(Prepared {
            page,
            kind,
            fallen,
            work,
        })
    }

    /// Whether a commit since may have changed what the page rests on.
    pub(crate) async fn is_stale(
        &self,
        turn: &Turn<'_>,
        prepared: &Prepared,
    ) -> Result<bool, OutboxError> {
        let Prepared { page, work, .. } = prepared;
        if work.generation != self.generation() || turn.is_stale(work.moment, &work.looked_up) {
            return Ok(true);
        }
        // A feed, once it is there, keeps its number; and which it is matters only to records that
        // are known.
        let may_differ = work.feed_id.is_none() && !work.known.is_empty();
        Ok(may_differ
            && self
                .reader
                .feed_id(&page.source, &page.feed)
                .await?
                .is_some())
    }

    /// Decides on sorted drafts of distinct records, and seals what is to be told.
    async fn work(&self, page: &PageCommit, drafts: Vec<Pulled>) -> Result<Work, OutboxError> {
        let refused = plan::only_refused(&page.refused, &drafts);
        let named = drafts
            .iter()
            .map(|pulled| &pulled.draft.record)
            .chain(refused.keys());
        let named: Vec<RecordDigest> = named.copied().collect();
        // The moment first: what is committed between the two is then taken for unseen, never the
        // other way round.
        let moment = self.gate.moment();
        let generation = self.generation();
        let LookedUp { known, upto } = self.look_up(&named).await?;
        let feed_id = self.reader.feed_id(&page.source, &page.feed).await?;
        let mut looked_up: Vec<Key> = named.iter().map(key_of).collect();
        looked_up.sort_unstable();
        let mut plan = plan::plan(drafts, &refused, &known, feed_id, generation)?;
        if self.options.shuffle {
            sealing::shuffle(&mut plan.events, &mut plan.beside)?;
        }
        let events = std::mem::take(&mut plan.events);
        let (sealed, events) = self.sealing.seal(events, &self.options).await?;
        plan.events = events;
        fault::check::<OutboxError>(fault::Point::OutboxSealed)?;
        let known = known.values().map(|known| known.record_no).collect();
        Ok(Work {
            moment,
            looked_up,
            generation,
            feed_id,
            known,
            upto,
            plan,
            sealed,
        })
    }
}

fn check(page: &PageCommit) -> Result<(), OutboxError> {
    check_name(&page.source)?;
    check_name(&page.feed)?;
    let sweep = page.sweep.as_ref();
    let seen = sweep.map_or(0, |step| step.seen.keys.max(step.names.len()));
    let lists = [
        page.drafts.len(),
        page.refused.len(),
        page.accepted_record_ids.len(),
        seen,
    ];
    if lists.into_iter().any(|length| length > MAX_PAGE_DRAFTS) {
        return Err(OutboxError::TooLarge { what: "a page" });
    }
    let cursors = [
        page.resume.as_ref(),
        sweep.and_then(|step| step.cursor.as_ref()),
    ];
    if cursors
        .into_iter()
        .flatten()
        .any(|cursor| cursor.len() > MAX_CURSOR_BYTES)
    {
        return Err(OutboxError::TooLarge { what: "a cursor" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{Body, ContentDigest, Draft, PrivateKey, RecordDigest};

    use super::*;
    use crate::{Outbox, OutboxOptions};

    fn page(records: std::ops::Range<u8>) -> PageCommit {
        let draft = |record| {
            let body = Body::Withdrawn {
                kind: FactKind::Test,
            };
            let content = ContentDigest([0; 16]);
            let record = RecordDigest([record; 32]);
            Pulled {
                draft: Draft {
                    record,
                    content,
                    body,
                    only_if_sent: false,
                },
                stamp: None,
            }
        };
        PageCommit {
            source: "mis".into(),
            feed: "tests".into(),
            drafts: records.map(draft).collect(),
            refused: Vec::new(),
            accepted_record_ids: Vec::new(),
            resume: None,
            read_in: None,
            sweep: None,
            now: DateTime::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn pages_that_share_no_record_are_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let options = OutboxOptions::new(PrivateKey::generate().public(), "test");
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, options, DateTime::UNIX_EPOCH)
            .await
            .unwrap();
        let apart = outbox.prepare(page(0..10)).await.unwrap();
        let sharing = outbox.prepare(page(10..20)).await.unwrap();
        outbox.commit_page(page(15..25)).await.unwrap();
        let turn = outbox.inner.gate.lock_for_records().await;
        assert!(!outbox.inner.is_stale(&turn, &apart).await.unwrap());
        assert!(outbox.inner.is_stale(&turn, &sharing).await.unwrap());
        drop(turn);
        let ids: Vec<_> = apart
            .work
            .sealed
            .iter()
            .map(|sealed| sealed.batch.id)
            .collect();
        assert_eq!(outbox.commit(apart).await.unwrap().withdrawn, 10);
        assert_eq!(outbox.commit(sharing).await.unwrap().withdrawn, 5);
        let leased = outbox
            .lease(9, DateTime::UNIX_EPOCH, std::time::Duration::from_secs(1))
            .await
            .unwrap();
        assert!(
            leased.iter().any(|leased| leased.batch.id == ids[0]),
            "the very bytes that were prepared"
        );
    }
}

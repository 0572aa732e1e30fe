//! Commits a page: waits for room where the outbox is full, counts what came of the records, rings
//! the publisher.

use std::sync::atomic::Ordering;

use connector_kit::Feed;
use outbox::{Committed, NotCommitted, OutboxError, PageCommit, Prepared, SweepStep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::gateway::Gateway;
use crate::pull::{Counters, PullError};
use crate::room::{self, Waited};
use crate::sources::Source;
use crate::transform::Transformed;

/// Where pages of one feed go.
pub(crate) struct Committer<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) source: &'a Source,
    pub(crate) feed: Feed,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) counters: &'a Counters,
    /// The generation before the stored cursor was looked up; for pages that move it.
    pub(crate) read_in: Option<u32>,
}

/// A page whose batches are sealed, not yet durable.
pub(crate) struct Sealed {
    prepared: Prepared,
    out_of_scope: u64,
    oms_warnings: u64,
}

impl Sealed {
    /// Takes in the page that follows, to be committed with this one; given back where it has to be
    /// committed after it.
    pub(crate) fn join(&mut self, next: Self) -> Result<(), Box<Self>> {
        let Self {
            prepared,
            out_of_scope,
            oms_warnings,
        } = next;
        match self.prepared.join(prepared) {
            Ok(()) => {
                self.out_of_scope += out_of_scope;
                self.oms_warnings += oms_warnings;
                Ok(())
            }
            Err(prepared) => Err(Box::new(Self {
                prepared: *prepared,
                out_of_scope,
                oms_warnings,
            })),
        }
    }
}

impl Committer<'_> {
    /// Makes a page durable; `None` when the program was stopped while it waited for room.
    ///
    /// # Errors
    /// As [`outbox::Outbox::commit_page`].
    pub(crate) async fn commit(
        &self,
        page: Transformed,
        resume: Option<String>,
        sweep: Option<SweepStep>,
    ) -> Result<Option<Committed>, PullError> {
        let sealed = self.prepare(page, resume, sweep).await?;
        self.commit_sealed(sealed).await
    }

    /// Decides what of a page is to be told, and seals it; nothing is written.
    ///
    /// # Errors
    /// As [`outbox::Outbox::prepare`].
    pub(crate) async fn prepare(
        &self,
        page: Transformed,
        resume: Option<String>,
        sweep: Option<SweepStep>,
    ) -> Result<Sealed, PullError> {
        let out_of_scope = page.out_of_scope;
        let oms_warnings = page.oms_warnings;
        let page = PageCommit {
            source: self.source.name.clone(),
            feed: self.feed.as_str().to_owned(),
            drafts: page.drafts,
            refused: page.refused,
            accepted_record_ids: page.accepted,
            resume,
            read_in: self.read_in,
            sweep,
            now: self.gateway.clock.now(),
        };
        // As a task of its own: sorting and planning a page takes longer than any step of the
        // commit beside it.
        let outbox = self.gateway.outbox.clone();
        let preparing = tokio::spawn(async move { outbox.prepare(page).await });
        let prepared = AbortOnDropHandle::new(preparing)
            .await
            .map_err(|_| PullError::Internal)??;
        Ok(Sealed {
            prepared,
            out_of_scope,
            oms_warnings,
        })
    }

    /// Makes a sealed page durable; `None` when the program was stopped while it waited for room.
    ///
    /// # Errors
    /// As [`outbox::Outbox::commit`]; pages behind one that failed must not be committed.
    pub(crate) async fn commit_sealed(
        &self,
        sealed: Sealed,
    ) -> Result<Option<Committed>, PullError> {
        let Sealed {
            mut prepared,
            out_of_scope,
            oms_warnings,
        } = sealed;
        let committed = loop {
            match self.gateway.outbox.commit(prepared).await {
                Ok(committed) => break committed,
                Err(NotCommitted {
                    error: OutboxError::Full { .. },
                    prepared: Some(page),
                }) => {
                    if room::wait(self.gateway, self.stop).await? == Waited::Stopped {
                        return Ok(None);
                    }
                    prepared = *page;
                }
                Err(failed) => return Err(failed.error.into()),
            }
        };
        self.count(&committed, out_of_scope, oms_warnings);
        if committed.batches > 0 {
            self.gateway.batches_waiting.notify_one();
        }
        Ok(Some(committed))
    }

    fn count(&self, committed: &Committed, out_of_scope: u64, oms_warnings: u64) {
        let counters = self.counters;
        let outcomes = [
            ("new", &counters.new, committed.new + committed.resent),
            ("corrected", &counters.corrected, committed.corrected),
            ("withdrawn", &counters.withdrawn, committed.withdrawn),
            ("unchanged", &counters.unchanged, committed.unchanged),
            ("refused", &counters.refused, committed.refused_new),
            ("out-of-scope", &counters.out_of_scope, out_of_scope),
            ("oms-check-digit", &counters.oms_warnings, oms_warnings),
        ];
        for (outcome, counter, count) in outcomes {
            counter.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("gateway_records_total", "source" => self.source.name.clone(), "feed" => self.feed.as_str(), "outcome" => outcome)
                .increment(count);
        }
    }
}

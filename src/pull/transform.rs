//! Second stage: turns people's records into drafts and refusals, without any I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::NaiveDate;
use connector_kit::{ClinicRecord, Cursor, Page, SourceError};
use fault::Point;
use outbox::{OutboxError, Pulled, RecordName, Refused, RefusedValue};
use pseudonym::{HeldIdentifiers, Pseudonymiser, RecordOutcome, SeenValue};
use tokio::sync::mpsc;

use super::feed_run::FeedRun;
use super::outcome::PullError;

/// The records of one page after pseudonymisation.
#[derive(Debug, Default)]
pub(crate) struct TransformedPage {
    /// Drafts of events.
    pub(crate) drafts: Vec<Pulled>,
    /// Records that cannot become an event.
    pub(crate) refused: Vec<Refused>,
    /// Ids of the records that were not refused; empty where the feed has no dead letters.
    pub(crate) accepted: Vec<String>,
    /// Names of the rows whose drafts assert a fact, or of all rows that have a draft.
    pub(crate) names: Vec<RecordName>,
    /// Identifiers of the persons whose pseudonyms are yet to be evaluated.
    pub(crate) held: HeldIdentifiers,
    /// Number of records about something else than COVID-19.
    pub(crate) out_of_scope: u64,
    /// Number of drafts with a wrong check digit in their OMS number.
    pub(crate) oms_warnings: u64,
    /// Number of doses' numbers that were left out, since they cannot be read.
    pub(crate) doses_dropped: u64,
    /// Start of the next run once this page is committed.
    pub(crate) resume: Option<Cursor>,
}

impl TransformedPage {
    /// True if the page has nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.refused.is_empty()
    }
}

/// Pseudonymiser of one run, with the settings that hold for the whole run.
#[derive(Clone)]
pub(crate) struct Transformer {
    pseudonymiser: Arc<Pseudonymiser>,
    /// The clinic's date.
    today: NaiveDate,
    /// True if ids of accepted records are kept: only a feed with dead letters needs them.
    keep_ids: Arc<AtomicBool>,
    /// True if drafts that assert nothing are named as well: a content sweep names by them what
    /// lacks its name.
    names_all: bool,
}

impl Transformer {
    /// Prepares the transformation of a run's records, with today's date.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) async fn new(run: &FeedRun<'_>) -> Result<Self, OutboxError> {
        let gateway = run.gateway;
        let now = gateway.clock.now();
        let keep_ids = gateway
            .outbox
            .has_dead_letters(&run.source.name, run.feed.as_str())
            .await?;
        Ok(Self {
            pseudonymiser: run.source.pseudonymiser(),
            today: now.with_timezone(&run.source.time_zone).date_naive(),
            keep_ids: Arc::new(AtomicBool::new(keep_ids)),
            names_all: false,
        })
    }

    /// Names from now on all drafts, not only those that assert a fact.
    pub(crate) const fn name_all(&mut self) {
        self.names_all = true;
    }

    /// Transforms records on a blocking thread, where long computations delay no other task.
    ///
    /// # Errors
    /// [`PullError::Internal`] when the transformation panicked.
    pub(crate) async fn transform(
        &self,
        records: Vec<ClinicRecord>,
    ) -> Result<TransformedPage, PullError> {
        let transformer = self.clone();
        let transformed = tokio::task::spawn_blocking(move || transformer.apply(records)).await;
        let transformed = transformed.map_err(|_| PullError::Internal)?;
        fault::check::<SourceError>(Point::PullTransformed)?;
        Ok(transformed)
    }

    fn apply(&self, records: Vec<ClinicRecord>) -> TransformedPage {
        let mut page = TransformedPage {
            drafts: Vec::with_capacity(records.len()),
            ..TransformedPage::default()
        };
        for record in records {
            let keep_ids = self.keep_ids.load(Ordering::Relaxed);
            let record_id = record.record_id.clone();
            let stamp = record.stamp;
            match self
                .pseudonymiser
                .apply_and_hold(record, self.today, &mut page.held)
            {
                RecordOutcome::Draft(draft, warnings) => {
                    page.oms_warnings += u64::from(warnings.oms_check_digit);
                    page.doses_dropped += u64::from(warnings.doses_dropped);
                    page.accepted.extend(keep_ids.then(|| record_id.clone()));
                    if self.names_all || !draft.body.withdraws() {
                        let record = draft.record;
                        page.names.push(RecordName { record, record_id });
                    }
                    page.drafts.push(Pulled { draft, stamp });
                }
                RecordOutcome::OutOfScope(draft) => {
                    page.out_of_scope += 1;
                    page.accepted.extend(keep_ids.then(|| record_id.clone()));
                    if self.names_all {
                        let record = draft.record;
                        page.names.push(RecordName { record, record_id });
                    }
                    page.drafts.push(Pulled { draft, stamp });
                }
                RecordOutcome::Rejected(rejection) => {
                    self.keep_ids.store(true, Ordering::Relaxed);
                    page.refused.push(Refused {
                        value: rejection.value.map(refused_value),
                        record_id: rejection.record_id,
                        reason: rejection.reason.as_str(),
                        record: rejection.record,
                        stamp,
                    });
                }
            }
        }
        page
    }
}

/// The value of a refused row, as the outbox keeps it. One that is never shown is not handed over.
fn refused_value(seen: SeenValue) -> RefusedValue {
    RefusedValue {
        table: seen.value.table.as_str(),
        digest: seen.digest,
        text: seen.value.may_be_shown().then(|| seen.value.to_text()),
        persons: seen.persons,
    }
}

/// Transforms every fetched page.
pub(super) async fn transform_pages(
    transformer: &Transformer,
    mut fetched: mpsc::Receiver<Page>,
    transformed: mpsc::Sender<TransformedPage>,
) -> Result<(), PullError> {
    while let Some(page) = fetched.recv().await {
        let ready = TransformedPage {
            resume: page.resume,
            ..transformer.transform(page.records).await?
        };
        if transformed.send(ready).await.is_err() {
            // The stage behind has failed; its own error is the one to report.
            return Ok(());
        }
    }
    Ok(())
}

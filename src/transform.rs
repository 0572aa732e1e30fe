//! The pure step: records of people in, drafts and refusals out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::NaiveDate;
use connector_kit::ClinicRecord;
use fault::Point;
use outbox::{Pulled, Refused};
use pseudonym::{Outcome, Pseudonymiser};

use crate::pull::PullError;

/// What records have become.
#[derive(Debug, Default)]
pub(crate) struct Transformed {
    pub(crate) drafts: Vec<Pulled>,
    pub(crate) refused: Vec<Refused>,
    /// Ids of the records that are well; only where somebody keeps ids.
    pub(crate) accepted: Vec<String>,
    pub(crate) out_of_scope: u64,
    pub(crate) oms_warnings: u64,
}

impl Transformed {
    /// Whether there is nothing to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.refused.is_empty()
    }
}

/// What does it: keys, the clinic's date, and whether ids are kept.
#[derive(Clone)]
pub(crate) struct Transformer {
    pub(crate) pseudonymiser: Arc<Pseudonymiser>,
    /// The clinic's date.
    pub(crate) today: NaiveDate,
    /// Only a feed that has dead letters needs the ids of the records that are well.
    pub(crate) keep_ids: Arc<AtomicBool>,
}

impl Transformer {
    /// Transforms on a thread where computing disturbs nobody.
    ///
    /// # Errors
    /// [`PullError::Internal`] when it panicked.
    pub(crate) async fn transform(
        &self,
        records: Vec<ClinicRecord>,
    ) -> Result<Transformed, PullError> {
        let this = self.clone();
        let transformed = tokio::task::spawn_blocking(move || this.apply(records)).await;
        let transformed = transformed.map_err(|_| PullError::Internal)?;
        fault::check::<connector_kit::SourceError>(Point::PullTransformed)?;
        Ok(transformed)
    }

    fn apply(&self, records: Vec<ClinicRecord>) -> Transformed {
        let mut transformed = Transformed {
            drafts: Vec::with_capacity(records.len()),
            ..Transformed::default()
        };
        for record in records {
            let id = self
                .keep_ids
                .load(Ordering::Relaxed)
                .then(|| record.record_id.clone());
            let stamp = record.stamp;
            match self.pseudonymiser.apply(record, self.today) {
                Outcome::Draft(draft, warnings) => {
                    transformed.oms_warnings += u64::from(warnings.oms_check_digit);
                    transformed.drafts.push(Pulled { draft, stamp });
                    transformed.accepted.extend(id);
                }
                Outcome::OutOfScope(draft) => {
                    transformed.out_of_scope += 1;
                    transformed.drafts.push(Pulled { draft, stamp });
                    transformed.accepted.extend(id);
                }
                Outcome::Rejected(rejection) => {
                    self.keep_ids.store(true, Ordering::Relaxed);
                    transformed.refused.push(Refused {
                        record_id: rejection.record_id,
                        reason: rejection.reason.as_str(),
                        record: rejection.record,
                        stamp,
                    });
                }
            }
        }
        transformed
    }
}

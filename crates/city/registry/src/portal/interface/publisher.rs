//! Publications for verifiers, made anew when a pass has ended or the last publication is old.

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use pass::revocation::RevocationList;

use crate::passes::{PassError, Passes};

/// Age at which a publication is made anew though no pass has ended.
pub const PUBLISH_EVERY: TimeDelta = TimeDelta::hours(1);
/// Most lists that are kept to make differences from.
const MOST_LISTS: usize = 24;
/// Most tags in the lists that are kept, besides the newest one.
const MOST_TAGS: usize = 4_000_000;

/// Publication as it is served.
pub(super) struct Published {
    /// Sequence of the list.
    pub sequence: u64,
    /// Signed trust bundle.
    pub trust: Bytes,
    /// Signed list.
    pub whole: Bytes,
    /// Signed differences, by the sequence of the list that they begin at.
    pub deltas: BTreeMap<u64, Bytes>,
    /// Number of passes on the list.
    pub ended: u64,
}

/// Maker of publications.
#[derive(Default)]
pub(super) struct Publisher {
    /// Lists that were published, the oldest first.
    lists: VecDeque<RevocationList>,
}

impl Publisher {
    /// Looks at every pass that may have ended, and publishes where there is something new to say;
    /// `None` where there is not.
    pub(super) async fn step(
        &mut self,
        passes: &Passes,
        now: DateTime<Utc>,
    ) -> Result<Option<Published>, PassError> {
        let sweep = passes.sweep(now).await?;
        if let Some(last) = self.lists.back() {
            let age = now - last.edition().issued_at();
            // A clock that was set back must not keep the list as it is.
            let is_fresh = age < PUBLISH_EVERY && age >= TimeDelta::zero();
            if is_fresh && !sweep.adds_to(last, now) {
                return Ok(None);
            }
        }
        let made = passes.sign(sweep, now).await?;
        let delta = |older: &RevocationList| {
            let delta = passes.sign_delta(older, &made.list, now)?;
            Some((older.edition().sequence(), Bytes::from(delta)))
        };
        let published = Published {
            sequence: made.sequence,
            trust: made.trust.into(),
            whole: made.revocations.into(),
            deltas: self.lists.iter().filter_map(delta).collect(),
            ended: made.ended,
        };
        self.keep(made.list);
        Ok(Some(published))
    }

    /// Keeps the newest list, and lets the oldest go where they are too many or too long.
    fn keep(&mut self, newest: RevocationList) {
        let mut tags: usize = self.lists.iter().map(|list| list.tags().len()).sum();
        while self.lists.len() >= MOST_LISTS || tags > MOST_TAGS {
            let Some(oldest) = self.lists.pop_front() else {
                break;
            };
            tags -= oldest.tags().len();
        }
        self.lists.push_back(newest);
    }
}

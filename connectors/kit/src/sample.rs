//! Sample of a feed for `check`: records, and what only the operator's own terminal shows of them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::ClinicRecord;

/// Number of records that a sample takes from each end of a feed: its first ones, and its newest.
pub const SAMPLE_RECORDS: u32 = 250;

/// Record of a sample. Nothing of it is stored or sent.
#[derive(Debug)]
pub struct SampledRecord {
    /// The record, as a page would hand it over.
    pub record: ClinicRecord,
    /// Dates that the source keeps with a time of day.
    pub instants: Vec<SampledInstant>,
}

/// Date of a record that the source keeps with a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledInstant {
    /// Name of the date, as in a source's query (`occurred_on`).
    pub name: &'static str,
    /// The instant; of wall-clock time what the clock showed, as if it were UTC.
    pub at: DateTime<Utc>,
    /// True for an instant, whose day a time zone decides; false for wall-clock time.
    pub has_zone: bool,
}

impl From<ClinicRecord> for SampledRecord {
    fn from(record: ClinicRecord) -> Self {
        Self {
            record,
            instants: Vec::new(),
        }
    }
}

/// Adds the newest records of a feed to its first ones; those that are among both stand once.
pub fn add_newest(sample: &mut Vec<SampledRecord>, newest: Vec<SampledRecord>) {
    let ids: HashSet<String> = sample
        .iter()
        .map(|sampled| sampled.record.record_id.clone())
        .collect();
    sample.extend(
        newest
            .into_iter()
            .filter(|sampled| !ids.contains(&sampled.record.record_id)),
    );
}

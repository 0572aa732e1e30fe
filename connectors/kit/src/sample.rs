//! Sample of a feed for `check`: records, and what only the operator's own terminal shows of them.

use chrono::{DateTime, Utc};

use crate::ClinicRecord;

/// Number of records that a sample takes from each end of a feed: its first ones, and its newest.
pub const SAMPLE_RECORDS: u32 = 250;

/// Record of a sample. Nothing of it is stored or sent.
#[derive(Debug)]
pub struct SampledRecord {
    /// The record, as a page would hand it over.
    pub record: ClinicRecord,
    /// Word of the record's status, where nobody has mapped it.
    pub unmapped_status: Option<String>,
    /// Dates that the source keeps as instants.
    pub instants: Vec<SampledInstant>,
}

/// Date of a record that the source keeps as an instant, so that a time zone decides the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledInstant {
    /// Name of the date, as in a source's query (`occurred_on`).
    pub name: &'static str,
    /// The instant.
    pub at: DateTime<Utc>,
}

impl From<ClinicRecord> for SampledRecord {
    fn from(record: ClinicRecord) -> Self {
        Self {
            record,
            unmapped_status: None,
            instants: Vec::new(),
        }
    }
}

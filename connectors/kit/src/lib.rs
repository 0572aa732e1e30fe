//! Base of every connector: the [`Connector`] trait, the clinic's record, and the failures of a
//! source.
//!
//! A [`ClinicRecord`] holds a person's identifiers. It has no `Serialize`, prints itself redacted,
//! and wipes the identifiers when dropped. The gateway carries it; only `pseudonym` opens it.

mod check;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod cursor;
mod cycle;
mod error;
mod record;
mod sample;
mod time_zone;

pub use check::{CheckReport, Finding, Level};
pub use config::ConnectorConfig;
pub use connector::{
    ChangeNotice, Connector, ContentsPage, KeysPage, KeysRequest, MAX_FETCH_IDS, Page, PageRequest,
    RecordKey, SourceSurprise, SweepReads, verify_fetch_count,
};
pub use cursor::Cursor;
pub use cycle::CycleDetector;
pub use error::SourceError;
pub use record::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Dose, Feed, Field, FieldFault, Identifier,
    IdentifierKind, Person, RecordStatus,
};
pub use sample::{SAMPLE_RECORDS, SampledInstant, SampledRecord, add_newest};
pub use time_zone::{TimeZone, ZoneOrigin, ZoneSetting};

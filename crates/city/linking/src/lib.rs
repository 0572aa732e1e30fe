//! Rules of the city's side, as functions over values: second-layer pseudonyms, which of them are
//! one subject, and which version of a record holds.
//!
//! No function opens a file, a connection or a clock, so that a program can apply these rules
//! without the registry's queue and store.

mod batch;
mod choose;
mod elements;
mod open_epoch;
mod outcome;
mod persons;
mod rekeying;
mod second_layer;
mod tokens;

/// Row id of a subject.
pub type SubjectId = i64;

pub use batch::{Acceptance, Assertion, EventRefusal, IncomingEvent, OpenBatch, RecordName};
pub use choose::{Chosen, SetChange, StoredVersion, choose, version_from_column};
pub use elements::has_fitting_value;
pub use open_epoch::OpenEpoch;
pub use outcome::GroupOutcome;
pub use persons::{
    Component, Contest, ContestKind, Decision, LinkRules, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS,
    NameSet, NameSetId, Persons, persons,
};
pub use rekeying::Rekeying;
pub use second_layer::{CityPseudonym, SecondLayerKey, StoredOwner, StoredRecord};
pub use tokens::{BatchTokens, TokenName};

//! Rules of the city's side, as functions over values: second-layer pseudonyms, which of them are
//! one subject, and which version of a record holds.
//!
//! No function opens a file, a connection or a clock, so that a program can apply these rules
//! without the registry's queue and store.

mod batch;
mod choose;
mod link;
mod outcome;
mod second_layer;

pub use batch::{Assertion, EventRefusal, IncomingEvent, OpenBatch};
pub use choose::{Chosen, StoredVersion, choose, version_from_column};
pub use link::{Conflict, EventPseudonyms, LinkPlan, SubjectId, SubjectRef, plan_links};
pub use outcome::GroupOutcome;
pub use second_layer::{CityPseudonym, SecondLayerKey};

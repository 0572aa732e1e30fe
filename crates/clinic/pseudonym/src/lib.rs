//! The only code that opens a person's identifiers and makes an event: identifiers in, pseudonyms
//! out.
//!
//! A [`Pseudonymiser`] turns each record of one source into a draft event or a [`Rejection`]. The
//! byte formats that other programs must reproduce (normal forms, keyed inputs, key files) are in
//! the crate's README.

mod apply;
mod canonical;
mod citizen;
mod class;
mod codes;
mod codes_file;
mod config;
mod csv;
mod dates;
mod doses;
mod fact;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod identifier;
mod keys;
mod mac;
mod policy;
mod preview;
mod rejection;
mod release;
mod settings;
mod subject;
mod suites;
mod unknown;

pub use apply::{
    Leaving, MAX_RECORD_ID_BYTES, MAX_SOURCE_ID_BYTES, NewError, Pseudonymiser, RecordOutcome,
    fact_kind,
};
pub use citizen::{CitizenBlinding, CitizenPseudonyms, HeldCitizen, StatedIdentifier};
pub use class::coarser_facts;
pub use codes::literal_key;
pub use codes_file::{CodesFile, CodesFileError, MAX_CODES_FILE_BYTES};
pub use config::{
    CodesConfig, DatePrecision, DatesConfig, IdentifiersConfig, LimitsConfig, OmsCheck,
    OnInvalidIdentifier, PolicyConfig,
};
pub use connector_kit::IdentifierKind;
pub use contract::{Pseudonym, Suite};
pub use held::{HeldIdentifiers, MAX_BLINDED};
pub use keys::{KeyError, KeyFault, KeyRing, MAX_OPEN_EPOCHS, SharedKeys};
pub use policy::{Policy, PolicyError};
pub use preview::{FieldPreview, Preview, PreviewVerdict, Treatment};
pub use rejection::{Rejection, RejectionReason};
pub use release::{
    CoarsenAfterDays, FactRelease, KindRelease, OptionalFields, RecoveryField, SmallestClasses,
    VaccinationField,
};
pub use subject::Warnings;
pub use suites::Suites;
pub use unknown::{
    MAX_VALUE_CHARS, RecordSecrets, SeenValue, UnknownValue, ValueDigest, ValuePerson, ValueTable,
};

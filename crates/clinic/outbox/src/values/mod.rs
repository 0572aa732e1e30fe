//! Values that nobody has mapped, of refused rows: counted, and readable at the clinic once several
//! persons have them. They rest as keyed digests, and sealed.

mod list;
mod persons;
mod store;
mod types;

pub(crate) use self::list::{count, select};
pub use self::persons::{PERSONS_TO_SHOW, Persons};
pub(crate) use self::store::{note_values, tidy_values};
pub use self::types::{RefusedValue, UnknownValueCount, UnknownValueRow};

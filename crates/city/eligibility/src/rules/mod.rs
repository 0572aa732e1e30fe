//! The rules: what they say, how their file is written, and how it is read.

mod file;
mod lists;
mod model;
mod position;
mod reading;
#[cfg(test)]
mod tests;

pub use model::Rules;
pub(crate) use model::{
    Booster, Gap, Period, PositiveTest, RecoveredAndDose, Recovery, RecoveryDate, Route, Series,
    Validity, date_in,
};
pub(crate) use position::FilePosition;
pub use reading::{MAX_DAYS, MAX_MONTHS};

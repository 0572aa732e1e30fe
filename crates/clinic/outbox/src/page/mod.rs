//! Pages of records: prepared, planned, joined, committed.

mod drafts;
mod evaluation;
mod letters;
mod pages;
mod plan;
mod prepared;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use pages::Pages;
pub use prepared::{NotCommitted, Prepared};
pub use types::{Committed, PageCommit, Pulled};

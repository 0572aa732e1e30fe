//! Refused corrections: records of which an older version was sent, and whose row cannot be sent as
//! it is now.
//!
//! A note of each is written in the transaction that refuses the row or the event. `sweep` settles
//! the notes: it withdraws the older versions, or holds them.

mod notes;
mod state_word;
mod types;
mod whole_reads;

pub(crate) use notes::{
    Chosen, Noticed, all_of_feed, check_upgraded, contents_refused, count_feed, forget,
    forget_contents_refused, forget_feed, forget_held_of, forget_possible, hold, keep,
    mark_withdrawn, notice, permit_held, standing, unchecked, withdrawn_by_registry,
};
pub(crate) use state_word::state_word;
pub(crate) use types::FeedCounts;
pub use types::{HeldCorrections, OlderVersion, RefusedCorrections};
pub(crate) use whole_reads::{
    is_whole_read_due, may_be_lost, note_whole_read, raised_at, read_at_first,
};

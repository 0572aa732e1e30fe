//! Classes of facts that leave alike, where the release policy wants one of several persons: records
//! of smaller ones are withheld.
//!
//! What has waited for some days may leave with a coarser date instead, where its class is large
//! enough then.
//!
//! A class opens in the commit that brings its last lacking person, and stays open. What was
//! withheld of it is due then: it is read again from the source, so that what leaves is what the row
//! says by that time.

mod coarsening;
mod due;
mod list;
mod opening;
mod read;
mod store;

pub use due::DueRecord;
pub(crate) use due::{ClassRecords, LostWithheld, close_lost, forget_feed, lost_of_feed};
pub use list::{WithheldCount, WithheldRecord};
pub(crate) use list::{count, select};
pub(crate) use opening::Opening;
pub(crate) use store::{ClassChanges, MemberState, NewMember, forget_standing, store};

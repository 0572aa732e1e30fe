//! The verifier page with what it fetches, on an address of its own: whoever checks passes shares no
//! origin with citizens.

mod page_folder;
mod publication;
mod root;
mod routes;
mod site;

pub use page_folder::PageFolderMistake;
#[cfg(feature = "cli")]
pub(crate) use root::OTHER_ROOT;
pub use root::RootMistake;
pub use site::{VerifierMistake, VerifierSite};

//! State that one process at a time may use: a lock that ends with its value, and a folder of small
//! files.

mod folder;
mod lock;

pub use folder::{StateError, StateFolder, Words, read};
pub use lock::{FileLock, NotLocked};

//! Place of a line in the folder's files.

/// Place of a line in the folder's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinePlace {
    /// Number of the file, by its name.
    pub file: u16,
    pub offset: u64,
    pub length: u32,
}

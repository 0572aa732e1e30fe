//! Failures of the index.

/// Failure of an operation on the index. The caller's transaction has to be rolled back.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another transaction appended one of the same records after the look-up.
    #[error("another transaction appended one of the same records meanwhile")]
    Overtaken,
    /// The tables do not hold what this crate writes.
    #[error("the record index is damaged ({what})")]
    Damaged {
        /// Part of the index that is damaged.
        what: &'static str,
    },
    /// A number does not fit the place it has on disk.
    #[error("no {what} is left")]
    Exhausted {
        /// Kind of number that ran out.
        what: &'static str,
    },
    /// SQLite failed. The driver's text may quote a value, so it is no part of the message.
    #[error("SQLite failed in the record index")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for IndexError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

//! Position in a feed: opaque to everyone but the connector that wrote it.

use std::fmt;

/// A position in one feed of one source, in the connector's own text form (at most
/// [`Cursor::MAX_BYTES`]).
///
/// A cursor may hold a change stamp and a record id, so it stays on the gateway's disk and is never
/// logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// Longest text form, in bytes. The longest known one, of a database feed that goes by several
    /// stamps, needs some 26 KiB.
    pub const MAX_BYTES: usize = 32 * 1024;

    /// Takes a connector's text form; `None` when it is longer than [`Cursor::MAX_BYTES`].
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (text.len() <= Self::MAX_BYTES).then_some(Self(text))
    }

    /// The text form, for the outbox.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor([{} bytes])", self.0.len())
    }
}

//! New events: what a record says next, before its version is derived.

use contract::{Body, ContentDigest, Event, RecordDigest};
use record_secrets::{RecordSecrets, Revision};

use crate::file::OutboxError;

/// An event whose version is still a revision. Owner token and version are derived where it is
/// sealed, off the async threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEvent {
    pub(crate) record: RecordDigest,
    pub(crate) revision: Revision,
    pub(crate) content: ContentDigest,
    pub(crate) body: Body,
}

impl NewEvent {
    /// Derives owner token and version.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] for a revision beyond the limits, which nobody plans.
    pub(super) fn with_version(self, secrets: &RecordSecrets) -> Result<Event, OutboxError> {
        let (owner, version) = secrets
            .owner_and_version(&self.record, self.revision)
            .ok_or(OutboxError::Exhausted {
                what: "version of a record",
            })?;
        Ok(Event {
            record: self.record,
            version,
            content: self.content,
            owner,
            body: self.body,
        })
    }
}

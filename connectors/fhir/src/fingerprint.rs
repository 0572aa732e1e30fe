//! Fingerprints by which pages and records are told apart within one run.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::bundle::Resource;

/// Fingerprint of a text, such as a page's address.
pub(crate) fn of_text(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Fingerprint of the ids and stamps of resources, in their order.
pub(crate) fn of_resources(resources: &[Resource]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for resource in resources {
        (&resource.record_id, resource.stamp).hash(&mut hasher);
    }
    hasher.finish()
}

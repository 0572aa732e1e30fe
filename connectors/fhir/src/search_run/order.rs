//! Signs by which a server's page shows whether the server sorts as it was asked to.
//!
//! A page in order is no such sign: all of its stamps may be the same, on a server that ignores
//! `_sort` and begins with the newest.

use chrono::{DateTime, Utc};
use url::form_urlencoded;

use crate::bundle::ServerPage;

/// Sort parameter that searches are made with, also where an `_id` follows.
const BY_STAMP: &str = "_lastUpdated";

/// Answer of a first page's self link to the question whether the server sorts: FHIR R4 has it name
/// the parameters that the server used. `None` where it names none of those that every search has.
pub(super) fn of_self_link(page: &ServerPage) -> Option<bool> {
    let (_, query) = page.own.as_deref()?.split_once('?')?;
    let mut has_count = false;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "_sort" {
            return Some(value.split(',').next() == Some(BY_STAMP));
        }
        has_count |= name == "_count";
    }
    has_count.then_some(false)
}

/// True if the stamps never fall within a page.
pub(super) fn is_rising_or_level(page: &ServerPage) -> bool {
    stamps(page).is_sorted()
}

/// True if a page's last stamp is greater than its first, and none falls between.
pub(super) fn rises(page: &ServerPage) -> bool {
    is_rising_or_level(page) && stamps(page).next() < stamps(page).last()
}

fn stamps(page: &ServerPage) -> impl Iterator<Item = DateTime<Utc>> {
    page.matches.iter().filter_map(|resource| resource.stamp)
}

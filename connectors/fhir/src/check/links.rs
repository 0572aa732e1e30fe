//! Check of the links between the pages of a search.

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed};

use super::add_error;
use crate::config::Links;
use crate::fact::resource_type;
use crate::links::LinkTarget;
use crate::refusal::Ask;
use crate::session::{FetchedPage, FhirSession};

/// Checks that the link from a first page leads to the second one.
pub(super) async fn check(
    session: &FhirSession,
    feed: Feed,
    first: &FetchedPage,
    now: DateTime<Utc>,
    report: &mut CheckReport,
) {
    let about = format!("{feed}: following pages");
    if session.config.links == Links::Rewrite && session.addresses().has_written() {
        report.good(format!(
            "{feed}: the server writes an address of its own; its links are followed at base_url \
             (links = \"rewrite\")"
        ));
    }
    let next = match session.next_address(first) {
        Err(error) => return add_error(report, &about, &error),
        Ok(None) => return own_address(session, feed, first, report),
        Ok(Some(next)) => next,
    };
    let ask = Ask::NextPage(resource_type(feed));
    match session.get_page(next, ask, now).await {
        Ok(_) => report.good(format!("{feed}: the link to the next page can be followed")),
        Err(refused) if ask.is_expired(&refused) => report.warn(
            format!("{feed}: the server's link to the next page has expired as soon as it is used"),
            "nothing is lost: a run begins a new search at the stamp it has reached. But more \
             records of one stamp than the server puts on a page cannot be read; have it keep its \
             page links for some minutes",
        ),
        Err(refused) => add_error(report, &about, &refused.error),
    }
}

/// Warns where there is one page only, but the server writes other addresses than base_url.
fn own_address(session: &FhirSession, feed: Feed, first: &FetchedPage, report: &mut CheckReport) {
    let own = first.page.own.as_deref();
    let Some(Err(error)) = own.map(|own| session.follow(&first.url, own, LinkTarget::NextPage))
    else {
        return;
    };
    let connector_kit::SourceError::Misconfigured { help, .. } = error else {
        return;
    };
    report.warn(
        format!(
            "{feed}: the server writes its own address otherwise than base_url; once there is more \
             than one page, its links will not be followed"
        ),
        help,
    );
}

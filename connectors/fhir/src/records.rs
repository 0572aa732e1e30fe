//! Records of a server page, with their persons.

use std::ops::Range;

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Feed, RecordStatus, SourceError};

use crate::bundle::{Resource, ServerPage};
use crate::fact::{self, MappedResource};
use crate::linked;
use crate::model::Reference;
use crate::patients::Patients;
use crate::session::FhirSession;

/// Records of some of a page's matches, with their persons. Takes the page's patients.
///
/// `reads_patients`: patients that the page lacks are read from the server.
pub(crate) async fn of_page(
    session: &FhirSession,
    feed: Feed,
    page: &mut ServerPage,
    range: Range<usize>,
    reads_patients: bool,
    now: DateTime<Utc>,
) -> Result<Vec<ClinicRecord>, SourceError> {
    let rules = session.mapping_rules();
    let taken: Vec<(&Resource, MappedResource)> = page.matches[range]
        .iter()
        .map(|resource| (resource, fact::map(feed, resource.json.get(), rules)))
        .collect();
    if taken.iter().any(|(_, mapped)| is_address(&mapped.subject)) {
        session.learn_addresses(feed, now).await?;
    }
    let addresses = session.addresses();
    let mut patients = Patients::new(&session.identifier_systems, addresses, now);
    for entry in std::mem::take(&mut page.patients) {
        patients.insert(entry);
    }
    if reads_patients {
        let subjects: Vec<_> = taken.iter().map(|(_, mapped)| &mapped.subject).collect();
        linked::complete(session, &mut patients, &subjects, now, |_| ()).await?;
    }
    Ok(taken
        .into_iter()
        .map(|(resource, mapped)| record(feed, resource, mapped, &patients))
        .collect())
}

/// True for a reference to a whole address of the web.
fn is_address(reference: &Reference) -> bool {
    let text = reference.reference.as_deref().unwrap_or_default().trim();
    text.starts_with("http://") || text.starts_with("https://")
}

/// The record of a resource, with its person.
pub(crate) fn record(
    feed: Feed,
    resource: &Resource,
    mapped: MappedResource,
    patients: &Patients<'_>,
) -> ClinicRecord {
    // What is taken back needs no person.
    let is_hidden = mapped.status == RecordStatus::Final && patients.is_hidden(&mapped.subject);
    let has_unknown_status = mapped.status == RecordStatus::Unknown;
    ClinicRecord {
        record_id: resource.record_id.clone(),
        status: match &resource.id {
            // Without an id of its own it cannot be told from others later on.
            None => RecordStatus::Unknown,
            Some(_) if is_hidden => RecordStatus::PersonHidden,
            Some(_) => mapped.status,
        },
        unmapped_status: has_unknown_status
            .then(|| fact::unmapped_status(feed, resource.json.get()))
            .flatten(),
        person: patients.person(&mapped.subject, &mapped.contained),
        fact: mapped.fact,
        // A right that comes back moves no stamp: without one every sweep reads the record again.
        stamp: resource.stamp_micros().filter(|_| !is_hidden),
    }
}

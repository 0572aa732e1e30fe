//! Patients that are linked to others (`Patient.link`): one who was merged into another, and one
//! who refers to another.
//!
//! "Replaced by" means that the other one "must be used in lieu" (R4, link-type): the facts of the
//! one are those of the other. "Refer" means that the other one tells more of the same person.
//! "See also" means no more than a likeness, and is not followed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use crate::bundle::PatientEntry;
use crate::links::OwnAddresses;
use crate::model::Reference;
use crate::patient_links::{MAX_LINKED, PatientLinks, reference};
use crate::patients::{Patients, patient_id};
use crate::query::MAX_BATCH;
use crate::refusal::Ask;
use crate::session::FhirSession;
use crate::subjects;

/// The most patients that a changed one brings along.
const MAX_BROUGHT: usize = 1000;
/// Pages followed of a search for patients that link to others.
const MAX_PAGES: usize = 20;

/// Reads what the page lacks of the patients that references name, and of those they are linked
/// to. `see` is shown every Patient that is read.
pub(crate) async fn complete(
    session: &FhirSession,
    patients: &mut Patients<'_>,
    subjects: &[&Reference],
    now: DateTime<Utc>,
    mut see: impl FnMut(&PatientEntry),
) -> Result<(), SourceError> {
    let mut asked = BTreeSet::new();
    let mut asked_for_links = BTreeSet::new();
    for _ in 0..2 * MAX_LINKED {
        let mut ids = BTreeSet::new();
        let mut unlinked = BTreeSet::new();
        for subject in subjects {
            patients.look_through(subject, &mut ids, &mut unlinked);
        }
        ids.retain(|id| asked.insert(id.clone()));
        unlinked.retain(|id| asked_for_links.insert(id.clone()));
        if ids.is_empty() && unlinked.is_empty() {
            return Ok(());
        }
        if !ids.is_empty() {
            let read = subjects::read(session, ids, patients.count(), now).await?;
            for entry in read.found {
                see(&entry);
                patients.insert(entry);
            }
            patients.hide(read.hidden);
        }
        for (id, links) in linking(session, &unlinked, now).await? {
            let addresses = session.addresses();
            for old in patient_ids(&links.replaces, &addresses) {
                if unlinked.contains(&old) {
                    patients.replace(&old, &id);
                }
            }
        }
    }
    Ok(())
}

/// Patients whose records are to be read again because these have changed: these themselves, those
/// that were merged into them, and those that refer to them.
///
/// `changed`: the ids with the resources, as far as they are there.
pub(crate) async fn brought_along(
    session: &FhirSession,
    changed: &[(String, Option<&str>)],
    now: DateTime<Utc>,
) -> Result<BTreeSet<String>, SourceError> {
    let addresses = session.addresses();
    let mut all: BTreeSet<String> = changed.iter().map(|(id, _)| id.clone()).collect();
    let mut newest = all.clone();
    for (_, json) in changed {
        let links = PatientLinks::read(json.unwrap_or_default());
        newest.extend(patient_ids(&links.replaces, &addresses));
    }
    all.extend(newest.iter().cloned());
    for _ in 0..MAX_LINKED {
        if newest.is_empty() || all.len() > MAX_BROUGHT {
            break;
        }
        let found = linking(session, &newest, now).await?;
        let is_of = |links: &PatientLinks| {
            let mut others = links.replaced_by.iter().chain(&links.refers);
            others.any(|other| {
                patient_id(&reference(other), &addresses).is_some_and(|id| newest.contains(id))
            })
        };
        let ids = found.iter().filter(|(_, links)| is_of(links));
        let ids: BTreeSet<String> = ids.map(|(id, _)| id.clone()).collect();
        newest = ids.difference(&all).cloned().collect();
        all.extend(newest.iter().cloned());
    }
    if all.len() > MAX_BROUGHT {
        tracing::warn!(
            patients = all.len(),
            most = MAX_BROUGHT,
            "one patient is linked to more others than are followed; the first of them are"
        );
        let changed: BTreeSet<&String> = changed.iter().map(|(id, _)| id).collect();
        let mut left = MAX_BROUGHT;
        all.retain(|id| {
            left = left.saturating_sub(1);
            left > 0 || changed.contains(id)
        });
    }
    Ok(all)
}

fn patient_ids(references: &BTreeSet<String>, addresses: &OwnAddresses) -> Vec<String> {
    let references = references.iter().map(|text| reference(text));
    references
        .filter_map(|reference| patient_id(&reference, addresses).map(str::to_owned))
        .collect()
}

/// The patients that have a link to one of these, by a search (`Patient?link=`); none where the
/// server cannot search for links.
async fn linking(
    session: &FhirSession,
    ids: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, PatientLinks>, SourceError> {
    let mut found = BTreeMap::new();
    let ids: Vec<String> = ids.iter().cloned().collect();
    for ids in ids.chunks(MAX_BATCH) {
        let mut next = Some(session.queries.patients_linking(ids));
        let mut ask = Ask::Search("Patient");
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            if session.limits.links_unsearchable.is_known() {
                return Ok(BTreeMap::new());
            }
            let fetched = match session.get_page(url, ask, now).await {
                Ok(fetched) => fetched,
                Err(refused) if ask.is_expired(&refused) => break,
                Err(refused) if matches!(refused.error, SourceError::Misconfigured { .. }) => {
                    give_up(session, "refuses");
                    return Ok(BTreeMap::new());
                }
                Err(refused) => return Err(refused.error),
            };
            next = session.next_address(&fetched)?;
            ask = Ask::NextPage("Patient");
            for patient in &fetched.page.matches {
                let links = PatientLinks::read(patient.json.get());
                if !links.is_linked {
                    give_up(session, "ignores");
                    return Ok(BTreeMap::new());
                }
                if let Some(id) = &patient.id {
                    found.insert(id.clone(), links);
                }
            }
        }
    }
    Ok(found)
}

fn give_up(session: &FhirSession, why: &str) {
    if !session.limits.links_unsearchable.is_known() {
        tracing::info!(
            why,
            "the FHIR server cannot search for the links of patients (Patient?link=); links are \
             followed as far as the patients themselves name them"
        );
        session.limits.links_unsearchable.learn();
    }
}

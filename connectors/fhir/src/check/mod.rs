//! `check`: looks at everything that can be wrong with a FHIR server and says it in words.

pub(crate) mod capabilities;
pub(crate) mod codes;
mod links;
pub(crate) mod persons;
pub(crate) mod sample;
pub(crate) mod systems;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed, SourceError};

use crate::bounds;
use crate::bundle::{PatientEntry, ServerPage};
use crate::config::Include;
use crate::corrected::has_other_patients;
use crate::fact::{self, MappedResource, resource_type};
use crate::patients::{Patients, patient_id};
use crate::query::Span;
use crate::refusal::Ask;
use crate::session::FhirSession;
use crate::{linked, unstamped};
use systems::LackingSystems;

/// Records looked at for each feed: enough to see which identifiers are in use.
const SAMPLE: u32 = 20;

pub(crate) async fn run(session: &FhirSession, now: DateTime<Utc>) -> CheckReport {
    let mut check = FhirCheck {
        session,
        now,
        report: CheckReport::default(),
        systems: LackingSystems::default(),
    };
    if bounds::is_plain(&session.config) {
        check.report.warn(
            "allow_plain_http is set: records and the password travel readable to another machine, \
             unless something else encrypts the way",
            "write https:// in base_url and take allow_plain_http out",
        );
    }
    match session.http.login.describe(now).await {
        Ok(way) => check.report.good(way),
        Err(error) => {
            add_error(&mut check.report, "logging in", &error);
            return check.report;
        }
    }
    match capabilities::check(session, now, &mut check.report).await {
        Ok(()) => check.searches().await,
        Err(error) => add_error(&mut check.report, "the FHIR server", &error),
    }
    check.report
}

/// A check under way.
struct FhirCheck<'a> {
    session: &'a FhirSession,
    now: DateTime<Utc>,
    report: CheckReport,
    /// Identifier systems of the patients seen that lack something.
    systems: LackingSystems,
}

impl FhirCheck<'_> {
    /// Checks the searches of every feed.
    async fn searches(&mut self) {
        for feed in self.session.feeds() {
            let answer = self
                .session
                .first_page(feed, Span::default(), SAMPLE, self.now)
                .await;
            let failure = match answer {
                Ok(fetched) => {
                    links::check(self.session, feed, &fetched, self.now, &mut self.report).await;
                    codes::check(
                        self.session,
                        feed,
                        &fetched.page,
                        self.now,
                        &mut self.report,
                    )
                    .await;
                    self.first_records(feed, fetched.page)
                        .await
                        .map_err(|error| (format!("{feed}: reading patients"), error))
                }
                Err(error) => Err((format!("{feed}: searching {}", resource_type(feed)), error)),
            };
            if let Err((about, error)) = failure {
                add_error(&mut self.report, &about, &error);
            }
        }
        if let Some(choice) = self.session.include_choice() {
            self.report.good(choice.words());
        }
        self.changed_patients().await;
        persons::unknown_systems(
            &self.systems,
            &self.session.identifier_systems,
            &mut self.report,
        );
    }

    /// Checks the first records of a feed: their stamps, patients and identifiers.
    async fn first_records(&mut self, feed: Feed, page: ServerPage) -> Result<(), SourceError> {
        let session = self.session;
        stamps(feed, &page, &mut self.report);
        self.unstamped(feed, &page).await;
        let resources = page.matches.iter().map(|resource| resource.json.get());
        persons::bare_numbers(feed, resources, &mut self.report);
        let rules = session.mapping_rules();
        let mapped: Vec<_> = page
            .matches
            .iter()
            .map(|resource| fact::map(feed, resource.json.get(), rules))
            .collect();
        let mut patients =
            Patients::new(&session.identifier_systems, session.addresses(), self.now);
        self.add_patients(page.patients, &mut patients);
        if session.config.include != Include::Always {
            let subjects: Vec<_> = mapped.iter().map(|mapped| &mapped.subject).collect();
            let lacking = &mut self.systems;
            let see = |entry: &PatientEntry| lacking.see(&session.identifier_systems, entry);
            linked::complete(session, &mut patients, &subjects, self.now, see).await?;
        }
        self.records_of_a_patient(feed, &mapped).await;
        let (hidden, readable): (Vec<_>, Vec<_>) = mapped
            .iter()
            .partition(|mapped| patients.is_hidden(&mapped.subject));
        if !hidden.is_empty() {
            self.report.warn(
                format!(
                    "{feed}: {} of the first {} records are about patients whom the account may \
                     not read",
                    hidden.len(),
                    mapped.len()
                ),
                "they will be refused as person-hidden; give the account the right to read these \
                 patients, if the clinic permits it",
            );
        }
        let persons: Vec<_> = readable
            .iter()
            .map(|mapped| patients.person(&mapped.subject, &mapped.contained))
            .collect();
        let known = &session.identifier_systems;
        persons::identities(feed, &persons, &self.systems, known, &mut self.report);
        Ok(())
    }

    /// Checks that all records have stamps, not only the first ones.
    async fn unstamped(&mut self, feed: Feed, page: &ServerPage) {
        let kind = resource_type(feed);
        let are_missing = page.matches.iter().any(|resource| resource.stamp.is_none());
        let counted = unstamped::count(self.session, feed, self.now).await;
        let what = match counted {
            Ok(Some(count)) if count.unstamped > 0 => format!(
                "{} of {} {kind} resources come without meta.lastUpdated",
                count.unstamped, count.all
            ),
            _ if are_missing => format!("{kind} resources come without meta.lastUpdated"),
            Ok(None) if page.next.is_some() => {
                self.report.warn(
                    format!("the server does not count its {kind} resources (_summary=count)"),
                    "so nobody can see whether some come without meta.lastUpdated; a search for \
                     what has changed would never find these",
                );
                return;
            }
            Ok(_) | Err(_) => return,
        };
        self.report.warn(
            what,
            "have the server send it with all of them; without it every run reads everything, \
             because no search for what has changed finds them",
        );
    }

    fn add_patients(&mut self, entries: Vec<PatientEntry>, patients: &mut Patients<'_>) {
        for entry in entries {
            self.systems.see(&self.session.identifier_systems, &entry);
            patients.insert(entry);
        }
    }

    /// Checks that patients that changed can be listed.
    async fn changed_patients(&mut self) {
        let url = self.session.queries.changed_patients(Some(self.now));
        let answer = self
            .session
            .get_page(url, Ask::Search("Patient"), self.now)
            .await;
        if answer.is_err() {
            self.report.warn(
                "the server refuses a search for changed patients (Patient?_lastUpdated=…)",
                "an identifier that is mended there reaches the gateway only when its record \
                 changes, or with sync --full",
            );
        }
    }

    /// Checks that a patient's records can be searched for.
    async fn records_of_a_patient(&mut self, feed: Feed, mapped: &[MappedResource]) {
        let session = self.session;
        let addresses = session.addresses();
        let Some(id) = mapped
            .iter()
            .find_map(|mapped| patient_id(&mapped.subject, &addresses))
        else {
            return;
        };
        let asked = [id.to_owned()];
        let url = session
            .queries
            .of_patients(feed, &asked, Span::default(), SAMPLE, false);
        let kind = resource_type(feed);
        let answer = session.get_page(url, Ask::Search(kind), self.now).await;
        let is_good = answer.is_ok_and(|fetched| {
            !fetched.page.matches.is_empty()
                && !has_other_patients(session, feed, &fetched.page, &asked)
        });
        if !is_good {
            self.report.warn(
                format!("the server does not answer a search for {kind} by patient"),
                "an identifier that is mended in Patient reaches the gateway only when its record \
                 changes, or with sync --full",
            );
        }
    }
}

/// Checks that the feed can be read incrementally.
fn stamps(feed: Feed, page: &ServerPage, report: &mut CheckReport) {
    let kind = resource_type(feed);
    report.good(format!("{feed}: the search for {kind} is answered"));
    let stamps: Vec<_> = page.matches.iter().map(|resource| resource.stamp).collect();
    if stamps.windows(2).any(|pair| pair[0] > pair[1]) {
        report.warn(
            format!("the server ignores _sort for {kind}"),
            "nothing is lost by it, but a load of more than one page is read in windows of time, \
             with up to four times as many requests",
        );
    }
}

/// Adds a failure that ended a part of the check.
pub(crate) fn add_error(report: &mut CheckReport, about: &str, error: &SourceError) {
    match error {
        SourceError::Retry { what, .. } => report.away(
            format!("{about}: {what}"),
            "try again; see the server and the network",
        ),
        SourceError::Misconfigured { what, help } => report.error(format!("{about}: {what}"), help),
    }
}

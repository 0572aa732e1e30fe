//! `check`: looks at everything that can be wrong with a FHIR server and says it in words.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Connector, Feed, IdentifierKind, Person, SourceError};

use crate::bundle::{PatientEntry, ServerPage};
use crate::config::Include;
use crate::connector::FhirConnector;
use crate::fact::{self, resource_type};
use crate::http::Ask;
use crate::model::{CapabilityStatement, Head, Rest, RestResource, SearchParam};
use crate::patients::{Patients, patient_id};

/// Clocks further apart than this are worth a word.
const MAX_CLOCK_DIFFERENCE_SECONDS: i64 = 60;
/// Records looked at for each feed: enough to see which identifiers are in use.
const SAMPLE: u32 = 20;
/// At most this many unknown identifier systems are listed.
const MAX_SYSTEMS: usize = 20;

pub(crate) async fn run(source: &FhirConnector, now: DateTime<Utc>) -> CheckReport {
    let mut report = CheckReport::default();
    if let Err(error) = capabilities(source, now, &mut report).await {
        note(&mut report, "the FHIR server", &error);
        return report;
    }
    let mut unknown = BTreeSet::new();
    for feed in source.feeds() {
        match source.first_page(feed, None, SAMPLE, now).await {
            Ok((_, fetched)) => {
                if let Err(error) =
                    sample(source, feed, fetched.page, now, &mut unknown, &mut report).await
                {
                    note(&mut report, &format!("{feed}: reading patients"), &error);
                }
            }
            Err(error) => note(
                &mut report,
                &format!("{feed}: searching {}", resource_type(feed)),
                &error,
            ),
        }
    }
    changed_patients(source, now, &mut report).await;
    if !unknown.is_empty() {
        let shown: Vec<_> = unknown
            .iter()
            .take(MAX_SYSTEMS)
            .map(|system| readable(system))
            .collect();
        report.warn(
            format!(
                "identifier systems without a meaning here: {}",
                shown.join(", ")
            ),
            "name those that identify a person in identifier_systems, and the others there \
             as \"ignored\"",
        );
    }
    report
}

/// The capability statement, and the server's clock.
async fn capabilities(
    source: &FhirConnector,
    now: DateTime<Utc>,
    report: &mut CheckReport,
) -> Result<(), SourceError> {
    let reply = source
        .http
        .get(source.queries.metadata(), Ask::Metadata, now)
        .await?;
    let head: Head = serde_json::from_slice(&reply.body).unwrap_or_default();
    let statement = serde_json::from_slice::<CapabilityStatement>(&reply.body);
    let (true, Ok(statement)) = (head.resource_type == "CapabilityStatement", statement) else {
        return Err(SourceError::misconfigured(
            "base_url/metadata is no CapabilityStatement of FHIR R4",
            "set base_url to the FHIR R4 base address, the part before /metadata",
        ));
    };
    let version = statement.fhir_version.as_deref().unwrap_or_default();
    if !version.starts_with("4.") {
        return Err(SourceError::misconfigured(
            format!(
                "the server speaks FHIR version {}, not R4 (4.x)",
                version_words(version)
            ),
            "set base_url to the server's R4 address",
        ));
    }
    report.good(format!("the server speaks FHIR {}", version_words(version)));
    match statement
        .rest
        .iter()
        .find(|rest| rest.mode.as_deref() != Some("client"))
    {
        Some(rest) => declared(source, rest, report),
        None => report.warn(
            "the server does not declare what it can do",
            "the searches below show it",
        ),
    }
    clock(reply.date, now, report);
    Ok(())
}

/// What the server declares is only a promise, so nothing of it is an error: the searches decide.
fn declared(source: &FhirConnector, rest: &Rest, report: &mut CheckReport) {
    let has = |params: &[SearchParam], name: &str| {
        params
            .iter()
            .any(|param| param.name.as_deref() == Some(name))
    };
    for feed in source.feeds() {
        let kind = resource_type(feed);
        let find = |resource: &&RestResource| resource.kind.as_deref() == Some(kind);
        let Some(resource) = rest.resource.iter().find(find) else {
            report.warn(
                format!("the server does not declare {kind}"),
                format!("leave {feed} out of feeds if it has none"),
            );
            continue;
        };
        let needs_code = feed != Feed::Vaccinations || !source.config.vaccine_codes.is_empty();
        let code = if feed == Feed::Vaccinations {
            "vaccine-code"
        } else {
            "code"
        };
        if !has(&resource.search_param, "_lastUpdated") && !has(&rest.search_param, "_lastUpdated")
        {
            report.warn(
                format!("the server does not declare the search parameter _lastUpdated for {kind}"),
                "if it ignores it, every run reads everything",
            );
        }
        if needs_code && !has(&resource.search_param, code) {
            report.warn(
                format!("the server does not declare the search parameter {code} for {kind}"),
                "if it ignores it, records of other kinds are read and refused",
            );
        }
        let include = [format!("{kind}:patient"), format!("{kind}:*"), "*".into()];
        if source.config.include != Include::BatchedReads
            && !resource.search_include.iter().any(|i| include.contains(i))
        {
            report.warn(
                format!("the server does not declare _include={kind}:patient"),
                "with include = \"auto\" patients it leaves out are read in batches",
            );
        }
    }
}

fn clock(date: Option<DateTime<Utc>>, now: DateTime<Utc>, report: &mut CheckReport) {
    let Some(date) = date else {
        report.warn(
            "the server does not tell its time (no Date header)",
            "keep both clocks right with NTP",
        );
        return;
    };
    let apart = (date - now).num_seconds();
    if apart.abs() > MAX_CLOCK_DIFFERENCE_SECONDS {
        let way = if apart > 0 { "ahead of" } else { "behind" };
        report.warn(
            format!(
                "the server's clock is {} s {way} this machine's",
                apart.abs()
            ),
            "set both by NTP; until then keep overlap_seconds well above the difference",
        );
    } else {
        report.good("the server's clock agrees with this machine's");
    }
}

/// What the first records of a feed show.
async fn sample(
    source: &FhirConnector,
    feed: Feed,
    page: ServerPage,
    now: DateTime<Utc>,
    unknown: &mut BTreeSet<String>,
    report: &mut CheckReport,
) -> Result<(), SourceError> {
    stamps(feed, &page, report);
    let zone = source.config.time_zone.0;
    let mapped: Vec<_> = page
        .matches
        .iter()
        .map(|resource| fact::map(feed, resource.json.get(), zone))
        .collect();
    let base = source.queries.base();
    let mut patients = Patients::default();
    let mut take_in = |entries: Vec<PatientEntry>, patients: &mut Patients| {
        for entry in entries {
            source.rules.unknown_systems(entry.json.get(), unknown);
            patients.insert(entry, &source.rules, now);
        }
    };
    take_in(page.patients, &mut patients);
    if source.config.include != Include::Include {
        let mut ids = BTreeSet::new();
        mapped
            .iter()
            .for_each(|mapped| patients.missing(&mapped.subject, base, &mut ids));
        take_in(source.read_patients(ids, now).await?, &mut patients);
    }
    records_of_a_patient(source, feed, &mapped, now, report).await;
    let context = (&source.rules, base, now);
    let persons: Vec<_> = mapped
        .iter()
        .map(|mapped| patients.person(&mapped.subject, &mapped.contained, context))
        .collect();
    identities(feed, &persons, report);
    Ok(())
}

/// Whether corrected patients can be followed, first part: the list of those that changed.
async fn changed_patients(source: &FhirConnector, now: DateTime<Utc>, report: &mut CheckReport) {
    let url = source.queries.changed_patients(Some(now));
    if source
        .get_page(url, Ask::Search("Patient"), "Patient", now)
        .await
        .is_err()
    {
        report.warn(
            "the server refuses a search for changed patients (Patient?_lastUpdated=…)",
            "an identifier that is mended there reaches the gateway only when its record changes, \
             or with sync --full",
        );
    }
}

/// Second part: a patient's records.
async fn records_of_a_patient(
    source: &FhirConnector,
    feed: Feed,
    mapped: &[fact::Mapped],
    now: DateTime<Utc>,
    report: &mut CheckReport,
) {
    let base = source.queries.base();
    let Some(id) = mapped
        .iter()
        .find_map(|mapped| patient_id(&mapped.subject, base))
    else {
        return;
    };
    let asked = [id.to_owned()];
    let url = source.queries.of_patients(feed, &asked, SAMPLE, false);
    let kind = resource_type(feed);
    let answered = source.get_page(url, Ask::Search(kind), kind, now).await;
    let is_good = answered.is_ok_and(|fetched| {
        !fetched.page.matches.is_empty() && !source.has_strangers(feed, &fetched.page, &asked)
    });
    if !is_good {
        report.warn(
            format!("the server does not answer a search for {kind} by patient"),
            "an identifier that is mended in Patient reaches the gateway only when its record \
             changes, or with sync --full",
        );
    }
}

/// Whether the feed can be read incrementally.
fn stamps(feed: Feed, page: &ServerPage, report: &mut CheckReport) {
    let kind = resource_type(feed);
    report.good(format!("{feed}: the search for {kind} is answered"));
    let stamps: Vec<_> = page.matches.iter().map(|resource| resource.stamp).collect();
    if stamps.iter().any(Option::is_none) {
        report.warn(
            format!("{kind} resources come without meta.lastUpdated"),
            "have the server send it; without it every run reads everything",
        );
    }
    if stamps.windows(2).any(|pair| pair[0] > pair[1]) {
        report.warn(
            format!("the server ignores _sort for {kind}"),
            "nothing is lost by it, but a run that breaks off starts from its beginning",
        );
    }
}

/// Whether the records' persons can be known.
fn identities(feed: Feed, persons: &[Person], report: &mut CheckReport) {
    let nameless = persons
        .iter()
        .filter(|person| person.identifiers.is_empty())
        .count();
    if nameless > 0 {
        report.warn(
            format!(
                "{feed}: {nameless} of the first {} records have no identifier that is known here",
                persons.len()
            ),
            "they will be refused; see identifier_systems, and the account's right to read Patient",
        );
    }
    let stateless = |identifier: &connector_kit::Identifier| {
        identifier.kind == IdentifierKind::PassportForeign && identifier.country.is_none()
    };
    let stateless = persons
        .iter()
        .filter(|person| person.identifiers.iter().any(stateless))
        .count();
    if stateless > 0 {
        report.warn(
            format!(
                "{feed}: {stateless} of the first {} records have a passport of no known country",
                persons.len()
            ),
            "name the country of the passports' identifier system in identifier_countries",
        );
    }
}

fn note(report: &mut CheckReport, about: &str, error: &SourceError) {
    let (what, help) = match error {
        SourceError::Retry { what, .. } => (what, "try again; see the server and the network"),
        SourceError::Misconfigured { what, help } => (what, help.as_str()),
    };
    report.error(format!("{about}: {what}"), help);
}

/// A version number as the server writes it, or nothing else.
fn version_words(version: &str) -> &str {
    let plain = version.len() <= 20
        && version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if plain && !version.is_empty() {
        version
    } else {
        "(not told)"
    }
}

/// A system's URI, cut and without control characters: it goes to a terminal.
fn readable(system: &str) -> String {
    system
        .chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect()
}

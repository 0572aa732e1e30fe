//! Check of the capability statement: the FHIR version, the declared searches, the clock.

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, Feed, SourceError};

use crate::capability_statement;
use crate::config::Include;
use crate::export::settings::FirstLoad;
use crate::fact::resource_type;
use crate::model::{Rest, RestResource, SearchParam};
use crate::refusal::Ask;
use crate::session::FhirSession;

/// The greatest difference between two clocks without a warning, in seconds.
const MAX_CLOCK_DIFFERENCE_SECONDS: i64 = 60;

/// Checks the capability statement, and the server's clock.
///
/// # Errors
/// Where there is no FHIR R4 server, so that nothing else can be checked.
pub(super) async fn check(
    session: &FhirSession,
    now: DateTime<Utc>,
    report: &mut CheckReport,
) -> Result<(), SourceError> {
    let reply = session
        .http
        .get(session.queries.metadata(), Ask::Metadata, now)
        .await?;
    let Some(statement) = capability_statement::parse(&reply.body) else {
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
                readable_version(version)
            ),
            "set base_url to the server's R4 address",
        ));
    }
    report.good(format!(
        "the server speaks FHIR {}",
        readable_version(version)
    ));
    match statement
        .rest
        .iter()
        .find(|rest| rest.mode.as_deref() != Some("client"))
    {
        Some(rest) => declared(session, rest, report),
        None => report.warn(
            "the server does not declare what it can do",
            "the searches below show it",
        ),
    }
    exports(session, &reply.body, report);
    clock(reply.date, now, report);
    Ok(())
}

/// Warns of what the server does not declare. A declaration is only a promise, so nothing of it is
/// an error: the searches decide.
fn declared(session: &FhirSession, rest: &Rest, report: &mut CheckReport) {
    for feed in session.feeds() {
        let kind = resource_type(feed);
        let find = |resource: &&RestResource| resource.kind.as_deref() == Some(kind);
        match rest.resource.iter().find(find) {
            Some(resource) => declared_for(session, feed, rest, resource, report),
            None => report.warn(
                format!("the server does not declare {kind}"),
                format!("leave {feed} out of feeds if it has none"),
            ),
        }
    }
}

/// Says which bulk exports the server declares, and warns where the one that is configured is not
/// among them.
fn exports(session: &FhirSession, statement: &[u8], report: &mut CheckReport) {
    let offered = capability_statement::offered_exports(statement);
    let wanted = match session.config.first_load {
        FirstLoad::Search => None,
        FirstLoad::SystemExport => Some(("$export", offered.system)),
        FirstLoad::PatientExport => Some(("Patient/$export", offered.patient)),
        FirstLoad::GroupExport(_) => Some(("Group/ID/$export", offered.group)),
    };
    match (wanted, offered.words()) {
        (Some((name, true)), _) => report.good(format!(
            "the server declares the bulk export of first_load ({name})"
        )),
        (Some((name, false)), words) => report.warn(
            format!("the server does not declare the bulk export of first_load ({name})"),
            match words {
                Some(words) => format!("it declares these: first_load = {words}"),
                None => "it declares none: if a load from the beginning is refused, write \
                         first_load = \"search\""
                    .to_owned(),
            },
        ),
        (None, Some(words)) => report.good(format!(
            "the server declares a bulk export, which a load from the beginning could use: \
             first_load = {words}"
        )),
        (None, None) => {}
    }
}

fn declared_for(
    session: &FhirSession,
    feed: Feed,
    rest: &Rest,
    resource: &RestResource,
    report: &mut CheckReport,
) {
    let kind = resource_type(feed);
    let needs_code = feed != Feed::Vaccinations || !session.config.vaccine_codes.is_empty();
    let code = if feed == Feed::Vaccinations {
        "vaccine-code"
    } else {
        "code"
    };
    let stamp = "_lastUpdated";
    if !has(&resource.search_param, stamp) && !has(&rest.search_param, stamp) {
        report.warn(
            format!("the server does not declare the search parameter {stamp} for {kind}"),
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
    if session.config.include != Include::Never
        && !resource.search_include.iter().any(|i| include.contains(i))
    {
        report.warn(
            format!("the server does not declare _include={kind}:patient"),
            "with include = \"auto\" patients it leaves out are read in batches",
        );
    }
}

fn has(params: &[SearchParam], name: &str) -> bool {
    params
        .iter()
        .any(|param| param.name.as_deref() == Some(name))
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

/// The number that a version begins with; nothing else that could stand there is repeated.
fn readable_version(version: &str) -> &str {
    const MAX_CHARS: usize = 8;
    let end = version
        .find(|char: char| !(char.is_ascii_digit() || char == '.'))
        .unwrap_or(version.len());
    if (1..=MAX_CHARS).contains(&end) {
        &version[..end]
    } else {
        "(not told)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_version_only_its_number_is_shown() {
        assert_eq!(readable_version("4.0.1"), "4.0.1");
        assert_eq!(readable_version("4.3.0-cibuild"), "4.3.0");
        assert_eq!(readable_version("4.Ivanov"), "4.");
        assert_eq!(readable_version("Ivanov"), "(not told)");
        assert_eq!(readable_version("11223344595"), "(not told)");
    }
}

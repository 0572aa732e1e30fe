//! What `check` says of records and their persons, whichever way they were read.

use connector_kit::{CheckReport, Feed, Identifier, IdentifierKind, Person};

use super::systems::LackingSystems;
use crate::fact;
use crate::identity::{IdentifierSystems, Lack};

/// Checks that the persons of a feed's first records can be known.
pub(crate) fn identities(
    feed: Feed,
    persons: &[Person],
    systems: &LackingSystems,
    known: &IdentifierSystems,
    report: &mut CheckReport,
) {
    let count = |has: &dyn Fn(&Person) -> bool| persons.iter().filter(|p| has(p)).count();
    let nameless = count(&|person| person.identifiers.is_empty());
    if nameless > 0 {
        report.warn(
            format!(
                "{feed}: {nameless} of the first {} records have no identifier that is known here",
                persons.len()
            ),
            "they will be refused; see identifier_systems, and whether Patient may be read and is \
             there",
        );
    }
    for (kind, what) in [
        (IdentifierKind::PassportForeign, "a passport"),
        (IdentifierKind::NationalId, "a national number"),
    ] {
        let lacks =
            |identifier: &Identifier| identifier.kind == kind && identifier.country.is_none();
        let lacking = count(&|person| person.identifiers.iter().any(lacks));
        if lacking == 0 {
            continue;
        }
        let told = systems.told(Lack::Country, known);
        let of = if told.is_empty() {
            String::new()
        } else {
            format!("; systems without a country (persons): {told}")
        };
        report.warn(
            format!(
                "{feed}: {lacking} of the first {} records have {what} of no known country{of}",
                persons.len()
            ),
            "write the system's country into identifier_countries: \"SYSTEM\" = \"DEU\"",
        );
    }
}

/// Lists the identifier systems without a meaning.
pub(crate) fn unknown_systems(
    systems: &LackingSystems,
    known: &IdentifierSystems,
    report: &mut CheckReport,
) {
    let told = systems.told(Lack::Meaning, known);
    if !told.is_empty() {
        report.warn(
            format!("identifier systems without a meaning here (persons): {told}"),
            "name those that identify a person in identifier_systems, and the others there as \
             \"ignored\"",
        );
    }
}

/// Checks that a feed's first tests say what their numbers mean.
pub(crate) fn bare_numbers<'a>(
    feed: Feed,
    resources: impl ExactSizeIterator<Item = &'a str>,
    report: &mut CheckReport,
) {
    let all = resources.len();
    let count = resources.filter(|json| fact::is_bare_number(json)).count();
    if feed == Feed::Tests && count > 0 {
        report.warn(
            format!(
                "{feed}: {count} of the first {all} records have a number for their result and no \
                 interpretation"
            ),
            "a number (a Ct value, a viral load) is no result: they will be refused. Have the \
             server send interpretation with them (POS, NEG), or read other test_codes",
        );
    }
}

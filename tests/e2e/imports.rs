//! Who may import whom: the privacy boundaries are crate boundaries, and this is the list of them.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Each package of ours and the packages of ours it may use in a build (development dependencies are free).
const ALLOWED: &[(&str, &[&str])] = &[
    // leaves: nothing of ours
    ("clock", &[]),
    ("fault", &[]),
    ("circuit", &[]),
    ("contract", &[]),
    ("secrets", &[]),
    ("settings", &[]),
    ("telemetry", &[]),
    ("testbed", &[]),
    // the clinic's side that sees a person
    ("connector-kit", &["clock"]),
    ("connector-sql", &["connector-kit", "secrets"]),
    ("connector-fhir", &["connector-kit", "secrets"]),
    ("pseudonym", &["connector-kit", "contract", "secrets"]),
    // what comes after: no crate here can name a ClinicRecord
    ("outbox", &["contract", "clock", "fault"]),
    ("broker", &["contract", "clock", "secrets", "fault"]),
    ("registry", &["contract", "broker", "clock", "circuit", "fault", "secrets", "settings", "telemetry"]),
    (
        "clinic-gateway",
        &[
            "clock",
            "circuit",
            "fault",
            "secrets",
            "settings",
            "telemetry",
            "contract",
            "connector-kit",
            "connector-sql",
            "connector-fhir",
            "pseudonym",
            "outbox",
            "broker",
        ],
    ),
];

/// Packages that may see everything, and that nobody may use in a build.
const OUTERMOST: &[&str] = &["demo", "xtask", "parsers", "hotpath"];

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata answers");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let used = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.as_str())
            .filter(|used| ours.contains(used));
        for used in used {
            let fine = if OUTERMOST.contains(&name) {
                !OUTERMOST.contains(&used)
            } else {
                allowed.get(name).is_some_and(|list| list.contains(used))
            };
            if !fine {
                wrong.push(format!("{name} may not use {used}"));
            }
        }
        if !OUTERMOST.contains(&name) && !allowed.contains_key(name) {
            wrong.push(format!("{name} is not in the list: say who it may use"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\nsee docs/architecture.md");
}

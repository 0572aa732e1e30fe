//! Who may import whom: a crate's folder is its privacy zone, and a zone may use these zones only.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Privacy zones by the folder that a crate lies in, and the crates of ours that each may use in a
/// build: a folder's name followed by `/`, or the name of one crate. Development dependencies are
/// free, since no user's program has them.
const ZONES: &[(&str, &[&str])] = &[
    ("crates/shared/", &["crates/shared/"]),
    ("crates/crossing/", &["crates/crossing/", "crates/shared/"]),
    ("crates/keys/", &["crates/keys/", "crates/shared/"]),
    ("crates/oversight/", &["crates/crossing/", "crates/shared/"]),
    ("connectors/", &["connector-kit", "crates/shared/"]),
    (
        "crates/clinic/",
        &[
            "draft",
            "record-index",
            "record-secrets",
            "oprf",
            "crates/crossing/",
            "crates/shared/",
        ],
    ),
    (
        "crates/city/",
        &[
            "crates/city/",
            // The second layer multiplies what clinics had evaluated.
            "oprf",
            // The city signs passes.
            "pass",
            "crates/crossing/",
            "crates/shared/",
        ],
    ),
    (
        "crates/holder/",
        &["crates/holder/", "key-client", "crates/shared/"],
    ),
    (
        "",
        &[
            "connectors/",
            "key-client",
            "crates/clinic/",
            "crates/crossing/",
            "crates/shared/",
        ],
    ),
];

/// Crates that may use more than their zone: the only code that opens a person's identifiers and
/// makes an event, and the only program that takes them from the person.
const EXCEPTIONS: &[(&str, &str)] = &[("pseudonym", "connector-kit"), ("city-portal", "pseudonym")];

/// Folders of crates that may see everything. Nobody else may use them in a build; they share
/// `testbed`, and the benchmarks what they have in common.
const OUTERMOST: &[&str] = &["crates/dev/", "benches/", "xtask/"];

/// Whether a crate in `folder` may see everything; of these crates only `testbed` is used by
/// others.
fn is_outermost(folder: &str) -> bool {
    OUTERMOST.iter().any(|outer| folder.starts_with(outer))
}

/// The folder of each package of ours, relative to the workspace and ending with `/`; empty for the
/// root package.
fn folders(metadata: &Metadata) -> BTreeMap<&str, String> {
    let folder_of = |package: &Package| {
        let folder = package
            .manifest_path
            .parent()
            .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok())
            .expect("every package lies in the workspace");
        if folder.as_str().is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        }
    };
    let packages = metadata.packages.iter();
    packages
        .map(|package| (package.name.as_str(), folder_of(package)))
        .collect()
}

/// Whether a crate in `folder` may use the crate `used`, which lies in `used_folder`.
fn may_use(name: &str, folder: &str, used: &str, used_folder: &str) -> bool {
    if is_outermost(used_folder) {
        let among_benchmarks =
            folder.starts_with("benches/") && used_folder.starts_with("benches/");
        return among_benchmarks || (is_outermost(folder) && used == "testbed");
    }
    if is_outermost(folder) || EXCEPTIONS.contains(&(name, used)) {
        return true;
    }
    let zone = ZONES
        .iter()
        .find(|(prefix, _)| folder.starts_with(prefix) && (prefix.is_empty() == folder.is_empty()));
    zone.is_some_and(|(_, allowed)| {
        allowed
            .iter()
            .any(|entry| *entry == used || (entry.ends_with('/') && used_folder.starts_with(entry)))
    })
}

#[test]
fn crates_import_only_what_their_zone_allows() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata answers");
    let folders = folders(&metadata);
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let folder = &folders[name];
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            let Some(used_folder) = folders.get(used) else {
                continue;
            };
            if dependency.kind != DependencyKind::Development
                && !may_use(name, folder, used, used_folder)
            {
                wrong.push(format!(
                    "{name} ({folder}) may not use {used} ({used_folder})"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\nsee docs/architecture.md");
}

#[test]
fn the_gateway_carries_identifiers_and_cannot_open_them() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata answers");
    let gateway = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "clinic-gateway")
        .expect("the root package");
    let opens = gateway.dependencies.iter().any(|dependency| {
        dependency.name == "secrecy" && dependency.kind != DependencyKind::Development
    });
    assert!(!opens, "`ExposeSecret` is for connectors and `pseudonym`");
}

#[test]
fn a_zone_that_could_see_too_much_is_refused() {
    let refused = [
        (
            "registry",
            "crates/city/registry/",
            "pseudonym",
            "crates/clinic/pseudonym/",
        ),
        (
            "registry",
            "crates/city/registry/",
            "connector-kit",
            "connectors/kit/",
        ),
        (
            "outbox",
            "crates/clinic/outbox/",
            "connector-kit",
            "connectors/kit/",
        ),
        (
            "outbox",
            "crates/clinic/outbox/",
            "pseudonym",
            "crates/clinic/pseudonym/",
        ),
        (
            "connector-sql",
            "connectors/sql/",
            "connector-fhir",
            "connectors/fhir/",
        ),
        (
            "connector-sql",
            "connectors/sql/",
            "contract",
            "crates/crossing/contract/",
        ),
        (
            "contract",
            "crates/crossing/contract/",
            "outbox",
            "crates/clinic/outbox/",
        ),
        (
            "clock",
            "crates/shared/clock/",
            "contract",
            "crates/crossing/contract/",
        ),
        (
            "city-portal",
            "crates/holder/city-portal/",
            "registry",
            "crates/city/registry/",
        ),
        (
            "city-portal",
            "crates/holder/city-portal/",
            "contract",
            "crates/crossing/contract/",
        ),
        (
            "verifier",
            "crates/holder/verifier/",
            "pseudonym",
            "crates/clinic/pseudonym/",
        ),
        ("clinic-gateway", "", "registry", "crates/city/registry/"),
        ("clinic-gateway", "", "testbed", "crates/dev/testbed/"),
        ("other", "elsewhere/", "clock", "crates/shared/clock/"),
    ];
    for (name, folder, used, used_folder) in refused {
        assert!(
            !may_use(name, folder, used, used_folder),
            "{name} may use {used}"
        );
    }
    assert!(may_use(
        "pseudonym",
        "crates/clinic/pseudonym/",
        "connector-kit",
        "connectors/kit/"
    ));
}

/// Pools of sqlx have a task that looks after idle connections, if connections may be idle or live
/// too long. It may spin for ever on a whole processor, and hang the program's end: sqlx issue 3645.
#[test]
fn no_pool_of_connections_looks_after_idle_ones() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["src", "connectors", "crates"]
        .map(|name| root.join(name))
        .into();
    let mut pools = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|ending| ending != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            for (at, _) in text.match_indices("PoolOptions::new()") {
                pools += 1;
                let options = text[at..].split(".connect_").next().unwrap_or_default();
                let path = path.display();
                assert!(options.contains(".max_lifetime(None)"), "{path}");
                assert!(options.contains(".idle_timeout(None)"), "{path}");
            }
        }
    }
    assert!(pools > 0, "the sources have pools");
}

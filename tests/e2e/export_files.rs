//! Files of a FHIR bulk export in a folder → the registry: first load, correction, deletion, and
//! exports that are not whole.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clock::{Clock as _, SystemClock};
use registry::StoreConfig;
use serde_json::{Value, json};

use crate::cli::told;
use crate::support::{City, Clinic, directory_queue, registry_command, snils};
use crate::whole::content;

/// A clinic whose system writes exports, and the city's registry.
struct World {
    city: City,
    clinic: Clinic,
    registry: PathBuf,
    /// Number of changes of the export; each file is a second younger than the one before.
    changes: u64,
}

impl World {
    fn new() -> Self {
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let source = "[source.mis]\n[source.mis.sweep]\nalways_allowed = 100\n\
                      [source.mis.fhir-folder]\npath = \"export\"\n\
                      feeds = [\"vaccinations\", \"tests\"]\n";
        let clinic = Clinic::new(&city, &queue, source, "");
        fs::create_dir(clinic.folder.path().join("export")).expect("the export's folder");
        let registry = city.configure("[store.sqlite]\npath = \"registry.sqlite\"\n", &queue);
        Self {
            city,
            clinic,
            registry,
            changes: 0,
        }
    }

    /// Writes a file of the export, an hour old.
    fn put(&mut self, name: &str, text: &str) {
        self.changes += 1;
        let folder = self.clinic.folder.path().join("export");
        fs::write(folder.join(name), text).expect("a file of the export");
        let an_hour_ago =
            SystemTime::from(SystemClock::default().now()) - Duration::from_secs(3600);
        for path in [folder.join(name), folder] {
            let file = File::open(path).expect("it is there");
            let time = an_hour_ago + Duration::from_secs(self.changes);
            file.set_modified(time).expect("its time is set");
        }
    }

    fn put_resources(&mut self, name: &str, resources: &[Value]) {
        let lines: String = resources.iter().map(|one| format!("{one}\n")).collect();
        self.put(name, &lines);
    }

    fn run(&self, arguments: &[&str]) -> String {
        told(&self.clinic.program(arguments), 0, &[])
    }

    /// The facts that the registry holds, without whose they are.
    async fn facts(&self) -> Vec<String> {
        let drained = registry_command(&self.registry, &["run", "--drain"]).output();
        told(&drained.expect("the registry's program starts"), 0, &[]);
        let store: StoreConfig =
            toml::from_str("sqlite = { path = \"registry.sqlite\" }").expect("a store");
        let reader = self.city.reader(&store).await;
        let known = content(&reader).await.into_iter();
        let known = known.filter(|(subject, _)| subject.is_some());
        let mut facts: Vec<String> = known.flat_map(|(_, facts)| facts).collect();
        facts.sort();
        facts
    }
}

fn patient(id: &str, number: u32) -> Value {
    json!({"resourceType": "Patient", "id": id, "identifier": [
        {"system": "https://fhir.ru/ig/core/systems/snils", "value": snils(number)}]})
}

fn dose(id: &str, patient: &str, day: &str) -> Value {
    json!({"resourceType": "Immunization", "id": id, "status": "completed",
        "meta": {"lastUpdated": format!("{day}T10:00:00Z")}, "occurrenceDateTime": day,
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": format!("Patient/{patient}")}})
}

fn test() -> Value {
    json!({"resourceType": "Observation", "id": "t", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "94500-6"}]},
        "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2021-06-30",
        "valueCodeableConcept": {"coding": [
            {"system": "http://snomed.info/sct", "code": "260415000"}]}})
}

const DOSE: &str = "comirnaty None/None";
const TEST: &str = "94500-6 not-detected 2021-06-30";

#[tokio::test(flavor = "multi_thread")]
async fn exports_reach_the_registry_with_their_corrections_and_deletions() {
    let mut world = World::new();
    world.put_resources(
        "Patient.ndjson",
        &[patient("p", 503_000_001), patient("q", 503_000_002)],
    );
    world.put_resources(
        "Immunization.000.ndjson",
        &[dose("a", "p", "2021-06-01"), dose("b", "q", "2021-06-22")],
    );
    world.put_resources("Immunization.001.ndjson", &[dose("c", "p", "2021-05-30")]);
    world.put_resources("Observation.ndjson", &[test()]);
    world.run(&["check"]);
    world.run(&["sync"]);
    let first = [
        TEST.to_owned(),
        format!("{DOSE} 2021-05-30"),
        format!("{DOSE} 2021-06-01"),
        format!("{DOSE} 2021-06-22"),
    ];
    assert_eq!(world.facts().await, first);

    // The next export: one dose is corrected, one is gone.
    world.put_resources(
        "Immunization.000.ndjson",
        &[dose("a", "p", "2021-06-03"), dose("b", "q", "2021-06-22")],
    );
    world.put_resources("Immunization.001.ndjson", &[]);
    world.run(&["sync"]);
    let corrected = [
        TEST.to_owned(),
        format!("{DOSE} 2021-05-30"),
        format!("{DOSE} 2021-06-03"),
        format!("{DOSE} 2021-06-22"),
    ];
    assert_eq!(world.facts().await, corrected, "a pull takes nothing back");
    world.run(&["sweep"]);
    world.run(&["sync"]);
    let left = [&corrected[..1], &corrected[2..]].concat();
    assert_eq!(world.facts().await, left, "the sweep does");
    let status = world.run(&["status"]);
    assert!(
        status.contains("noticed by the lengths and times of files"),
        "{status}"
    );

    // A file that is cut off, and then one that is empty: nothing is withdrawn.
    let whole = format!("{}\n", dose("a", "p", "2021-06-03"));
    for (text, reason) in [
        (&whole[..whole.len() - 9], "not whole"),
        ("", "no resource of the type"),
    ] {
        world.put("Immunization.000.ndjson", text);
        for command in ["sync", "sweep"] {
            let output = world.clinic.program(&[command]);
            assert_ne!(output.status.code(), Some(0), "{command} {reason}");
            let words = crate::cli::words(&output);
            assert!(words.contains(reason), "{command}: {words}");
        }
        assert_eq!(world.facts().await, left, "{reason}");
    }

    // The whole of it is there again, without the other dose.
    world.put("Immunization.000.ndjson", &whole);
    world.run(&["sweep"]);
    world.run(&["sync"]);
    assert_eq!(
        world.facts().await,
        [TEST.to_owned(), format!("{DOSE} 2021-06-03")]
    );
}

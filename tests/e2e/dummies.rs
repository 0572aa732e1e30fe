//! Dummies between real parts: who watches the queue cannot tell a clinic with facts from one
//! without, and the registry's program stores nothing of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clinic_gateway::gateway::Gateway;
use clinic_gateway::publish::publish_once;
use clinic_gateway::pull::Counters;
use clinic_gateway::run::SourceRun;
use clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{json as read_json, told};
use crate::support::{
    City, Clinic, Running, directory_queue, eventually, http_get, registry_command, snils,
};

/// So short that all slots lie within the hour after which a batch that is not answered leaves once
/// more, in the file that it has already.
const SLOT: Duration = Duration::from_mins(5);
/// Batches of a slot.
const BATCHES: usize = 3;
/// Facts that the busy clinic enters before each slot.
const NEW_FACTS: [u32; 8] = [0, 1, 0, 40, 0, 0, 3, 0];

/// A clinic whose gateway runs in this process, and its own end of the queue.
struct Watched {
    clinic: Clinic,
    queue: PathBuf,
    gateway: Gateway,
    clock: Arc<ManualClock>,
    facts: Vec<Value>,
}

impl Watched {
    async fn new(city: &City, name: &str, dummies: bool) -> Self {
        let queue = city.folder.path().join(name);
        let source = "[source.mis]\n[source.mis.fhir-folder]\npath = \"export\"\n\
                      feeds = [\"vaccinations\"]\n";
        let release = format!(
            "[release]\nslot_seconds = {}\nbatches_per_slot = {BATCHES}\npadding_kib = [256]\n\
             dummies = {dummies}\n",
            SLOT.as_secs()
        );
        let clinic = Clinic::new(city, &directory_queue(&queue), source, &release);
        fs::create_dir(clinic.folder.path().join("export")).expect("the export's folder");
        let clock = Arc::new(ManualClock::at(SystemClock::default().now()));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let gateway = Gateway::open(&clinic.load(), shared, "test").await;
        let mut watched = Self {
            gateway: gateway.unwrap_or_else(|error| panic!("{error}")),
            clinic,
            queue,
            clock,
            facts: Vec::new(),
        };
        let patient = json!({"resourceType": "Patient", "id": "p", "identifier": [
            {"system": "https://fhir.ru/ig/core/systems/snils", "value": snils(503_000_001)}]});
        watched.put("Patient.ndjson", &[patient]);
        watched.enter(0);
        watched
    }

    /// Writes a file of the export, an hour old and younger than the one before.
    fn put(&self, name: &str, resources: &[Value]) {
        let lines: String = resources.iter().map(|one| format!("{one}\n")).collect();
        let folder = self.clinic.folder.path().join("export");
        fs::write(folder.join(name), lines).expect("a file of the export");
        let an_hour_ago = SystemTime::from(SystemClock::default().now()) - 12 * SLOT;
        let time = an_hour_ago + Duration::from_secs(self.facts.len() as u64);
        for path in [folder.join(name), folder] {
            let file = File::open(path).expect("it is there");
            file.set_modified(time).expect("its time is set");
        }
    }

    /// Enters so many vaccinations, beside an appointment, which is no fact.
    fn enter(&mut self, facts: u32) {
        for _ in 0..facts {
            let id = format!("dose-{}", self.facts.len());
            self.facts.push(vaccination(&id, "completed"));
        }
        let mut resources = self.facts.clone();
        resources.push(vaccination("appointment", "not-done"));
        self.put("Immunization.ndjson", &resources);
    }

    /// Names and sizes of the messages in the queue.
    fn messages(&self) -> BTreeSet<(String, u64)> {
        let Ok(incoming) = fs::read_dir(self.queue.join("incoming")) else {
            return BTreeSet::new();
        };
        let message = |file: fs::DirEntry| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, file.metadata().expect("a message").len())
        };
        incoming.flatten().map(message).collect()
    }

    /// Reads the source, and publishes in the next slot; sizes of the messages that came.
    async fn slot(&self) -> Vec<u64> {
        let run = SourceRun {
            gateway: &self.gateway,
            source: &self.gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &Counters::default(),
        };
        run.scheduled().await.expect("the export is read");
        let before = self.messages();
        self.clock.advance(SLOT);
        publish_once(&self.gateway).await.expect("published");
        let new = self.messages().into_iter();
        new.filter(|message| !before.contains(message))
            .map(|(_, bytes)| bytes)
            .collect()
    }
}

fn vaccination(id: &str, status: &str) -> Value {
    json!({"resourceType": "Immunization", "id": id, "status": status,
        "occurrenceDateTime": "2021-06-01",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "208"}]},
        "patient": {"reference": "Patient/p"}})
}

/// The two clinics, and what was seen of each.
struct Play {
    city: City,
    busy: Watched,
    idle: Watched,
    seen_of_busy: Vec<Vec<u64>>,
    seen_of_idle: Vec<Vec<u64>>,
}

impl Play {
    async fn new(dummies: bool) -> Self {
        let city = City::new();
        let mut busy = Watched::new(&city, "busy", dummies).await;
        let idle = Watched::new(&city, "idle", dummies).await;
        let mut seen_of_busy = Vec::new();
        let mut seen_of_idle = Vec::new();
        for facts in NEW_FACTS {
            busy.enter(facts);
            seen_of_busy.push(busy.slot().await);
            seen_of_idle.push(idle.slot().await);
        }
        Self {
            city,
            busy,
            idle,
            seen_of_busy,
            seen_of_idle,
        }
    }

    /// Has the registry take in what a clinic has sent; its counts after that.
    fn taken_in(&self, clinic: &Watched) -> Value {
        let store = "[store.sqlite]\npath = \"registry.sqlite\"\n";
        let config = self.city.configure(store, &directory_queue(&clinic.queue));
        let registry = |arguments: &[&str]| {
            let output = registry_command(&config, arguments).output();
            output.expect("the registry's program starts")
        };
        told(&registry(&["run", "--drain"]), 0, &[]);
        assert!(clinic.messages().is_empty(), "everything is taken");
        read_json(&registry(&["show", "--stats", "--json"]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_with_dummies_do_not_tell_a_clinic_with_facts_from_one_without() {
    let play = Play::new(true).await;
    assert_eq!(play.seen_of_busy, play.seen_of_idle);
    assert_eq!(play.seen_of_idle.len(), NEW_FACTS.len());
    let sizes: Vec<u64> = play.seen_of_idle.concat();
    assert_eq!(sizes.len(), NEW_FACTS.len() * BATCHES);
    assert!(sizes.iter().all(|bytes| *bytes == sizes[0]), "{sizes:?}");

    let stored = play.taken_in(&play.busy);
    let facts: u32 = NEW_FACTS.iter().sum();
    assert_eq!(stored["asserted"]["vaccination"], facts, "{stored:#}");
    let mut expected = stored.clone();
    // The idle clinic's beacon, beside the busy one's: its state has read a row.
    expected["withdrawn"]["vaccination"] = 2.into();
    assert_eq!(stored["withdrawn"]["vaccination"], 1, "{stored:#}");
    assert_eq!(play.taken_in(&play.idle), expected, "dummies are no facts");

    // Without dummies the same eyes tell them apart at the first fact.
    let plain = Play::new(false).await;
    assert_ne!(plain.seen_of_busy, plain.seen_of_idle);
    assert_eq!(plain.seen_of_idle.concat().len(), 1, "its beacon");
}

/// Settings of a program whose slots are as short as they may be.
const SHORT_SLOTS: &str = "[release]\nslot_seconds = 10\nbatches_per_slot = 2\n\
                           padding_kib = [256]\ndummies = true\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_program_sends_dummies_says_what_they_cost_and_counts_none_as_delivered() {
    let city = City::new();
    let queue = directory_queue(&city.folder.path().join("queue"));
    let source = "[source.mis]\n[source.mis.fhir-folder]\npath = \"export\"\n";
    let listen = testbed::ports::free_port();
    let extra = format!("[listen]\naddress = \"127.0.0.1:{listen}\"\n{SHORT_SLOTS}");
    let clinic = Clinic::new(&city, &queue, source, &extra);
    let store = "[store.sqlite]\npath = \"registry.sqlite\"\n";
    let config = city.configure(store, &queue);
    let log = |name: &str| city.folder.path().join(name);
    let mut registry = Running::start(registry_command(&config, &["run"]), &log("registry.log"));
    let mut gateway = Running::start(clinic.command(&["run"]), &log("gateway.log"));
    let metrics = || http_get(listen, "/metrics").map(|(_, metrics)| metrics);
    let counted = |name: &str| -> Option<f64> {
        let metrics = metrics()?;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name))?;
        value.trim().parse().ok()
    };
    eventually("two slots have passed", 120, async || {
        assert!(gateway.runs() && registry.runs(), "{}", gateway.log());
        let dummies = counted("gateway_dummies_total{outcome=\"delivered\"}");
        dummies.filter(|dummies| *dummies >= 4.0)
    })
    .await;
    for none in [
        "gateway_batches_total{outcome=\"delivered\"}",
        "gateway_batches_awaiting_receipt",
        "gateway_receipts_total{outcome=\"settled\"}",
        "gateway_receipts_rejected_total{reason=\"other-key\"}",
    ] {
        assert_eq!(counted(none), Some(0.0), "{none}");
    }
    let cost = "dummies fill every slot up to 2 batches; of a day without facts that makes 17280 \
                dummies, 4320 MiB.";
    told(
        &clinic.program(&["status"]),
        0,
        &[cost, "outbox: 0 batches wait", "queue: 0 batches delivered"],
    );
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    told(
        &registry_command(&config, &["run", "--drain"])
            .output()
            .expect("the registry's program starts"),
        0,
        &["0 applied, 0 unchanged, 0 superseded, 0 refused; 0 batches to the dead letters"],
    );

    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    let without_slots = text.replace("slot_seconds = 10\nbatches_per_slot = 2\n", "");
    fs::write(clinic.config_path(), without_slots).expect("the slots are taken out");
    told(
        &clinic.program(&["check"]),
        78,
        &[
            "release.dummies has no effect without release.slot_seconds",
            "write slot_seconds, such as 900, or take the line out",
        ],
    );
}

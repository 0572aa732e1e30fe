//! A state that was away while a new one ran, and that is put back: whatever the order, what is sent
//! ends as the clinic has it, and until then the operator is told.

use std::fs;
use std::process::Output;

use registry::StoreConfig;
use testbed::postgres::Postgres;

use crate::cli::told;
use crate::shots::{Content, Shots, differing, registry_content};
use crate::support::{City, Clinic, Running, copy_files, directory_queue, registry_command};

/// A clinic with two sources, its gateway, and a registry that runs all the time.
struct Site {
    server: Postgres,
    city: City,
    clinic: Clinic,
    queue: String,
    store: StoreConfig,
    _registry: Running,
}

impl Site {
    async fn new() -> Self {
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        server
            .create_database("mis")
            .await
            .expect("the clinic's database");
        for (schema, ids) in [("mis", 0..10), ("lab", 100..105)] {
            let shots = shots(&server, schema);
            shots.create().await;
            shots.insert(ids).await;
        }
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let store = "[store.sqlite]\npath = \"registry.db\"\n";
        let config = city.configure(store, &queue);
        let table: toml::Table = store.parse().expect("the section is TOML");
        let clinic = Clinic::new(&city, &queue, "", "");
        let log = city.folder.path().join("log");
        let site = Self {
            _registry: Running::start(registry_command(&config, &["run"]), &log),
            store: table["store"]
                .clone()
                .try_into()
                .expect("the section is a store"),
            server,
            city,
            clinic,
            queue,
        };
        site.configure(&["mis", "lab"]);
        site
    }

    /// Configures the gateway to read these sources.
    fn configure(&self, sources: &[&str]) {
        let sections: String = sources
            .iter()
            .map(|name| {
                let section = shots(&self.server, name).source(100, "");
                section.replace("source.mis", &format!("source.{name}"))
            })
            .collect();
        self.clinic
            .configure(&self.city, &self.queue, &sections, "");
    }

    /// Gives rows another vaccine, one that is sent or one that is not, or cancels them.
    async fn set(&self, schema: &str, ids: &str, change: &str) {
        let sql =
            format!("UPDATE {schema}.shot SET {change}, changed_at = now() WHERE id IN ({ids})");
        shots(&self.server, schema).sql(&sql).await;
    }

    /// Pass that waits for the registry, which runs beside it.
    fn sync(&self) -> Output {
        let mut command = self.clinic.command(&["sync"]);
        command.env("CLINIC_GATEWAY_WAIT_RECEIPTS", "120");
        command.output().expect("the gateway's program starts")
    }

    /// Moves the state to `to`, and leaves an empty folder in its place.
    fn put_aside(&self, to: &str) {
        let folder = self.clinic.folder.path();
        drop(fs::remove_dir_all(folder.join(to)));
        fs::rename(folder.join("state"), folder.join(to)).expect("the state is moved");
        fs::create_dir(folder.join("state")).expect("an empty folder");
    }

    /// Copies the state that was put aside or copied to `from` into its place.
    fn put_back(&self, from: &str) {
        let state = self.clinic.folder.path().join("state");
        fs::remove_dir_all(&state).expect("what was in its place goes");
        copy_files(&self.clinic.folder.path().join(from), &state);
    }

    fn copy(&self, to: &str) {
        let folder = self.clinic.folder.path();
        copy_files(&folder.join("state"), &folder.join(to));
    }

    /// Facts that differ between clinic and registry.
    async fn differing(&self) -> Vec<(String, u32, u32)> {
        let mut clinic = Content::new();
        for schema in ["mis", "lab"] {
            for (fact, count) in shots(&self.server, schema).content().await {
                *clinic.entry(fact).or_default() += count;
            }
        }
        let reader = self.city.reader(&self.store).await;
        let registry = registry_content(&reader).await;
        reader.close().await;
        differing(&clinic, &registry)
    }

    #[track_caller]
    fn status(&self, phrases: &[&str]) -> String {
        told(&self.clinic.program(&["status"]), 0, phrases)
    }
}

fn shots<'a>(server: &'a Postgres, schema: &str) -> Shots<'a> {
    Shots {
        server,
        database: "mis".into(),
        schema: schema.into(),
    }
}

const NONE: [(String, u32, u32); 0] = [];
const LATER_STATE: &[&str] = &["later state of this gateway", "lost, restored or copied"];
const AT_REST: &[&str] = &["batches delivered                 0"];

#[tokio::test(flavor = "multi_thread")]
async fn old_state_that_is_put_back_after_a_new_one_sends_all_that_it_has_missed() {
    let site = Site::new().await;
    told(&site.sync(), 0, &["new                              15"]);
    assert_eq!(site.differing().await, NONE);

    // The whole state is lost. The new one learns from the registry that there was another.
    site.put_aside("old");
    site.set("mis", "1, 2", "vaccine = 'sputnik-light'").await;
    site.set("lab", "100, 101", "state = 'void'").await;
    told(&site.sync(), 0, LATER_STATE);
    site.set("mis", "3", "vaccine = 'sputnik-light'").await;
    told(&site.sync(), 0, &["corrected                         1"]);
    assert_eq!(site.differing().await, NONE);
    // Whether the answer to the beacon or a refusal comes first, and so is named, is chance.
    site.status(&["generation: rose to 2"]);

    // The old one comes back. Some rows say again what it has sent, others are corrected anew under
    // numbers that the new one has used.
    site.put_aside("new");
    site.put_back("old");
    site.set("mis", "1", "vaccine = 'sputnik-v'").await;
    site.set("mis", "2", "vaccine = 'covivac'").await;
    site.set("mis", "3", "state = 'void'").await;
    site.set("lab", "100", "state = 'done'").await;
    told(&site.sync(), 0, LATER_STATE);
    assert_eq!(site.differing().await, NONE);
    let status = site.status(&["generation: rose to 3"]);
    assert!(!status.contains("refused: "), "{status}");
    told(&site.sync(), 0, AT_REST);

    // The new one comes back in turn. It has risen before, so it asks a person.
    site.put_aside("old");
    site.put_back("new");
    site.set("mis", "1", "vaccine = 'epivaccorona'").await;
    site.set("mis", "3", "state = 'done'").await;
    told(&site.sync(), 78, &["another gateway", "accept-state"]);
    site.status(&["STOPPED"]);
    told(&site.clinic.program(&["accept-state", "--yes"]), 0, &[]);
    told(&site.sync(), 0, LATER_STATE);
    assert_eq!(site.differing().await, NONE);
    told(&site.sync(), 0, AT_REST);
}

/// The beacon is that of the sources: two states that ran with other ones are told apart by the
/// versions of their records alone, and those may raise the generation once a day.
#[tokio::test(flavor = "multi_thread")]
async fn version_used_twice_is_told_until_it_is_repaired() {
    let site = Site::new().await;
    site.configure(&["mis"]);
    told(&site.sync(), 0, &[]);
    for (generation, vaccine, cancelled) in [(1, "covivac", "2"), (2, "epivaccorona", "3")] {
        site.copy("old");
        site.configure(&["mis", "lab"]);
        let rows = format!("1, {cancelled}");
        site.set("mis", &rows, "vaccine = 'sputnik-light'").await;
        told(&site.sync(), 0, &["corrected                         2"]);
        assert_eq!(site.differing().await, NONE);

        site.configure(&["mis"]);
        site.put_back("old");
        fs::remove_dir_all(site.clinic.folder.path().join("old")).expect("the copy goes");
        let corrected = format!("vaccine = '{vaccine}'");
        site.set("mis", "1", &corrected).await;
        site.set("mis", cancelled, "state = 'void'").await;
        if generation == 1 {
            told(&site.sync(), 0, LATER_STATE);
            assert_eq!(site.differing().await, NONE);
        }
    }
    // The second time within the day the raise has to wait.
    let refused = "2 records are refused at the registry";
    told(&site.sync(), 65, &[refused, "never gave out"]);
    told(&site.sync(), 65, &[refused, "never gave out"]);
    assert!(!site.differing().await.is_empty());
    let shown = ["2 × registry:version-reused", "generation: 3 is needed"];
    site.status(&[shown[0], shown[1], "parked: 2 records"]);
    let differ = "2 records differ at the registry, and nothing was sent again";
    told(&site.clinic.program(&["reconcile"]), 65, &[differ]);
    site.status(&shown);
    let repaired = "1 record read from the source and sent, 1 withdrawal sent again";
    let repair = ["reconcile", "--repair"];
    told(&site.clinic.program(&repair), 0, &[repaired]);
    told(&site.sync(), 0, &[]);
    assert_eq!(site.differing().await, NONE);
    let status = site.status(&[]);
    assert!(
        !status.contains("refused: ") && !status.contains("needed"),
        "{status}"
    );
    let equal = "nothing differs, so nothing was sent";
    told(&site.clinic.program(&repair), 0, &[equal]);
}

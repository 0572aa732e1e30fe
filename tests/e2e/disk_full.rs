//! A full disk under the outbox, under the queue's directory and under the registry's store: both
//! programs say what to do, stay up, and go on when there is room again.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use registry::StoreConfig;
use testbed::disk::SmallDisk;
use testbed::postgres::Postgres;

use crate::plant::{awaiting, status_of, store_config, until_equal};
use crate::shots::Shots;
use crate::support::{City, Clinic, Running, directory_queue, eventually, registry_command};

/// What lies on the small disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDisk {
    Outbox,
    Queue,
    Store,
}

/// A clinic in PostgreSQL, its gateway, a directory as the queue, a registry in SQLite.
pub(crate) struct Site {
    city: City,
    pub clinic: Clinic,
    pub registry_config: PathBuf,
    store: StoreConfig,
    pub outbox: PathBuf,
    server: Postgres,
    /// Port of the gateway's metrics and health.
    pub gateway_port: u16,
    /// Port of the registry's metrics and health.
    pub registry_port: u16,
    // Last: unmounted when nothing works on it any more.
    pub disk: SmallDisk,
}

impl Site {
    /// `None`, told why, where this process may not mount.
    pub(crate) async fn new(mebibytes: u32, small: OnDisk) -> Option<Self> {
        let disk = match SmallDisk::mount(mebibytes) {
            Ok(disk) => disk,
            Err(error) => {
                println!("not tried: no small disk can be had here ({error})");
                return None;
            }
        };
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        server
            .create_database("mis")
            .await
            .expect("the clinic's database");
        let city = City::new();
        let at = |part, name: &str| {
            let base = if part == small {
                disk.path()
            } else {
                city.folder.path()
            };
            base.join(name)
        };
        let queue = at(OnDisk::Queue, "queue");
        let store = at(OnDisk::Store, "registry.db");
        let state = at(OnDisk::Outbox, "state");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&state)
            .expect("the state folder is made");
        let outbox = state.join("outbox.db");
        let store_toml = format!("[store.sqlite]\npath = \"{}\"\n", store.display());
        let ports = [testbed::ports::free_port(), testbed::ports::free_port()];
        let [gateway_port, registry_port] = ports;
        let listen = |port| format!("[listen]\naddress = \"127.0.0.1:{port}\"\n");
        let queue_toml = directory_queue(&queue);
        let registry_config =
            city.configure(&store_toml, &(queue_toml.clone() + &listen(registry_port)));
        let shots = shots(&server);
        shots.create().await;
        let extra = format!(
            "[outbox]\nbatch_events = 20\npath = \"{}\"\n{}",
            outbox.display(),
            listen(gateway_port)
        );
        let source = shots.source(100, "schedule = { every-seconds = 1 }\n");
        let clinic = Clinic::new(&city, &queue_toml, &source, &extra);
        Some(Self {
            city,
            clinic,
            registry_config,
            store: store_config(&store_toml),
            outbox,
            server,
            gateway_port,
            registry_port,
            disk,
        })
    }

    pub(crate) fn shots(&self) -> Shots<'_> {
        shots(&self.server)
    }

    pub(crate) fn gateway(&self) -> Running {
        Running::start(
            self.clinic.command(&["run"]),
            &self.clinic.folder.path().join("log"),
        )
    }

    pub(crate) fn registry(&self) -> Running {
        Running::start(
            registry_command(&self.registry_config, &["run"]),
            &self.city.folder.path().join("log"),
        )
    }

    /// Both programs, running, with a hundred rows gone all the way.
    pub(crate) async fn first_rows_settled(&self) -> (Running, Running) {
        self.shots().insert(0..100).await;
        let programs = (self.gateway(), self.registry());
        until_outbox(&self.outbox, "the first rows are settled", |status| {
            status.publisher.delivered_events == 100
                && status.backlog.batches == 0
                && awaiting(status) == 0
        })
        .await;
        programs
    }

    /// In the end the registry equals the clinic, and both programs have been up all the time.
    pub(crate) async fn ends_equal(&self, gateway: &mut Running, registry: &mut Running) {
        let logs = || format!("registry:\n{}\ngateway:\n{}", registry.log(), gateway.log());
        let reader = self.city.reader(&self.store).await;
        until_equal(&self.shots(), &reader, logs).await;
        eventually("every batch is settled by its receipt", 90, async || {
            status_of(&self.outbox)
                .await
                .filter(|status| status.backlog.batches == 0 && awaiting(status) == 0)
        })
        .await;
        reader.close().await;
        assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
        assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
        let dead = self.city.folder.path().join("queue/dead");
        let dead = fs::read_dir(dead).map_or(0, Iterator::count);
        assert_eq!(dead, 0, "a full disk made a dead letter");
    }
}

fn shots(server: &Postgres) -> Shots<'_> {
    Shots {
        server,
        database: "mis".into(),
        schema: "clinic".into(),
    }
}

async fn says(program: &Running, phrases: &[&str]) {
    eventually(&format!("the log says {phrases:?}"), 60, async || {
        let log = program.log();
        phrases
            .iter()
            .all(|phrase| log.contains(phrase))
            .then_some(())
    })
    .await;
}

async fn until_outbox(path: &Path, what: &str, reached: impl Fn(&outbox::Status) -> bool) {
    eventually(what, 60, async || {
        status_of(path).await.filter(|status| reached(status))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_outbox() {
    let Some(site) = Site::new(24, OnDisk::Outbox).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..3000).await;
    says(&gateway, &["disk-full", "free some space"]).await;
    let shown = site.clinic.program(&["status"]);
    assert!(
        shown.status.success(),
        "status works: {}",
        String::from_utf8_lossy(&shown.stderr)
    );
    site.disk.free().expect("there is room again");
    site.ends_equal(&mut gateway, &mut registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_a_full_disk_says_so_and_the_next_one_goes_on() {
    let Some(site) = Site::new(24, OnDisk::Outbox).await else {
        return;
    };
    site.shots().insert(0..100).await;
    let first = site.clinic.program(&["sync", "--wait-receipts", "0"]);
    assert!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..3000).await;
    let full = site.clinic.program(&["sync", "--wait-receipts", "0"]);
    let told = String::from_utf8_lossy(&full.stderr);
    assert!(
        full.status.code() == Some(1) && told.contains("disk") && told.contains("free some space"),
        "{told}"
    );
    site.disk.free().expect("there is room again");
    let mut gateway = site.gateway();
    let mut registry = site.registry();
    site.ends_equal(&mut gateway, &mut registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_queue_directory() {
    let Some(site) = Site::new(4, OnDisk::Queue).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..2000).await;
    says(&gateway, &["publish-failed", "disk is full"]).await;
    // A beacon that waits as well counts among the events.
    until_outbox(&site.outbox, "everything waits in the outbox", |status| {
        status.backlog.events >= 1900
    })
    .await;
    site.disk.free().expect("there is room again");
    site.ends_equal(&mut gateway, &mut registry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_registrys_store() {
    let Some(site) = Site::new(24, OnDisk::Store).await else {
        return;
    };
    let (mut gateway, mut registry) = site.first_rows_settled().await;
    site.disk.fill(0).expect("the disk is full");
    site.shots().insert(100..5000).await;
    says(&registry, &["step-failed"]).await;
    until_outbox(&site.outbox, "batches wait for their receipts", |status| {
        awaiting(status) > 0
    })
    .await;
    site.disk.free().expect("there is room again");
    site.ends_equal(&mut gateway, &mut registry).await;
    let log = registry.log();
    assert!(
        log.contains("disk") && log.contains("full") && log.contains("free"),
        "it says what to do: {log}"
    );
}

//! States that come back from a copy, and copies that run beside the original: noticed by the beacon
//! whatever happened to rows.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::cli::{World, json, told};
use crate::support::{Clinic, Running, eventually};

/// Pass that waits long enough for the registry, which runs beside it.
fn sync(clinic: &Clinic) -> Output {
    let mut command = clinic.command(&["sync"]);
    command.env("CLINIC_GATEWAY_WAIT_RECEIPTS", "120");
    command.output().expect("the gateway's program starts")
}

fn copy_folder(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a file").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

impl World {
    /// Sets the rows of two doses as `state` says, at this moment.
    async fn set(&self, state: &str) {
        let sql = format!(
            "UPDATE прививка SET состояние = '{state}', изменено = now() WHERE ид IN (103, 104)"
        );
        self.server.psql("mis", &sql).await.expect("rows change");
    }

    async fn doses(&self, expected: u64) {
        eventually("the doses stand or do not", 60, async || {
            let shown = json(&self.registry(&["show", "--stats", "--json"]));
            (shown["asserted"]["vaccination"] == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_state_is_noticed_though_the_rows_are_as_it_knows_them() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let _registry = world.registry_daemon();
    told(&sync(clinic), 0, &["batches delivered                 3"]);
    // A second pass leaves nothing given out since the last beacon.
    told(&sync(clinic), 0, &["batches delivered                 0"]);
    world.doses(5).await;
    let state = clinic.folder.path().join("state");
    let copy = clinic.folder.path().join("copy");
    copy_folder(&state, &copy);

    world.set("отменена").await;
    told(&sync(clinic), 0, &[]);
    world.doses(3).await;
    copy_folder(&copy, &state);
    world.set("выполнена").await;
    told(
        &sync(clinic),
        0,
        &["later state of this gateway", "lost, restored or copied"],
    );
    world.doses(5).await;
    told(
        &clinic.program(&["status"]),
        0,
        &[
            "generation: rose to 2",
            "the outbox was lost, restored or copied",
        ],
    );
    told(&sync(clinic), 0, &["batches delivered                 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_on_a_copy_of_a_state_stops_and_says_so() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let _registry = world.registry_daemon();
    told(&sync(clinic), 0, &[]);
    let copy = Clinic {
        folder: tempfile::tempdir().expect("a temporary folder"),
    };
    copy_folder(clinic.folder.path(), copy.folder.path());
    world.set("отменена").await;
    told(&sync(clinic), 0, &[]);

    // The original runs as a daemon, the copy is started beside it.
    let log = clinic.folder.path().join("log");
    let original = Running::start(clinic.command(&["run"]), &log);
    let is_up = async || {
        original
            .log()
            .contains("the gateway is running")
            .then_some(())
    };
    eventually("the original runs", 30, is_up).await;
    world.set("выполнена").await;
    told(&sync(&copy), 0, &["later state of this gateway"]);
    // The original notices with the next thing that it sends, and rises above the copy.
    let touch = "UPDATE прививка SET доза = 2, изменено = now() WHERE ид = 103";
    world
        .server
        .psql("mis", touch)
        .await
        .expect("a row changes");
    told(&clinic.program(&["sweep", "--wait", "120"]), 0, &[]);
    eventually("the original rises", 60, async || {
        let status = json(&clinic.program(&["status", "--json"]));
        (status["status"]["generation"] == 3).then_some(())
    })
    .await;
    eventually("all of it is answered", 60, async || {
        let status = json(&clinic.program(&["status", "--json"]));
        let backlog = &status["status"]["backlog"];
        (backlog["batches"] == 0 && backlog["awaiting_receipt_batches"] == 0).then_some(())
    })
    .await;

    // What rises in one run may be answered in the next: the receipts of batches count too.
    let words = ["another gateway", "accept-state"];
    eventually("the copy stops", 60, async || {
        (sync(&copy).status.code() == Some(78)).then_some(())
    })
    .await;
    told(&sync(&copy), 78, &words);
    told(&copy.program(&["run"]), 78, &words);
    told(&copy.program(&["status"]), 0, &["STOPPED", "accept-state"]);
    told(&copy.program(&["check"]), 78, &words);
    let status: Value = json(&copy.program(&["status", "--json"]));
    assert!(status["status"]["other_gateway_at"].is_string());
    told(&copy.program(&["accept-state"]), 78, &["--yes"]);
    world.doses(5).await;

    // The original is ended for good, and the copy goes on.
    drop(original);
    told(&copy.program(&["accept-state", "--yes"]), 0, &["accepted"]);
    told(&copy.program(&["accept-state"]), 0, &["nothing to accept"]);
    told(&sync(&copy), 0, &["later state of this gateway"]);
    told(&sync(&copy), 0, &["batches delivered                 0"]);
    world.doses(5).await;
}

//! Commands that run beside a daemon without its secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::says;
use crate::cli::{World, json, told};
use crate::support::{Running, eventually, registry_command};

/// Gives the file's content as the credential `name` instead.
fn as_credential(folder: &Path, credentials: &Path, file: &str, name: &str) {
    fs::create_dir_all(credentials).expect("made");
    fs::rename(folder.join(file), credentials.join(name)).expect("moved");
    let private = fs::Permissions::from_mode(0o400);
    fs::set_permissions(credentials.join(name), private).expect("its mode is set");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_beside_a_daemon_need_none_of_its_secrets() {
    let world = World::new("[reconcile]\nschedule = \"never\"\n").await;
    let clinic = &world.clinic;
    let credentials = clinic.folder.path().join("credentials");
    as_credential(clinic.folder.path(), &credentials, "keys", "ring");
    fs::write(credentials.join("mis"), "unused").expect("written");
    world.edit("{ file = \"keys\" }", "{ credential = \"ring\" }");
    world.edit(
        "user = \"postgres\"",
        "user = \"postgres\"\npassword = { credential = \"mis\" }",
    );
    let help = [
        "systemd-run",
        "LoadCredential=ring:",
        "CREDENTIALS_DIRECTORY=/run/credentials/clinic-gateway.service",
        "--config",
    ];
    // Without a daemon nobody has the ring, and the way to it is told.
    told(&clinic.program(&["sweep"]), 78, &help);
    let mut run = clinic.command(&["run"]);
    run.env("CREDENTIALS_DIRECTORY", &credentials);
    let mut daemon = Running::start(run, &clinic.folder.path().join("log"));
    says(&daemon, "the gateway is running").await;
    let registry = registry_command(&world.registry, &["run"]);
    let mut registry = Running::start(registry, &world.city.folder.path().join("log"));
    eventually("the example's letters are there", 60, async || {
        let listed = clinic.program(&["dead-letters", "list"]);
        String::from_utf8_lossy(&listed.stdout)
            .contains("date-future")
            .then_some(())
    })
    .await;
    eventually("the example's facts are in the registry", 60, async || {
        let status = json(&clinic.program(&["status", "--json"]));
        let backlog = &status["status"]["backlog"];
        let feeds = status["status"]["feeds"].as_array()?.len();
        let waits = [&backlog["batches"], &backlog["awaiting_receipt_batches"]];
        (feeds == 3 && waits.iter().all(|number| **number == 0)).then_some(())
    })
    .await;
    told(&clinic.program(&["sweep"]), 0, &["vaccinations"]);
    let nothing = ["no batch waits for its receipt"];
    told(&clinic.program(&["resend"]), 0, &nothing);
    told(
        &clinic.program(&["dead-letters", "retry", "--reason", "date-future"]),
        65,
        &[
            "refused again: date-future",
            "1 of 1 dead letters are not well yet",
        ],
    );
    told(
        &clinic.program(&["dead-letters", "discard", "--reason", "date-future"]),
        0,
        &["put aside"],
    );
    told(
        &clinic.program(&["reconcile", "--wait", "110"]),
        0,
        &["equal"],
    );
    told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        0,
        &["nothing of mis"],
    );
    told(&clinic.program(&["status"]), 0, &["mis"]);
    for command in [&["sync"][..], &["keys", "accept", "--yes"]] {
        told(
            &clinic.program(command),
            1,
            &["in use by another gateway process (run"],
        );
    }
    // What only this process could show needs the ring, and says how to get it.
    told(&clinic.program(&["keys", "show"]), 78, &help);
    told(&clinic.program(&["preview", "mis"]), 78, &help);
    let mut with_credentials = clinic.command(&["preview", "mis", "--from-start"]);
    with_credentials.env("CREDENTIALS_DIRECTORY", &credentials);
    let previewed = with_credentials.output().expect("it starts");
    told(&previewed, 0, &["record"]);
    assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());

    // The registry's keys as well; what needs none works all the same.
    let city = world.city.folder.path();
    as_credential(
        city,
        &city.join("credentials"),
        "second-layer.key",
        "second",
    );
    let text = fs::read_to_string(&world.registry).expect("text");
    let text = text.replace(
        "{ file = \"second-layer.key\" }",
        "{ credential = \"second\" }",
    );
    fs::write(&world.registry, text).expect("written");
    told(
        &world.registry(&["show", "--stats"]),
        78,
        &[
            "systemd-run",
            "LoadCredential=second:",
            "/run/credentials/city-registry.service",
        ],
    );
    told(
        &world.registry(&["dead-letters", "list"]),
        0,
        &["no dead letters"],
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

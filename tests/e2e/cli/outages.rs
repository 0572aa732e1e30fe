//! A clinic that is checked and synced, and what is said where a server is away or the outbox full.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{World, json, told};
use crate::support::{Running, amqp_queue, directory_queue, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_clinic_is_checked_previewed_synced_and_looked_at() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    told(&clinic.program(&["status"]), 1, &["no outbox yet", "sync"]);
    told(
        &clinic.program(&["check"]),
        0,
        &[
            "PostgreSQL",
            "12 columns understood",
            "the account may change data",
        ],
    );
    assert!(
        json(&clinic.program(&["check", "--json"]))
            .as_array()
            .is_some_and(|parts| parts.len() == 6)
    );
    told(
        &clinic.program(&["preview", "mos"]),
        2,
        &["no source is named mos", "mis"],
    );
    told(
        &clinic.program(&["sync", "mos"]),
        2,
        &["no source is named mos"],
    );
    let preview = told(
        &clinic.program(&["preview", "mis", "--records", "100"]),
        0,
        &[
            "vaccination 101: leaves",
            "is refused: identifier-check-digit",
            "does not leave: not about COVID-19",
            "vaccinations: dates leave to the day; dose-number, series-doses leave; of ",
        ],
    );
    for identity in [
        "501-377",
        "50137720139",
        "Верещагина",
        "II-180521",
        "4417093",
    ] {
        assert!(!preview.contains(identity), "{identity} in:\n{preview}");
    }
    let again = clinic.program(&[
        "preview",
        "mis",
        "--json",
        "--feed",
        "tests",
        "--records",
        "2",
    ]);
    assert_eq!(json(&again).as_array().map(Vec::len), Some(2));
    let effect = json(&clinic.program(&["preview", "mis", "--release", "1000", "--json"]));
    let leaving = effect.as_array().map(|feeds| {
        let of_feed = |feed: &Value| feed["classes"]["leaving"].as_u64();
        feeds.iter().filter_map(of_feed).sum::<u64>()
    });
    assert_eq!(leaving, Some(8), "as many as sync sends: {effect}");

    let first = json(&clinic.program(&["sync", "--json"]));
    assert_eq!(
        (&first["new"], &first["refused"], &first["complete"]),
        (&8.into(), &5.into(), &true.into()),
        "{first}"
    );
    let second = json(&clinic.program(&["sync", "--json"]));
    assert_eq!(
        (&second["batches_delivered"], &second["refused"]),
        (&0.into(), &0.into()),
        "{second}"
    );
    told(
        &clinic.program(&["preview", "mis", "--feed", "vaccinations"]),
        0,
        &[],
    );

    let refused = told(
        &clinic.program(&["status", "--refused"]),
        0,
        &["identifier-check-digit", "106", "date-future"],
    );
    assert!(!refused.contains("501"), "{refused}");
    let status = json(&clinic.program(&["status", "--json", "--refused"]));
    assert_eq!(status["refused"].as_array().map(Vec::len), Some(5));

    let change = "UPDATE прививка SET доза = 2, изменено = now() AT TIME ZONE 'Europe/Moscow' \
        WHERE ид = 103";
    world
        .server
        .psql("mis", change)
        .await
        .expect("the clinic corrects a row");
    told(
        &clinic.program(&["sync"]),
        0,
        &[
            "corrected                         1",
            "batches delivered                 1",
        ],
    );
    told(&world.registry(&["check"]), 0, &["keys", "store", "queue"]);
    told(&world.registry(&["run", "--drain"]), 0, &["applied"]);
    let stats = json(&world.registry(&["show", "--stats", "--json"]));
    assert_eq!(
        stats["asserted"],
        serde_json::json!({ "recovery": 1, "test": 2, "vaccination": 5 }),
        "{stats}"
    );
    let full = json(&clinic.program(&["sync", "--full", "--json"]));
    assert_eq!(
        (&full["read"], &full["batches_delivered"]),
        (&18.into(), &0.into()),
        "{full}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_or_refuses_is_told_in_words() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let port = world.server.port();
    world
        .server
        .psql("mis", "CREATE ROLE reader LOGIN PASSWORD 'right-horse'")
        .await
        .expect("a role is made");
    fs::write(clinic.folder.path().join("pw"), "wrong-horse").expect("the password is written");
    fs::set_permissions(
        clinic.folder.path().join("pw"),
        fs::Permissions::from_mode(0o600),
    )
    .expect("its mode");

    world.edit(
        "user = \"postgres\"",
        "user = \"reader\"\npassword = { file = \"pw\" }",
    );
    let said = told(
        &clinic.program(&["check"]),
        78,
        &["refuses the password", "`user`"],
    );
    assert!(!said.contains("horse"), "{said}");
    told(&clinic.program(&["sync"]), 78, &["source mis", "password"]);
    told(&clinic.program(&["status"]), 0, &["source-misconfigured"]);
    fs::write(clinic.folder.path().join("pw"), "right-horse").expect("the password is mended");
    told(
        &clinic.program(&["check"]),
        78,
        &["may not read", "grant it SELECT"],
    );
    world.edit("user = \"reader\"", "user = \"postgres\"");

    world.edit("п.препарат AS vaccine_code", "п.препарат AS vaccine");
    told(
        &clinic.program(&["check"]),
        78,
        &["vaccinations", "vaccine_code"],
    );
    told(
        &clinic.program(&["preview", "mis", "--feed", "vaccinations"]),
        78,
        &["vaccine_code"],
    );
    world.edit("п.препарат AS vaccine", "п.лекарство AS vaccine_code");
    told(
        &clinic.program(&["check"]),
        78,
        &["vaccinations", "лекарство"],
    );

    world.edit("database = \"mis\"", "database = \"nis\"");
    told(
        &clinic.program(&["check"]),
        78,
        &["no such database", "`database`"],
    );
    world.edit(
        &format!("port = {port}"),
        &format!("port = {}", testbed::ports::free_port()),
    );
    told(
        &clinic.program(&["check"]),
        1,
        &["PostgreSQL at 127.0.0.1", "is the server running"],
    );
    told(
        &clinic.program(&["sync"]),
        1,
        &["source mis", "is the server running"],
    );
    told(
        &clinic.program(&["preview", "mis"]),
        1,
        &["is the server running"],
    );
    told(&clinic.program(&["status"]), 0, &["source-away"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_away_keeps_batches_waiting_and_says_so() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let good = fs::read_to_string(clinic.config_path()).expect("text");
    let queue = directory_queue(&world.city.folder.path().join("queue"));
    let away = good.replace(&queue, &amqp_queue(testbed::ports::free_port()));
    fs::write(clinic.config_path(), away).expect("the broker is named");
    told(
        &clinic.program(&["check"]),
        1,
        &["nothing listens at", "start it"],
    );
    let told_away = clinic.program(&["sync"]);
    told(
        &told_away,
        1,
        &[
            "new                               8",
            "wait in the outbox: nothing listens at",
        ],
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["3 batches wait", "failing: queue-away"],
    );
    fs::write(clinic.config_path(), &good).expect("the queue is back");
    told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 3"],
    );

    // A queue that needs a person is not tried for long.
    let blocked = good.replace(&queue, "[queue.directory]\npath = \"keys/queue\"\n");
    fs::write(clinic.config_path(), blocked).expect("a queue below a file");
    told(&clinic.program(&["check"]), 78, &["keys/queue"]);
}

/// So many rows that their sealed batches do not fit into one mebibyte.
const MANY: &str =
    "INSERT INTO прививка SELECT n, 1 + n % 2, 'Спутник Лайт', NULL, 1, 1, '01.07.2021', \
     'выполнена',
    '2021-07-10 10:00:00'::timestamp + n * interval '1 second' FROM generate_series(1000, 40000) n";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_outbox_pauses_pulling_and_loses_nothing() {
    let world = World::new("[outbox]\nmax_mebibytes = 1\n").await;
    world.server.psql("mis", MANY).await.expect("many rows");
    // A full queue directory: batches stay in the outbox.
    world.edit(
        "[queue.directory]\n",
        "[queue.directory]\nmax_batches = 1\n",
    );
    let said = told(
        &world.clinic.program(&["sync"]),
        1,
        &["the outbox is full", "max_batches is 1"],
    );
    assert!(
        !said.contains(" wait in the outbox: they are not due yet"),
        "{said}"
    );
    world.edit("max_batches = 1\n", "");
    told(
        &world.clinic.program(&["status"]),
        0,
        &["paused: outbox full"],
    );
    // What waits for receipts takes room as well: only with a registry that answers there is
    // enough.
    told(
        &world.clinic.program(&["sync"]),
        1,
        &["the outbox is full", "await a receipt"],
    );
    let mut registry = world.registry_daemon();
    told(
        &world.clinic.program(&["sync", "--wait-receipts", "120"]),
        0,
        &["new", "pulling goes on"],
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    let stats = json(&world.registry(&["show", "--stats", "--json"]));
    assert_eq!(stats["asserted"]["vaccination"], 5 + 39001, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_cannot_be_used_says_what_to_do() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    let state = clinic.folder.path().join("state");
    let outbox = state.join("outbox.db");

    let mut daemon = Running::start(clinic.command(&["run"]), &clinic.folder.path().join("log"));
    eventually("the daemon runs", 30, async || {
        daemon
            .log()
            .contains("the gateway is running")
            .then_some(())
    })
    .await;
    for command in ["run", "sync"] {
        told(
            &clinic.program(&[command]),
            1,
            &["in use by another gateway process (run, process "],
        );
    }
    told(&clinic.program(&["check"]), 0, &[]);
    told(&clinic.program(&["status"]), 0, &["outbox:"]);
    assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());

    let good = fs::read(&outbox).expect("the outbox is a file");
    let mut torn = good.clone();
    torn[4096..]
        .iter_mut()
        .step_by(3)
        .for_each(|byte| *byte ^= 0x5a);
    for (bytes, phrases) in [
        (torn.as_slice(), ["damaged", "keep the `.generation` file"]),
        (
            b"not a database at all, but long enough to look at".as_slice(),
            ["no outbox", "a path of its own"],
        ),
    ] {
        fs::write(&outbox, bytes).expect("the outbox is damaged");
        for command in ["status", "sync", "run"] {
            told(&clinic.program(&[command]), 78, &phrases);
        }
    }
    fs::write(&outbox, good).expect("the outbox is restored");
    told(&clinic.program(&["sync"]), 0, &[]);

    world.edit(
        "[source.mis]",
        "[outbox]\npath = \"nowhere/outbox.db\"\n[source.mis]",
    );
    told(
        &clinic.program(&["check", "--offline"]),
        78,
        &["nowhere", "no such folder", "mode 0700"],
    );
    for command in ["sync", "run", "status"] {
        told(
            &clinic.program(&[command]),
            78,
            &["mount its disk", "mode 0700"],
        );
    }
}

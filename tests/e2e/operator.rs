//! What an operator does with the clinic's command line: receipts, dead letters, sweeps,
//! withdrawals, reconciliation; alone, and beside a running daemon.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::cli::{World, json, told};
use crate::support::{Running, eventually, registry_command};

/// The row of the example whose person has a mistyped SNILS.
const MISTYPED: &str = "identifier-check-digit";

impl World {
    async fn sql(&self, sql: &str) {
        self.server
            .psql("mis", sql)
            .await
            .expect("the clinic changes its rows");
    }

    fn asserted(&self) -> Value {
        json(&self.registry(&["show", "--stats", "--json"]))["asserted"].clone()
    }

    /// Makes a pass of the gateway, one of the registry, and another that hears the receipts.
    fn settle(&self) {
        told(&self.clinic.program(&["sync"]), 0, &[]);
        told(&self.registry(&["run", "--drain"]), 0, &[]);
        told(&self.clinic.program(&["sync"]), 0, &[]);
    }

    fn letters(&self, more: &[&str]) -> Vec<Value> {
        let listed = self
            .clinic
            .program(&[&["dead-letters", "list", "--json"], more].concat());
        json(&listed).as_array().expect("a list").clone()
    }

    pub(crate) fn registry_daemon(&self) -> Running {
        let command = registry_command(&self.registry, &["run"]);
        Running::start(command, &self.city.folder.path().join("log"))
    }

    async fn gateway_daemon(&self) -> Running {
        let daemon = Running::start(
            self.clinic.command(&["run"]),
            &self.clinic.folder.path().join("log"),
        );
        let up = async || {
            daemon
                .log()
                .contains("the gateway is running")
                .then_some(())
        };
        eventually("the daemon runs", 30, up).await;
        daemon
    }
}

fn awaiting(output: &Output) -> Value {
    json(output)["status"]["backlog"]["awaiting_receipt_batches"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_stay_until_their_receipts_and_forged_ones_change_nothing() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    told(
        &clinic.program(&["sync"]),
        0,
        &[
            "batches delivered                 3",
            "batches await a receipt           3",
        ],
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["3 batches await theirs", "0 batches wait"],
    );
    assert_eq!(awaiting(&clinic.program(&["status", "--json"])), 3);

    // Anybody who may write into the queue's directory can put a file among the receipts.
    let queue = world.city.folder.path().join("queue");
    let batch = fs::read_dir(queue.join("incoming"))
        .expect("batches")
        .flatten()
        .next()
        .expect("a batch");
    let batch = contract::batch_id_of(&fs::read(batch.path()).expect("it can be read"))
        .expect("it is a batch");
    let unreadable = contract::Receipt::unreadable(batch, contract::UnreadableReason::OtherKey);
    let forged = contract::ReceiptSigner::generate().sign(&[unreadable]);
    told(&world.registry(&["run", "--drain"]), 0, &["applied"]);
    let example = fs::read_dir(queue.join("receipts"))
        .expect("receipts")
        .flatten()
        .next()
        .expect("a receipt");
    let name = example.file_name().into_string().expect("ASCII");
    let name = if name.contains('1') {
        name.replace('1', "2")
    } else {
        name.replace(['0', '2', '3'], "1")
    };
    fs::write(queue.join("receipts").join(name), forged).expect("a forged receipt");

    let said = told(
        &clinic.program(&["sync"]),
        0,
        &[
            "accepted by the registry          9",
            "a receipt was ignored",
            "other-key",
        ],
    );
    assert!(!said.contains("await a receipt"), "{said}");
    told(
        &clinic.program(&["status"]),
        0,
        &[
            "receipts: 9 events accepted, 0 refused",
            "0 batches await theirs",
        ],
    );
    assert_eq!(awaiting(&clinic.program(&["status", "--json"])), 0);

    // A registry that sends no receipts: the queue's confirm settles.
    world.edit("[registry]\n", "[registry]\nreceipts = \"off\"\n");
    world
        .sql("UPDATE прививка SET доза = 2, изменено = now() WHERE ид = 103")
        .await;
    told(
        &clinic.program(&["sync"]),
        0,
        &["corrected                         1"],
    );
    told(&clinic.program(&["status"]), 0, &["receipts: off"]);
    assert_eq!(awaiting(&clinic.program(&["status", "--json"])), 0);
    told(&clinic.program(&["reconcile"]), 78, &["receipts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_retried_and_discarded_without_an_identity() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    told(
        &clinic.program(&["dead-letters", "list"]),
        1,
        &["no outbox yet"],
    );
    world.settle();
    let list = told(
        &clinic.program(&["dead-letters", "list"]),
        0,
        &[
            "refused by",
            "106",
            MISTYPED,
            "so a digit is mistyped",
            "date-future",
        ],
    );
    println!("{list}");
    for identity in ["501-377", "50137720645", "Брусникин", "Comirnaty"] {
        assert!(!list.contains(identity), "{identity} in:\n{list}");
    }
    assert_eq!(world.letters(&[]).len(), 5);
    assert_eq!(
        world.letters(&["--source", "mis", "--feed", "tests"]).len(),
        1
    );
    assert_eq!(world.letters(&["--origin", "registry"]).len(), 0);
    assert_eq!(world.letters(&["--older-than", "3d"]).len(), 0);
    let mistyped = world.letters(&["--reason", MISTYPED]);
    let id = mistyped[0]["id"].to_string();
    told(
        &clinic.program(&["dead-letters", "show", &id]),
        0,
        &["record         106", "what to do"],
    );
    told(
        &clinic.program(&["dead-letters", "show", "4711"]),
        2,
        &["no dead letter 4711"],
    );
    told(
        &clinic.program(&["dead-letters", "retry"]),
        2,
        &["say which", "--older-than"],
    );
    told(
        &clinic.program(&["dead-letters", "retry", "--older-than", "3"]),
        2,
        &["12h"],
    );

    // The person is mended, which moves no change stamp of the row: no pull would see it.
    told(
        &clinic.program(&["dead-letters", "retry", &id]),
        65,
        &["refused again: identifier-check-digit"],
    );
    world
        .sql("UPDATE пациент SET снилс = '501-377-206 47' WHERE ид = 4")
        .await;
    let number = crate::support::snils(501_377_206);
    world
        .sql(&format!(
            "UPDATE пациент SET снилс = '{number}' WHERE ид = 4"
        ))
        .await;
    told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 0"],
    );
    let retried = told(
        &clinic.program(&["dead-letters", "retry", "--reason", MISTYPED]),
        0,
        &["is well now"],
    );
    println!("{retried}");
    assert_eq!(world.letters(&[]).len(), 4);
    world.settle();
    assert_eq!(world.asserted()["vaccination"], 6);

    // A row that is gone says so; the sweep closes its letter.
    world.sql("DELETE FROM прививка WHERE ид = 108").await;
    told(
        &clinic.program(&["dead-letters", "retry", "--reason", "date-future"]),
        65,
        &["no longer at the source"],
    );
    told(&clinic.program(&["sweep"]), 0, &["vaccinations"]);
    assert_eq!(world.letters(&["--reason", "date-future"]).len(), 0);

    // What is put aside stays aside until its row changes.
    let rest = world.letters(&[]).len();
    told(
        &clinic.program(&["dead-letters", "discard", "--feed", "vaccinations"]),
        0,
        &["put aside"],
    );
    let open = world.letters(&[]).len();
    assert!(open < rest, "{open} of {rest}");
    assert_eq!(world.letters(&["--discarded"]).len(), rest - open);
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    told(&clinic.program(&["sweep"]), 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_withdrawn_and_an_emptied_clinic_asks_first() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    world.settle();
    assert_eq!(world.asserted()["vaccination"], 5);
    world.sql("DELETE FROM прививка WHERE ид = 104").await;
    told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 0"],
    );
    let swept = told(&clinic.program(&["sweep", "mis"]), 0, &["withdrawn"]);
    println!("{swept}");
    let help = told(&clinic.program(&["sweep", "--help"]), 0, &[]);
    let head = swept.lines().find(|line| line.starts_with("source"));
    let columns = head.expect("the table's head").split("  ").map(str::trim);
    for column in columns.filter(|column| !column.is_empty()) {
        let explains = |line: &str| line.trim_start().starts_with(&format!("{column} "));
        assert!(help.lines().any(explains), "{column}: {help}");
    }
    world.settle();
    assert_eq!(world.asserted()["vaccination"], 4);

    // A row that was corrected with its stamp set back, which no pull sees.
    world
        .sql(
            "UPDATE прививка SET препарат = 'КовиВак', изменено = изменено - interval '30 days' \
            WHERE ид = 103",
        )
        .await;
    told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 0"],
    );
    let missed = json(&clinic.program(&["sweep", "--json"]));
    let vaccinations = &missed[0]["feeds"][0];
    assert_eq!(
        (&vaccinations["reread"], &vaccinations["missed"]),
        // With it comes the row whose date lies in the future.
        (&2.into(), &1.into()),
        "{missed}"
    );
    told(
        &clinic.program(&["status"]),
        0,
        &[
            "surprise: mis vaccinations: 1 × stamps-went-back",
            "changed-unnoticed",
        ],
    );

    // Somebody has emptied the database.
    world.sql("DELETE FROM прививка").await;
    let held = told(&clinic.program(&["sweep"]), 1, &["confirm-withdrawals mis"]);
    println!("{held}");
    world.settle();
    assert_eq!(
        world.asserted()["vaccination"],
        4,
        "nothing was withdrawn unasked"
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["HELD: 4 of 4 records", "confirm-withdrawals mis"],
    );
    let asked = told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        2,
        &["4 of 4 records are gone at the source", "--yes"],
    );
    println!("{asked}");
    told(
        &clinic.program(&["confirm-withdrawals", "mos"]),
        2,
        &["no source is named mos"],
    );
    let confirmed = told(
        &clinic.program(&["confirm-withdrawals", "mis", "--yes"]),
        0,
        &["4 records withdrawn"],
    );
    println!("{confirmed}");
    told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        0,
        &["nothing of mis is held back"],
    );
    world.settle();
    assert_eq!(world.asserted()["vaccination"], Value::Null);
    assert_eq!(world.asserted()["test"], 2, "other feeds are untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_a_source_that_was_taken_out_are_withdrawn_on_demand() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    world.settle();
    world.edit("[source.mis]", "[source.new]");
    let text = fs::read_to_string(clinic.config_path())
        .expect("text")
        .replace("[source.mis.", "[source.new.");
    fs::write(clinic.config_path(), text).expect("the source has another name");
    world
        .sql("DELETE FROM прививка; DELETE FROM анализ; DELETE FROM случай")
        .await;
    told(&clinic.program(&["sync"]), 0, &[]);
    told(
        &clinic.program(&["status"]),
        0,
        &[
            "source mis is not configured any more",
            "confirm-withdrawals mis",
        ],
    );
    told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        2,
        &[
            // One of them was withdrawn in between, and counts again.
            "mis vaccinations: 5 of 5 records belong to a source that is not configured",
            "--yes",
        ],
    );
    told(
        &clinic.program(&["confirm-withdrawals", "mis", "--yes"]),
        0,
        &["8 records withdrawn"],
    );
    world.settle();
    assert_eq!(world.asserted(), serde_json::json!({}));
    let status = told(&clinic.program(&["status"]), 0, &[]);
    assert!(!status.contains("not configured any more"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_was_taken_out_is_told_as_such_and_withdrawn_on_demand() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    world.settle();
    let text = fs::read_to_string(clinic.config_path()).expect("text");
    let begin = text.find("[source.mis.postgres.tests]").expect("the feed");
    let behind = begin + 1;
    let end = text[behind..]
        .find("\n[")
        .map_or(text.len(), |at| behind + at);
    let text = format!("{}{}", &text[..begin], &text[end..]);
    fs::write(clinic.config_path(), text).expect("the feed is taken out");
    let told_so = "feed tests of source mis is not configured any more; 2 records of it stay at \
                   the registry";
    let status = told(
        &clinic.program(&["status"]),
        0,
        &["not configured", told_so, "confirm-withdrawals mis"],
    );
    assert!(!status.contains("sweep: mis tests"), "{status}");
    told(&clinic.program(&["check", "--offline"]), 0, &[told_so]);
    let asked = told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        2,
        &["mis tests: 2 of 2 records belong to a feed that is not configured"],
    );
    assert!(!asked.contains("gone at the source"), "{asked}");
    told(
        &clinic.program(&["confirm-withdrawals", "mis", "--yes"]),
        0,
        &["2 records withdrawn"],
    );
    world.settle();
    assert_eq!(world.asserted()["test"], Value::Null);
    let status = told(&clinic.program(&["status"]), 0, &[]);
    assert!(!status.contains("not configured any more"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lost_facts_is_found_out_and_repaired() {
    let world = World::new("").await;
    let clinic = &world.clinic;
    world.settle();
    let store = world.city.folder.path().join("registry.sqlite");
    let older = fs::read(&store).expect("the registry's file");
    world
        .sql("UPDATE прививка SET доза = 2, изменено = now() WHERE ид = 103")
        .await;
    world
        .sql(
            "INSERT INTO анализ VALUES (205, 1, 'ПЦР SARS-CoV-2', 'обнаружено', '15.07.2021 \
            08:30', 'готов', now())",
        )
        .await;
    world.settle();
    // The registry's store is put back as it was before.
    for ending in ["", "-wal", "-shm"] {
        let _not_there = fs::remove_file(format!("{}{ending}", store.display()));
    }
    fs::write(&store, older).expect("an older copy comes back");

    let mut registry = world.registry_daemon();
    let report = told(
        &clinic.program(&["reconcile", "--wait", "60"]),
        65,
        &["equal", "--repair", "2 records differ at the registry"],
    );
    println!("{report}");
    let report = json(&clinic.program(&["reconcile", "mis", "--json", "--wait", "60"]));
    let count = |result: &str| report["report"][result].as_u64();
    assert_eq!(
        (count("missing"), count("stale"), count("equal")),
        (Some(1), Some(1), Some(8)),
        "{report}"
    );
    let repaired = told(
        &clinic.program(&["reconcile", "--repair", "--wait", "60"]),
        0,
        &["repair: 2 records read"],
    );
    println!("{repaired}");
    eventually("what was lost is back", 60, async || {
        told(&clinic.program(&["sync"]), 0, &[]);
        (world.asserted()["test"] == 3).then_some(())
    })
    .await;
    let report = json(&clinic.program(&["reconcile", "--json", "--wait", "60"]));
    assert_eq!(
        (&report["report"]["equal"], &report["report"]["missing"]),
        (&10.into(), &0.into()),
        "{report}"
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["reconciled: all sources: ", "10 equal, 0 missing, 0 stale"],
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_does_what_the_command_line_asks() {
    let world = World::new("[reconcile]\nschedule = \"never\"\n").await;
    let clinic = &world.clinic;
    told(&world.registry(&["run", "--drain"]), 0, &[]);
    let mut daemon = world.gateway_daemon().await;
    let mut registry = world.registry_daemon();
    eventually(
        "the example's facts are in the registry, and the receipts are back",
        60,
        async || {
            (world.asserted()["vaccination"] == 5
                && awaiting(&clinic.program(&["status", "--json"])) == 0)
                .then_some(())
        },
    )
    .await;
    world.sql("DELETE FROM прививка WHERE ид = 104").await;
    told(&clinic.program(&["sweep"]), 0, &["vaccinations"]);
    eventually("the deleted row is withdrawn", 60, async || {
        (world.asserted()["vaccination"] == 4).then_some(())
    })
    .await;
    let number = crate::support::snils(501_377_206);
    world
        .sql(&format!(
            "UPDATE пациент SET снилс = '{number}' WHERE ид = 4"
        ))
        .await;
    told(
        &clinic.program(&["dead-letters", "retry", "--reason", MISTYPED]),
        0,
        &["is well now"],
    );
    eventually("the mended row arrives", 60, async || {
        (world.asserted()["vaccination"] == 5).then_some(())
    })
    .await;
    world.sql("DELETE FROM прививка").await;
    told(&clinic.program(&["sweep"]), 1, &["confirm-withdrawals mis"]);
    told(
        &clinic.program(&["confirm-withdrawals", "mis", "--yes"]),
        0,
        &["5 records withdrawn"],
    );
    eventually("all are withdrawn", 60, async || {
        world.asserted()["vaccination"].is_null().then_some(())
    })
    .await;
    told(
        &clinic.program(&["dead-letters", "discard", "--origin", "clinic"]),
        0,
        &["put aside"],
    );
    let report = json(&clinic.program(&["reconcile", "--json", "--wait", "60"]));
    assert_eq!(
        (&report["report"]["finished"], &report["report"]["missing"]),
        (&true.into(), &0.into()),
        "{report}"
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());

    // A daemon that hangs is told of; the request is left with it.
    daemon.kill();
    world
        .sql(
            "INSERT INTO анализ VALUES (206, 1, 'ПЦР SARS-CoV-2', 'обнаружено', '15.07.2021 \
        08:30', 'готов', now())",
        )
        .await;
    let mut other = Running::start(
        clinic.command(&["sync", "--wait-receipts", "600"]),
        &clinic.folder.path().join("sync"),
    );
    // Nobody else sends the new row, and no registry answers it.
    eventually("another command holds the outbox", 60, async || {
        assert!(other.runs(), "{}", other.log());
        (awaiting(&clinic.program(&["status", "--json"])) == 1).then_some(())
    })
    .await;
    told(
        &clinic.program(&["sweep", "--wait", "1"]),
        1,
        &["(sync, process", "has not answered within 1 s"],
    );
    other.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_sweeps_and_reconciles_by_schedule() {
    let world = World::new("[reconcile]\nschedule = { every-seconds = 3 }\nrepair = true\n").await;
    let sweep = "[source.mis.sweep]\nschedule = { every-seconds = 1 }\n\n[source.mis.postgres]";
    world.edit("[source.mis.postgres]", sweep);
    let clinic = &world.clinic;
    told(&world.registry(&["run", "--drain"]), 0, &[]);
    let mut daemon = world.gateway_daemon().await;
    let mut registry = world.registry_daemon();
    eventually("the facts are there", 60, async || {
        (world.asserted()["vaccination"] == 5).then_some(())
    })
    .await;
    world.sql("DELETE FROM прививка WHERE ид = 104").await;
    eventually("the deleted row is withdrawn", 60, async || {
        (world.asserted()["vaccination"] == 4).then_some(())
    })
    .await;
    eventually("all is compared and equal", 60, async || {
        let status = clinic.program(&["status"]);
        String::from_utf8_lossy(&status.stdout)
            .contains("9 equal, 0 missing, 0 stale, 0 extra, 0 conflicting")
            .then_some(())
    })
    .await;
    println!(
        "{}",
        told(
            &clinic.program(&["status"]),
            0,
            &[
                "sweep: mis vaccinations: changes are noticed by a stamp; the last",
                "1 withdrawn in all"
            ]
        )
    );
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());
}

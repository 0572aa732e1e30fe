//! Facts of small classes stay at the clinic, and leave once persons are enough, with real programs
//! and servers.

use serde_json::Value;

use crate::cli::{json, told};
use crate::corrections::World;

/// Withheld records with the persons of their class, as the command lists them.
fn withheld(world: &World) -> Vec<(String, Option<u64>)> {
    let listed = json(&world.clinic.program(&["withheld", "--json"]));
    let records = listed.as_array().expect("a list").iter();
    let mut records: Vec<_> = records
        .map(|record| {
            let id = record["record_id"].as_str().expect("an id");
            (id.to_owned(), record["persons"].as_u64())
        })
        .collect();
    records.sort_unstable();
    records
}

/// Rows of the feed that were read, by what came of them; they add up.
fn rows(world: &World) -> Value {
    let status = json(&world.clinic.program(&["status", "--json"]));
    let rows = status["status"]["feeds"][0]["rows"].clone();
    let parts = [
        "sent",
        "unchanged",
        "no_fact",
        "refused",
        "parked",
        "withheld",
    ];
    let sum: u64 = parts.iter().filter_map(|part| rows[part].as_u64()).sum();
    assert_eq!(rows["read"], sum, "{rows}");
    rows
}

async fn small_classes_are_withheld_and_leave_once_they_are_large(world: World) {
    let clinic = &world.clinic;
    let section = "[release.vaccination]\nsmallest_class = 5\n";
    world.edit("[source.mis]", &format!("{section}[source.mis]"));
    let told_by_check = "vaccination: facts that leave alike are withheld as long as they are of \
                         fewer than 5 persons";
    told(&clinic.program(&["check"]), 0, &[told_by_check]);
    // Twenty persons have a dose of the same day; three of them another one, later.
    world.change("given = '2021-03-03'", "id > 17").await;
    let preview = clinic.program(&["preview", "mis", "--release", "100"]);
    told(&preview, 0, &["17 leave and 3 are withheld", "k = 3"]);

    assert_eq!(world.settle(), 17);
    let three = ["18", "19", "20"].map(|id| (id.to_owned(), Some(3)));
    assert_eq!(withheld(&world), three);
    told(&clinic.program(&["withheld", "mis"]), 0, &["3 of 5"]);
    let status = told(
        &clinic.program(&["status"]),
        0,
        &["3 records wait until more persons have"],
    );
    assert!(status.contains("withheld: mis vaccinations"), "{status}");
    // Each time that they are read: by both passes.
    assert_eq!(rows(&world)["withheld"], 6);

    // A correction into the small class: what was sent is withdrawn, and the class grows.
    world.change("given = '2021-03-03'", "id = 1").await;
    assert_eq!(world.settle(), 16);
    let words = "1 older version is withdrawn at the registry";
    told(&clinic.program(&["status"]), 0, &[words]);
    assert_eq!(withheld(&world).len(), 4);
    // A reconciliation finds nothing to ask about in them.
    assert_eq!(world.reconcile(&[]).await, [Some(0), Some(17)]);

    // The fifth person opens the class, and all five leave in one pass.
    world.change("given = '2021-03-03'", "id = 2").await;
    assert_eq!(world.settle(), 20);
    assert_eq!(withheld(&world), []);
    told(&clinic.program(&["withheld"]), 0, &["nothing is withheld"]);
    let status = told(&clinic.program(&["status"]), 0, &[]);
    assert!(!status.contains("withheld: "), "{status}");

    // A refused row that is mended into a small class is told as withheld, not as sent.
    world.change("vaccine = 'Вакцина-17'", "id = 9").await;
    assert_eq!(world.settle(), 19);
    let mended = "vaccine = 'sputnik-v', given = '2021-09-09'";
    world.change(mended, "id = 9").await;
    let retry = clinic.program(&["dead-letters", "retry", "--source", "mis"]);
    told(&retry, 0, &["is well now, and withheld"]);

    // A row that is deleted while it waits is found by a sweep.
    world.change("given = '2021-04-04'", "id IN (3, 4)").await;
    assert_eq!(world.settle(), 17);
    world.server.sql("DELETE FROM dose WHERE id = 3").await;
    told(&clinic.program(&["sweep", "mis"]), 0, &[]);
    let alone = ["4", "9"].map(|id| (id.to_owned(), Some(1)));
    assert_eq!(withheld(&world), alone);

    // They need not wait for ever: four others whose classes are small, too, have the same year.
    world.change("given = '2021-05-05'", "id IN (5, 6)").await;
    world.change("given = '2021-06-06'", "id IN (7, 8)").await;
    let after = "smallest_class = 5\ncoarsen_after_days = 0\n";
    world.edit("smallest_class = 5\n", after);
    let words = "leave with a coarser date after 0 days";
    told(&clinic.program(&["check"]), 0, &[words]);
    assert_eq!(world.settle(), 19);
    told(&clinic.program(&["withheld"]), 0, &["nothing is withheld"]);
    let words = "6 records have left with a coarser date";
    told(&clinic.program(&["status"]), 0, &[words]);
    assert_eq!(world.reconcile(&[]).await, [Some(0), Some(20)]);

    // Without the policy they leave as they are.
    world.edit(after, "");
    told(
        &clinic.program(&["check"]),
        0,
        &["what leaves have changed"],
    );
    assert_eq!(world.settle(), 19);
    let status = told(&clinic.program(&["status"]), 0, &[]);
    assert!(!status.contains("withheld: "), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_classes_of_a_postgresql_clinic() {
    let world = World::postgres(20, "").await;
    small_classes_are_withheld_and_leave_once_they_are_large(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_classes_of_a_mariadb_clinic() {
    let world = World::mariadb(20, "").await;
    small_classes_are_withheld_and_leave_once_they_are_large(world).await;
}

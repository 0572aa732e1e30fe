//! The overlap, which is read again while rows may come behind a stamp, and not for ever; and
//! stamps that are ahead of now.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{Connector, PageRequest};

use crate::clinic::{Clinic, DOSES, now, run, run_at};

async fn table(clinic: &Clinic, stamp_type: &str) {
    let create = format!(
        "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id int, changed {stamp_type}, snils \
         varchar(20), vaccine varchar(20), given date)"
    );
    clinic.run(&create).await;
}

async fn insert(clinic: &Clinic, ids: std::ops::Range<u32>, stamp: &str) {
    let rows: Vec<String> = ids.map(|id| format!("({id}, {stamp})")).collect();
    let rows = rows.join(", ");
    clinic
        .run(&format!("INSERT INTO doses (id, changed) VALUES {rows}"))
        .await;
}

/// A moment as the column holds it: wall-clock time of Moscow, an instant, or a number.
fn stamp(stamp_type: &str, at: DateTime<Utc>) -> String {
    match stamp_type {
        "int" => at.timestamp().to_string(),
        "timestamptz" => format!("'{}+00'", at.format("%Y-%m-%d %H:%M:%S")),
        _ => {
            let local = at + TimeDelta::hours(3);
            format!("'{}'", local.format("%Y-%m-%d %H:%M:%S"))
        }
    }
}

async fn each_database(check: impl AsyncFn(&Clinic, &str)) {
    let postgres = Clinic::postgres().await;
    for kind in ["timestamptz", "timestamp"] {
        check(&postgres, kind).await;
    }
    let mariadb = Clinic::mariadb().await;
    check(&mariadb, "datetime(6)").await;
    let sqlite = Clinic::sqlite();
    for kind in ["text", "int"] {
        check(&sqlite, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_one_stamp_is_read_again_until_nothing_can_come_behind_it() {
    each_database(async |clinic, kind| {
        table(clinic, kind).await;
        let connector = clinic.connector(DOSES);
        let imported = now() - TimeDelta::seconds(100);
        insert(clinic, 0..25, &stamp(kind, imported)).await;
        let first = run(&connector, None, 10).await;
        assert_eq!(first.ids.len(), 25, "{kind}");
        // Committed late, within the overlap after its stamp.
        let late = stamp(kind, imported - TimeDelta::seconds(150));
        insert(clinic, 30..31, &late).await;
        let again = run_at(&connector, first.stored, 10, now() + TimeDelta::seconds(50)).await;
        assert_eq!(again.ids.len(), 26, "{kind}: it is not closed yet");
        // An overlap after the first run had read its rows, which may have taken a while.
        let closing = now() + TimeDelta::seconds(350);
        let last = run_at(&connector, again.stored, 10, closing).await;
        assert_eq!(last.ids.len(), 26, "{kind}: this reading closes it");
        let mut stored = last.stored;
        for minutes in [6, 7, 600] {
            let later = now() + TimeDelta::minutes(minutes);
            let quiet = run_at(&connector, stored, 10, later).await;
            assert_eq!((quiet.ids, quiet.surprises), (vec![], vec![]), "{kind}");
            stored = quiet.stored;
        }
        // What is written then comes, and what follows it goes back no farther than the import.
        insert(
            clinic,
            40..41,
            &stamp(kind, imported + TimeDelta::seconds(7)),
        )
        .await;
        let later = now() + TimeDelta::minutes(601);
        let new = run_at(&connector, stored, 10, later).await;
        assert_eq!(new.ids, ["40"], "{kind}");
        insert(
            clinic,
            41..42,
            &stamp(kind, imported + TimeDelta::seconds(9)),
        )
        .await;
        let new = run_at(&connector, new.stored, 10, later).await;
        assert_eq!(new.ids, ["40", "41"], "{kind}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_long_ago_is_read_once() {
    each_database(async |clinic, kind| {
        if kind == "int" {
            return;
        }
        table(clinic, kind).await;
        let connector = clinic.connector(DOSES);
        insert(clinic, 0..20, &stamp(kind, now() - TimeDelta::days(3))).await;
        let first = run(&connector, None, 10).await;
        let second = run(&connector, first.stored, 10).await;
        assert_eq!((first.ids.len(), second.ids), (20, vec![]), "{kind}");
    })
    .await;
}

/// Twenty rows of long ago, which are read once; or again with every run, where the source may
/// stand still.
async fn reads_again(clinic: &Clinic) -> bool {
    let connector = clinic.connector(DOSES);
    let first = run(&connector, None, 100).await;
    assert_eq!(first.ids.len(), 20);
    let again = run(&connector, first.stored, 100).await;
    let last = run(&connector, again.stored, 100).await;
    assert_eq!(again.ids, last.ids);
    assert!([0, 20].contains(&last.ids.len()), "{:?}", last.ids);
    last.ids.len() == 20
}

async fn long_ago(clinic: &Clinic, kind: &str) {
    table(clinic, kind).await;
    insert(clinic, 0..20, &stamp(kind, now() - TimeDelta::days(3))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_has_replayed_nothing_closes_nothing() {
    let clinic = Clinic::postgres().await;
    long_ago(&clinic, "timestamptz").await;
    assert!(!reads_again(&clinic).await);
    let Clinic::Postgres(mut server, database) = clinic else {
        unreachable!()
    };
    server.stop().await.unwrap();
    std::fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server.restart().await.unwrap();
    let replayed = "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp() IS NULL";
    let said = server.psql(&database, replayed).await.unwrap();
    assert_eq!(said.trim(), "t|t");
    let clinic = Clinic::Postgres(server, database);
    assert!(reads_again(&clinic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_closes_by_what_it_has_replayed() {
    let clinic = Clinic::postgres().await;
    long_ago(&clinic, "timestamptz").await;
    let Clinic::Postgres(mut server, database) = clinic else {
        unreachable!()
    };
    // What was committed is replayed as it starts.
    server.kill();
    std::fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server.restart().await.unwrap();
    let replayed = "SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp() IS NULL";
    let said = server.psql(&database, replayed).await.unwrap();
    assert_eq!(said.trim(), "t|f");
    let clinic = Clinic::Postgres(server, database);
    assert!(!reads_again(&clinic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_closes_nothing_and_any_account_may_ask() {
    let clinic = Clinic::postgres().await;
    long_ago(&clinic, "timestamptz").await;
    clinic
        .run(
            "CREATE ROLE plain; SET ROLE plain; SELECT 1 FROM pg_catalog.pg_subscription AS s \
             WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database AS d \
             WHERE d.datname = current_database())",
        )
        .await;
    assert!(!reads_again(&clinic).await);
    clinic
        .run(
            "CREATE SUBSCRIPTION elsewhere CONNECTION 'dbname=elsewhere' PUBLICATION doses \
             WITH (connect = false)",
        )
        .await;
    assert!(reads_again(&clinic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_mariadb_that_is_read_only_or_has_taken_over_closes_nothing() {
    let clinic = Clinic::mariadb().await;
    long_ago(&clinic, "datetime(6)").await;
    assert!(!reads_again(&clinic).await);
    clinic.run("SET GLOBAL read_only = 1").await;
    assert!(reads_again(&clinic).await);
    clinic.run("SET GLOBAL read_only = 0").await;
    assert!(!reads_again(&clinic).await);
    clinic.run("SET GLOBAL gtid_slave_pos = '0-7-12'").await;
    assert!(reads_again(&clinic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_closes_by_the_time_at_which_it_was_written() {
    let clinic = Clinic::sqlite();
    long_ago(&clinic, "text").await;
    let Clinic::Sqlite(folder) = &clinic else {
        unreachable!()
    };
    let path = folder.path().join("mis.db");
    let file = std::fs::File::options().append(true).open(path).unwrap();
    // A copy that was made shortly after the rows were stamped.
    let written = now() - TimeDelta::days(3) + TimeDelta::minutes(1);
    file.set_modified(written.into()).unwrap();
    assert!(reads_again(&clinic).await);
    file.set_modified(now().into()).unwrap();
    assert!(!reads_again(&clinic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_left_in_its_midst_goes_on_there_where_nothing_can_come_behind() {
    each_database(async |clinic, kind| {
        if kind == "int" {
            return;
        }
        table(clinic, kind).await;
        insert(clinic, 0..50, &stamp(kind, now() - TimeDelta::days(3))).await;
        let mut stored = None;
        let mut read = Vec::new();
        // Every run is broken off behind its first page.
        for _ in 0..6 {
            let connector = clinic.connector(DOSES);
            let request = PageRequest {
                feed: connector.feeds()[0],
                after: stored.clone(),
                first_of_run: true,
                hinted: false,
                limit: 10,
                now: now(),
            };
            let page = connector.page(request).await.unwrap();
            read.extend(page.records.into_iter().map(|record| record.record_id));
            stored = page.resume.or(stored);
        }
        read.sort_by_key(|id| id.parse::<u32>().unwrap());
        let all: Vec<String> = (0..50).map(|id| id.to_string()).collect();
        assert_eq!(read, all, "{kind}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_ahead_of_now_come_and_nothing_is_said_to_have_gone_back() {
    each_database(async |clinic, kind| {
        table(clinic, kind).await;
        let connector = clinic.connector(DOSES);
        let before = |seconds| stamp(kind, now() - TimeDelta::seconds(seconds));
        let far = DateTime::from_timestamp(2_000_000_000, 0).unwrap();
        insert(clinic, 1..2, &before(7200)).await;
        insert(clinic, 2..3, &before(-30)).await;
        insert(clinic, 3..4, &stamp(kind, far)).await;
        let first = run(&connector, None, 2).await;
        assert_eq!(first.ids, ["1", "2", "3"], "{kind}");
        let mut stored = first.stored;
        for (run, seconds) in [1, 10, 29, 31, 60, 3600].into_iter().enumerate() {
            let id = 10 + u32::try_from(run).unwrap();
            // The server's clock is half a minute ahead.
            insert(clinic, id..id + 1, &before(-30 - seconds)).await;
            let now = now() + TimeDelta::seconds(seconds);
            let run = run_at(&connector, stored, 2, now).await;
            assert!(run.ids.contains(&id.to_string()), "{kind}: {:?}", run.ids);
            assert_eq!(run.surprises, [], "{kind} after {seconds} s");
            stored = run.stored;
        }
    })
    .await;
}

//! PostgreSQL's notifications as hints: what wakes the gateway, what it then reads, and what
//! happens when nobody notifies.

use std::time::Duration;

use clock::{Clock, SystemClock};
use connector_kit::{CheckReport, Connector, Cursor, Level, PageRequest};
use connector_sql::SqlConnector;
use tokio::time::timeout;

use crate::clinic::{Clinic, DOSES, first_page, now, run};
use crate::conformance::{insert, table};

/// Longer than any hint takes, the reconnection included.
const SOON: Duration = Duration::from_secs(60);
/// Shortest time between two hints.
const GATHERED_MS: u128 = 100;
/// Time for which no further hint may come.
const QUIET: Duration = Duration::from_millis(700);

fn listening(clinic: &Clinic, settings: &str) -> SqlConnector {
    clinic
        .connector_with(&format!(
            "listen = 'clinic_facts'\n{settings}[vaccinations]\nquery = '''{DOSES}'''\n"
        ))
        .unwrap()
}

async fn hint(connector: &SqlConnector) {
    timeout(SOON, connector.changed())
        .await
        .expect("a hint comes")
        .expect("waiting for hints never fails");
}

/// Counts the hints that come until none has come for a while.
async fn hints(connector: &SqlConnector) -> usize {
    let mut count = 0;
    while timeout(QUIET, connector.changed()).await.is_ok() {
        count += 1;
    }
    count
}

/// Takes the hints for 500 notifications that were sent, beside those `taken` since `began`. A busy
/// server takes seconds to deliver them all, and a hint is of what came in a tenth of one.
async fn few_hints(connector: &SqlConnector, clock: &SystemClock, taken: usize, began: Duration) {
    let mut count = taken;
    if count == 0 {
        hint(connector).await;
        count = 1;
    }
    count += hints(connector).await;
    let took = clock.elapsed() - began - QUIET;
    let most = 3 + usize::try_from(took.as_millis() / GATHERED_MS).unwrap();
    assert!(
        count <= most,
        "{count} hints for 500 notifications in {took:?}"
    );
}

async fn sessions(clinic: &Clinic) -> usize {
    let Clinic::Postgres(server, database) = clinic else {
        unreachable!()
    };
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clinic-gateway'";
    server
        .psql(database, count)
        .await
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_a_hint_and_many_are_few() {
    let clinic = Clinic::postgres().await;
    let connector = listening(&clinic, "");
    assert_eq!(sessions(&clinic).await, 0, "nobody has waited yet");
    hint(&connector).await;
    assert_eq!(
        hints(&connector).await,
        0,
        "listening begins with one hint, and no more"
    );
    assert_eq!(sessions(&clinic).await, 1);
    clinic
        .run("NOTIFY other_channel; NOTIFY clinic_facts, 'Иванов'")
        .await;
    hint(&connector).await;
    assert_eq!(hints(&connector).await, 0, "one notification is one hint");
    // Whether somebody waits while these are sent or not.
    let many: String = (0..500)
        .map(|number| format!("NOTIFY clinic_facts, '{number}';"))
        .collect();
    clinic.run(&many).await;
    let clock = SystemClock::default();
    few_hints(&connector, &clock, 0, clock.elapsed()).await;
    let began = clock.elapsed();
    let (meanwhile, ()) = tokio::join!(hints(&connector), clinic.run(&many));
    few_hints(&connector, &clock, meanwhile, began).await;
    drop(connector);
    let gone = async {
        while sessions(&clinic).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, gone)
        .await
        .expect("the connection ends with the connector");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_listened_to_again() {
    let mut clinic = Clinic::postgres().await;
    let connector = listening(&clinic, "");
    hint(&connector).await;
    assert_eq!(hints(&connector).await, 0);
    for kill in [false, true] {
        let Clinic::Postgres(server, _) = &mut clinic else {
            unreachable!()
        };
        if kill {
            server.kill();
        }
        server.restart().await.unwrap();
        hint(&connector).await;
        assert_eq!(
            hints(&connector).await,
            0,
            "once, since something may have been missed"
        );
        clinic.run("NOTIFY clinic_facts").await;
        hint(&connector).await;
    }
}

async fn hinted(connector: &SqlConnector, after: Option<Cursor>) -> Vec<String> {
    let request = PageRequest {
        after,
        hinted: true,
        ..first_page(9)
    };
    let page = connector.page(request).await.unwrap();
    page.records
        .into_iter()
        .map(|record| record.record_id)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hinted_run_looks_back_a_little_and_a_scheduled_one_far() {
    let clinic = Clinic::postgres().await;
    table(&clinic, &[("last".into(), "'2021-07-10 11:00:00.000000'")]).await;
    for (settings, expected) in [
        ("", vec!["within", "last", "new"]),
        ("listen_overlap_seconds = 0\n", vec!["last", "new"]),
        (
            "listen_overlap_seconds = 3\n",
            vec!["beyond", "within", "last", "new"],
        ),
    ] {
        clinic.run("DELETE FROM doses WHERE id <> 'last'").await;
        let connector = listening(&clinic, settings);
        let stored = run(&connector, None, 9).await.stored;
        // Committed after the run, stamped before its end.
        let late = [
            ("within".into(), "'2021-07-10 10:59:58.000000'"),
            ("beyond".into(), "'2021-07-10 10:59:57.900000'"),
            ("new".into(), "'2021-07-10 11:00:01.000000'"),
        ];
        clinic.run(&insert(&late)).await;
        assert_eq!(
            hinted(&connector, stored.clone()).await,
            expected,
            "{settings}"
        );
        assert_eq!(
            run(&connector, stored, 9).await.ids,
            ["beyond", "within", "last", "new"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_channel_nothing_is_kept_open_and_no_hint_comes() {
    let clinic = Clinic::postgres().await;
    let connector = clinic.connector(DOSES);
    let waiting = timeout(QUIET, connector.changed());
    assert!(waiting.await.is_err());
    assert_eq!(sessions(&clinic).await, 0);
}

#[test]
fn a_channel_that_notify_would_not_reach_is_refused() {
    let refused = |channel: &str, overlap: u32| {
        let toml = format!(
            "host = '127.0.0.1'\ndatabase = 'mis'\nuser = 'reader'\nlisten = \
             '{channel}'\nlisten_overlap_seconds = {overlap}\n\
             [vaccinations]\nquery = '''{DOSES}'''\n"
        );
        let config = toml::from_str(&toml).unwrap();
        SqlConnector::postgres(&config, std::path::Path::new("/"))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(refused("clinic_facts_2", 300), None);
    let long = "a".repeat(64);
    for channel in [
        "",
        "Facts",
        "2facts",
        "a-b",
        "a\"; DROP TABLE doses; --",
        "факты",
        &long,
    ] {
        let told = refused(channel, 2).expect(channel);
        assert!(
            told.contains("listen is no channel's name") && !told.contains("DROP"),
            "{told}"
        );
    }
    assert!(
        refused("facts", 301).is_some_and(|told| told.contains("listen_overlap_seconds is 301"))
    );
}

fn said(report: &CheckReport, level: Level, words: &str) -> bool {
    report
        .findings
        .iter()
        .any(|finding| finding.level == level && finding.what.contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_whether_hints_arrive_and_what_sends_them() {
    let clinic = Clinic::postgres().await;
    table(&clinic, &[]).await;
    let connector = listening(&clinic, "");
    let report = connector.check(now()).await;
    assert!(
        said(
            &report,
            Level::Warning,
            "no trigger of the database notifies"
        ),
        "{report:?}"
    );
    let help = report
        .findings
        .iter()
        .filter_map(|finding| finding.help.as_deref());
    let help: Vec<&str> = help
        .filter(|help| help.contains("CREATE TRIGGER"))
        .collect();
    // What it says to write works as it stands.
    let sql = help[0]
        .split_once("run: ")
        .unwrap()
        .1
        .replace("then for each table read: ", "")
        .replace('…', "doses");
    clinic.run(&sql).await;
    let report = connector.check(now()).await;
    assert!(
        said(&report, Level::Good, "notifications arrive"),
        "{report:?}"
    );
    hint(&connector).await;
    assert_eq!(hints(&connector).await, 0);
    clinic
        .run(&insert(&[
            ("a".into(), "'2021-07-01 10:00:00'"),
            ("b".into(), "'2021-07-01 10:00:00'"),
        ]))
        .await;
    hint(&connector).await;
    assert_eq!(hints(&connector).await, 0, "one statement is one hint");
}

//! Surprises, which a source should not make: stamps that go back, columns that change under a run,
//! stamps made anew with every look.

use connector_kit::{Connector, Level, PageRequest, SourceSurprise};

use crate::clinic::{Clinic, DOSES, fetch, first_page, now, run, run_at, sweep};
use crate::conformance::{ids, insert, table};
use crate::events::Events;

pub(crate) async fn conforms(clinic: &Clinic) {
    stamps_that_go_back_are_told_once_and_followed(clinic).await;
    a_table_that_is_written_while_it_is_read_does_not_hold_the_run(clinic).await;
    a_column_that_is_gone_stops_the_feed_and_nothing_is_lost(clinic).await;
}

fn at(minute: &str) -> String {
    format!("'2021-07-{minute}:00.000000'")
}

async fn stamps_that_go_back_are_told_once_and_followed(clinic: &Clinic) {
    let old = at("05 10:00");
    let new = at("10 11:00");
    let future = at("31 11:00");
    table(
        clinic,
        &[
            ("a".into(), &old),
            ("b".into(), &new),
            ("future".into(), &future),
        ],
    )
    .await;
    let connector = clinic.connector(DOSES);
    let first = run(&connector, None, 1).await;
    assert_eq!(first.surprises, []);
    // Nothing new is no surprise, whatever was ahead.
    clinic.run("DELETE FROM doses WHERE id = 'future'").await;
    let quiet = run(
        &connector,
        Some(run(&connector, None, 9).await.stored.unwrap()),
        1,
    )
    .await;
    assert_eq!((quiet.ids, quiet.surprises), (vec!["b".to_owned()], vec![]));
    // A backup of the 5th is restored, and a clock that is behind writes on. What it writes comes
    // at once.
    let later = at("05 10:30");
    let latest = at("05 10:31");
    clinic.run("DELETE FROM doses WHERE id = 'b'").await;
    clinic
        .run(&insert(&[
            ("c".into(), &later),
            ("d".into(), &latest),
            ("2099".into(), &at("31 12:00")),
        ]))
        .await;
    let back = run(&connector, quiet.stored, 1).await;
    assert_eq!(back.surprises, [SourceSurprise::StampsWentBack]);
    assert_eq!(back.ids, ["c", "d", "2099"]);
    let stored = run(&connector, None, 9).await.stored.unwrap();
    clinic.run("DELETE FROM doses WHERE id = '2099'").await;
    let back = run(&connector, Some(stored), 1).await;
    // A row from the future that is gone has taken nothing back, and what was read is not read
    // again.
    assert_eq!((back.ids, back.surprises), (vec![], vec![]));
    clinic.run(&insert(&[("e".into(), &at("05 10:32"))])).await;
    let after = run(&connector, back.stored, 1).await;
    assert_eq!((after.ids, after.surprises), (vec!["e".to_owned()], vec![]));
    // An empty table has no stamp that could have gone back.
    clinic.run("DELETE FROM doses").await;
    assert_eq!(run(&connector, after.stored, 1).await.surprises, []);
}

async fn a_table_that_is_written_while_it_is_read_does_not_hold_the_run(clinic: &Clinic) {
    let names = ids(0..9);
    let first = at("01 10:00");
    let rows: Vec<_> = names
        .iter()
        .cloned()
        .map(|id| (id, first.as_str()))
        .collect();
    table(clinic, &rows).await;
    let connector = clinic.connector(DOSES);
    let mut seen = vec![];
    let mut request = first_page(2);
    let mut pages = 0;
    let mut stored = None;
    loop {
        let page = connector.page(request.clone()).await.unwrap();
        seen.extend(page.records.into_iter().map(|record| record.record_id));
        stored = page.resume.or(stored);
        let Some(next) = page.next else { break };
        assert_ne!(request.after.as_ref(), Some(&next));
        request = PageRequest {
            after: Some(next),
            first_of_run: false,
            ..request
        };
        // Every row that was read is written again at once, later each time.
        pages += 1;
        assert!(pages < 20, "the run does not end");
        let changed = at(&format!("02 10:{pages:02}"));
        for id in &seen {
            clinic
                .run(&format!(
                    "UPDATE doses SET changed = {changed} WHERE id = '{id}'"
                ))
                .await;
        }
    }
    assert_eq!(
        seen, names,
        "each once; what was written since is for the next run"
    );
    let mut next = run(&connector, stored, 100).await.ids;
    next.sort();
    assert!(
        next.iter().all(|id| names.contains(id)) && next.len() >= 8,
        "{next:?}"
    );
}

async fn a_column_that_is_gone_stops_the_feed_and_nothing_is_lost(clinic: &Clinic) {
    let stamps = [at("01 10:00"), at("02 10:00"), at("03 10:00")];
    let rows: Vec<_> = ids(0..3)
        .into_iter()
        .zip(stamps.iter().map(String::as_str))
        .collect();
    table(clinic, &rows).await;
    let query = DOSES
        .replace("AS person_snils", "AS person_snils, more.*")
        .replace("doses", "doses, more");
    let dose = "DROP TABLE IF EXISTS more; CREATE TABLE more (dose_number int); INSERT INTO more \
        VALUES (1)";
    clinic.run(dose).await;
    let connector = clinic.connector(&query);
    let first = connector.page(first_page(2)).await.unwrap();
    let rest = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(2)
    };
    let other = "DROP TABLE more; CREATE TABLE more (other_thing int); INSERT INTO more VALUES (1)";
    for (request, connector) in [
        // As after a restart: what was read before is handed out whatever becomes of the table.
        (rest.clone(), &clinic.connector(&query)),
        (
            PageRequest {
                after: first.resume.clone(),
                ..first_page(2)
            },
            &clinic.connector(&query),
        ),
    ] {
        clinic.run(other).await;
        let error = connector
            .page(request.clone())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("feed vaccinations: column `dose_number` is gone")
                && error.contains("put it back"),
            "{error}"
        );
        let fetched = connector
            .fetch(connector_kit::Feed::Vaccinations, &ids(0..1), now())
            .await;
        assert_eq!(fetched.map(|_| ()).unwrap_err().to_string(), error);
        // A required one is missed by everything that reads.
        clinic
            .run("ALTER TABLE doses RENAME COLUMN changed TO moved")
            .await;
        for error in [
            connector
                .page(request.clone())
                .await
                .map(|_| ())
                .unwrap_err(),
            connector
                .keys(crate::clinic::first_keys(9))
                .await
                .map(|_| ())
                .unwrap_err(),
            connector
                .fetch(connector_kit::Feed::Vaccinations, &ids(0..1), now())
                .await
                .map(|_| ())
                .unwrap_err(),
        ] {
            let told =
                error.to_string().contains("(near `changed`)") && error.to_string().contains("; ");
            assert!(told, "{error}");
        }
        clinic
            .run("ALTER TABLE doses RENAME COLUMN moved TO changed")
            .await;
        clinic.run(dose).await;
        assert!(!connector.page(request).await.unwrap().records.is_empty());
    }
}

async fn retyped(clinic: &Clinic, alter: &str, ids: [&str; 4]) {
    let connector = clinic.connector(DOSES);
    let (events, _listening) = Events::listen();
    let stored = run(&connector, None, 2).await.stored;
    let page = connector.page(first_page(2)).await.unwrap();
    let keys = connector.keys(crate::clinic::first_keys(2)).await.unwrap();
    clinic.run(alter).await;
    // In the middle of a run, at the beginning of the next one, and in the middle of a sweep
    // everything is read anew.
    let rest = PageRequest {
        after: page.next,
        first_of_run: false,
        ..first_page(9)
    };
    let page = connector.page(rest).await.unwrap();
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let expected = sorted(ids.map(str::to_owned).to_vec());
    let found = page.records.into_iter().map(|row| row.record_id).collect();
    assert_eq!(sorted(found), expected);
    let anew = run(&connector, stored, 2).await;
    assert_eq!(sorted(anew.ids), expected);
    let told = events.named("columns-changed");
    assert!(told.len() == 2 && told[0].contains("record_id"), "{told:?}");
    let rest = connector_kit::KeysRequest {
        after: keys.next,
        ..crate::clinic::first_keys(9)
    };
    assert_eq!(connector.keys(rest).await.unwrap().keys.len(), 4);
    assert_eq!(events.named("key-sweep-starts-over").len(), 1);
    let rest = run(&connector, anew.stored, 2).await.ids;
    assert!(rest.is_empty(), "and from then on as ever: {rest:?}");
    assert_eq!(fetch(&connector, &ids).await.len(), 4);
}

const FOUR_ROWS: &str = "INSERT INTO doses (id, changed) VALUES (7, '2021-07-01 10:00:00'), (8, \
    '2021-07-02 10:00:00'), \
                         (9, '2021-07-03 10:00:00'), (10, '2021-07-03 10:01:00')";

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_changes_its_type_starts_over_in_postgres() {
    let clinic = Clinic::postgres().await;
    let create = "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id int, changed timestamp, \
        snils text, vaccine text, given date);";
    clinic.run(&format!("{create}{FOUR_ROWS}")).await;
    retyped(
        &clinic,
        "ALTER TABLE doses ALTER id TYPE text",
        ["7", "8", "9", "10"],
    )
    .await;
    clinic.run(&format!("{create}{FOUR_ROWS}")).await;
    let uuid = |n: u32| format!("00000000-0000-0000-0000-{n:012}");
    let uuids = [uuid(7), uuid(8), uuid(9), uuid(10)];
    let alter = "ALTER TABLE doses ALTER id TYPE uuid USING lpad(id::text, 32, '0')::uuid";
    retyped(&clinic, alter, uuids.each_ref().map(String::as_str)).await;
    // A type that is no id at all is told by the column's name.
    clinic
        .run("ALTER TABLE doses ALTER id TYPE jsonb USING to_jsonb(id::text)")
        .await;
    let error = clinic
        .connector(DOSES)
        .keys(crate::clinic::first_keys(9))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("column `record_id` is of type jsonb; it takes"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_changes_its_type_starts_over_in_mariadb() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed datetime(6), snils varchar(20), vaccine \
            varchar(20), given date)",
        )
        .await;
    clinic.run(FOUR_ROWS).await;
    retyped(
        &clinic,
        "ALTER TABLE doses MODIFY id varchar(40)",
        ["7", "8", "9", "10"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_written_in_another_way_in_sqlite_are_followed() {
    let clinic = Clinic::sqlite();
    clinic
        .run("CREATE TABLE doses (id, changed, snils, vaccine, given)")
        .await;
    let connector = clinic.connector(DOSES);
    for (before, after) in [
        ("'2021-07-01 10:00:00'", "1625133600"),
        ("1625133600", "'2021-07-01 10:00:00'"),
    ] {
        clinic
            .run(&format!(
                "DELETE FROM doses; INSERT INTO doses (id, changed) VALUES (1, {before})"
            ))
            .await;
        let stored = run(&connector, None, 9).await.stored;
        clinic
            .run(&format!("UPDATE doses SET changed = {after}"))
            .await;
        let second = run(&connector, stored, 9).await;
        assert_eq!(second.ids, ["1"], "{before} to {after}");
        assert_eq!(run(&connector, second.stored, 9).await.surprises, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_made_anew_with_every_look_ends_its_run_and_is_told() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamptz, snils text, vaccine text, given \
             date); \
             INSERT INTO doses (id) SELECT generate_series(1, 9)",
        )
        .await;
    let connector = clinic.connector(&DOSES.replace("changed AS", "clock_timestamp() AS"));
    let ran = run(&connector, None, 2).await;
    assert!(ran.pages < 10, "{} pages", ran.pages);
    assert_eq!(
        sweep(&connector, 2).await.len(),
        9,
        "the sweep does not depend on stamps"
    );
    let connector = clinic.connector(&DOSES.replace("changed AS", "now() AS"));
    assert!(run(&connector, None, 2).await.pages < 10);
    let report = connector.check(now()).await;
    let told = report.findings.iter().any(|finding| {
        finding.level == Level::Error
            && finding
                .what
                .contains("changed_at is made anew with every reading")
    });
    assert!(told, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_time_zone_may_change_between_two_runs() {
    for zone in ["Europe/Moscow", "Europe/Berlin"] {
        let clinic = Clinic::postgres().await;
        clinic
            .run(
                "CREATE TABLE doses (id int, changed timestamptz, snils text, vaccine text, given \
                 timestamp); \
                 INSERT INTO doses (id, changed, given) VALUES (1, '2021-07-01 10:00+00', \
                 '2021-07-01 23:30')",
            )
            .await;
        let settings = format!("time_zone = '{zone}'\n[vaccinations]\nquery = '''{DOSES}'''\n");
        let connector = || clinic.connector_with(&settings).unwrap();
        let mut stored = run(&connector(), None, 9).await.stored;
        let keys = sweep(&connector(), 9).await;
        for (id, server) in [(2, "America/New_York"), (3, "Asia/Kamchatka"), (4, "UTC")] {
            clinic
                .run(&format!(
                    "ALTER DATABASE mis SET TimeZone = '{server}'; SET TimeZone = '{server}'; \
                     INSERT INTO doses (id, changed, given) VALUES \
                     ({id}, '2021-07-01 10:00+00'::timestamptz + {id} * interval '10 min', \
                     '2021-07-01 23:30')"
                ))
                .await;
            let ran = run_at(
                &connector(),
                stored,
                1,
                "2021-07-02T00:00:00Z".parse().unwrap(),
            )
            .await;
            assert_eq!(ran.ids.last(), Some(&id.to_string()), "{server}");
            assert_eq!(ran.surprises, []);
            assert!(
                crate::clinic::short(ran.records.last().unwrap()).ends_with("2021-07-01"),
                "wall-clock days stay"
            );
            stored = ran.stored;
            assert_eq!(sweep(&connector(), 9).await[0], keys[0]);
        }
    }
}

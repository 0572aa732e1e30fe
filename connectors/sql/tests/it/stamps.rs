//! Stamps whose order is not that of time: text of several offsets or forms, numbers beside text,
//! and the hour that comes twice. No run passes over a row.

use connector_kit::{Connector, PageRequest, SourceError, SourceSurprise};

use crate::clinic::{Clinic, DOSES, Run, first_page, now, run, run_at, sweep};
use crate::events::Events;

/// A row that a run reads, and one that is written later and sorts before it.
async fn a_later_row_comes(first: &str, later: &str) {
    for (index, limit) in [
        ("SELECT 1", 9),
        ("CREATE INDEX c ON doses (changed, id)", 1),
    ] {
        let clinic = Clinic::sqlite();
        clinic
            .run(&format!(
                "CREATE TABLE doses (id, changed, snils, vaccine, given); {index}; INSERT INTO \
                 doses (id, changed) VALUES ('old', '2021-06-01 00:00:00'), ('first', '{first}')"
            ))
            .await;
        let connector = clinic.connector(DOSES);
        let stored = run(&connector, None, limit).await.stored;
        clinic
            .run(&format!(
                "INSERT INTO doses (id, changed) VALUES ('later', '{later}')"
            ))
            .await;
        let second = run(&connector, stored, limit).await;
        assert!(
            second.ids.contains(&"later".to_owned()),
            "{later} after {first}: {:?}",
            second.ids
        );
        // It comes in any run after that one, too, or has come in this one.
        let third = run(&connector, second.stored, limit).await;
        assert!(third.surprises.is_empty() && second.surprises.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_stamps_of_several_forms_hide_no_row() {
    // The present moment is 2021-07-10T09:00:00Z, which is noon in the clinic's zone.
    for (first, later) in [
        // Six o'clock UTC, and half an hour later.
        ("2021-07-10T11:00:00+05:00", "2021-07-10T09:30:00+03:00"),
        ("2021-07-10 20:00:00+14:00", "2021-07-09 19:00:00-12:00"),
        ("2021-07-10T11:00:00+05:00", "2021-07-10T06:30:00Z"),
        ("2021-07-10T06:00:00Z", "2021-07-10T06:00:00+00:00"),
        ("2021-07-10T06:00:00Z", "2021-07-10T06:00:00.5Z"),
        ("2021-07-10T06:00:00.5", "2021-07-10T06:00:00"),
        ("2021-07-10T06:00Z", "2021-07-10T06:00:30Z"),
        ("2021-07-10T06:00:00", "2021-07-10 11:30:00"),
        ("2021-07-10t11:00:00", "2021-07-10T11:30:00"),
        ("2021-07-10 11:00:00", "2021-07-10 08:30:00Z"),
        ("2021-07-10 11:00:00", "2021-07-10"),
        ("2021-07-10 11:00:00", "2021-07-10 03:10:00 -0500"),
    ] {
        a_later_row_comes(first, later).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hour_a_zone_repeats_in_its_offsets_hides_no_row() {
    // Half past two in summer time, and five past two in winter time.
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
             changed) VALUES ('first', '2021-10-31T02:50:00+02:00')",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let at = |time: &str| time.parse().unwrap();
    let first = run_at(&connector, None, 9, at("2021-10-31T00:51:00Z")).await;
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('later', '2021-10-31T02:05:00+01:00')")
        .await;
    let second = run_at(&connector, first.stored, 9, at("2021-10-31T01:06:00Z")).await;
    assert!(
        second.ids.contains(&"later".to_owned()) && second.surprises.is_empty(),
        "{:?}",
        second.ids
    );
}

/// Rows written before and after Berlin's clocks go back at 01:00 UTC, without an offset.
async fn the_repeated_hour_hides_no_row(clinic: &Clinic) {
    clinic
        .run(&format!(
            "CREATE TABLE doses (id varchar(20), changed {}, snils varchar(20), vaccine \
             varchar(20), given varchar(20)); INSERT INTO doses (id, changed) VALUES ('first', \
             '2021-10-31 02:50:00.000000')",
            clinic.stamp_type()
        ))
        .await;
    let feed = format!("time_zone = 'Europe/Berlin'\n[vaccinations]\nquery = '''{DOSES}'''\n");
    let connector = clinic.connector_with(&feed).unwrap();
    let at = |time: &str| time.parse().unwrap();
    let first = run_at(&connector, None, 9, at("2021-10-31T00:51:00Z")).await;
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('later', '2021-10-31 02:05:00.000000')")
        .await;
    let no_surprise = |run: &Run| {
        run.surprises
            .iter()
            .all(|one: &SourceSurprise| panic!("{one:?}"))
    };
    let second = run_at(
        &connector,
        first.stored.clone(),
        9,
        at("2021-10-31T01:06:00Z"),
    )
    .await;
    assert_eq!(second.ids, ["later", "first"]);
    assert!(no_surprise(&second));
    // A gateway that has slept meanwhile.
    let second = run_at(&connector, first.stored, 9, at("2021-11-02T00:00:00Z")).await;
    assert_eq!(second.ids, ["later", "first"]);
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('last', '2021-10-31 03:01:00.000000')")
        .await;
    let third = run_at(&connector, second.stored, 9, at("2021-10-31T02:02:00Z")).await;
    assert_eq!(third.ids.last().map(String::as_str), Some("last"));
    let fourth = run_at(&connector, third.stored, 9, at("2021-10-31T02:03:00Z")).await;
    assert_eq!(fourth.ids, ["last"]);
    let said = format!("{:?}", connector.check(now()).await);
    assert!(!said.contains("overlap_seconds"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repeated_hour_hides_no_row_anywhere() {
    the_repeated_hour_hides_no_row(&Clinic::sqlite()).await;
    the_repeated_hour_hides_no_row(&Clinic::postgres().await).await;
    the_repeated_hour_hides_no_row(&Clinic::mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_beside_text_are_refused_and_the_cursor_stays() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
             changed) VALUES ('a', '2021-07-10 10:00:00')",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let stored = run(&connector, None, 9).await.stored;
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('b', 1625907000)")
        .await;
    let request = PageRequest {
        after: stored,
        ..first_page(9)
    };
    let error = connector.page(request).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, SourceError::Misconfigured { .. })
            && error.to_string().contains("text in some rows and a number"),
        "{error}"
    );
    assert_eq!(sweep(&connector, 9).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_stamp_is_counted() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
             changed) VALUES ('a', '2021-07-10 10:00:00'), ('b', '10.07.2021 10:00')",
        )
        .await;
    let (events, _listening) = Events::listen();
    let connector = clinic.connector(DOSES);
    let stored = run(&connector, None, 9).await.stored;
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('c', '2021-07-10T10:05:00+03:00')")
        .await;
    run(&connector, stored, 9).await;
    let told = events.named("rows-without-key");
    assert!(told.len() == 1 && told[0].contains("rows=1"), "{told:?}");
    assert_eq!(sweep(&connector, 9).await.len(), 3);
}

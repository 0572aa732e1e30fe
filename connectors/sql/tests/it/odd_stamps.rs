//! `check` of feeds that are read although some rows have an odd stamp, or no id: it warns, and an
//! error is kept for a feed that is not read.

use connector_kit::{Connector, Level};

use crate::clinic::{Clinic, DOSES, now, run};

/// Makes a table of doses out of rows of ids and stamps, and looks at it.
async fn told(clinic: &Clinic, stamp: &str, rows: &str) -> (Level, String) {
    clinic
        .run(&format!(
            "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id int, changed {stamp}, snils text, \
             vaccine text, given text); INSERT INTO doses (id, changed) VALUES {rows}"
        ))
        .await;
    let report = clinic.connector(DOSES).check(now()).await;
    (report.worst(), format!("{report:?}"))
}

async fn ids(clinic: &Clinic) -> Vec<String> {
    run(&clinic.connector(DOSES), None, 9).await.ids
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_all_the_same_is_a_warning_postgresql() {
    let clinic = Clinic::postgres().await;
    let (worst, said) = told(
        &clinic,
        "timestamptz",
        "(1, '2021-07-01 10:00+03'), (2, 'infinity'), (NULL, '2021-07-01 10:00+03')",
    )
    .await;
    assert_eq!(worst, Level::Warning, "{said}");
    assert!(
        said.contains("1 of the newest 2 rows has a changed_at that is no point in time")
            && said.contains("1 row has no record_id; such rows are never read")
            && !said.contains("SQLite")
            && !said.contains("in the future"),
        "{said}"
    );
    assert_eq!(ids(&clinic).await, ["1", "2"]);
    // The stamps behind one that is no point in time are still looked at.
    let ahead = "(1, '2099-07-01 10:00+03'), (2, 'infinity'), (3, '2021-07-01 10:00+03')";
    let (_, said) = told(&clinic, "timestamptz", ahead).await;
    assert!(
        said.contains("1 row has a changed_at in the future"),
        "{said}"
    );
    let (worst, said) = told(&clinic, "timestamptz", "(1, 'infinity')").await;
    assert_eq!(worst, Level::Warning, "{said}");
    assert!(
        said.contains("the newest row has a changed_at that is no point in time"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_all_the_same_is_a_warning_sqlite() {
    let clinic = Clinic::sqlite();
    let forms = "(1, '2021-07-01 10:00:00'), (2, '2021-07-01T10:00:00'), (NULL, '2021-07-01')";
    let (worst, said) = told(&clinic, "text", forms).await;
    assert_eq!(worst, Level::Warning, "{said}");
    assert!(
        said.contains("changed_at is written in several ways") && said.contains("1 row has no"),
        "{said}"
    );
    assert_eq!(ids(&clinic).await, ["1", "2"]);
    let dotted = "(1, '2021-07-01 10:00:00'), (2, '01.07.2021 10:00')";
    let (worst, said) = told(&clinic, "text", dotted).await;
    assert_eq!(worst, Level::Warning, "{said}");
    assert!(
        said.contains("1 row has a changed_at that is text and does not begin with YYYY-MM-DD"),
        "{said}"
    );
    // Text and numbers have no common order: such a feed is refused.
    let (worst, said) = told(&clinic, "", "(1, '2021-07-01 10:00:00'), (2, 1625173200)").await;
    assert_eq!(worst, Level::Error, "{said}");
    assert!(said.contains("which have no common order"), "{said}");
}

//! Change queries that name another table's numbers, which are ids of records by chance, and right
//! ones that look alike.

use connector_kit::{Connector, Level};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, now};

/// The feed's own query.
const QUERY: &str = "SELECT v.id AS record_id, p.snils AS person_snils, v.vaccine AS vaccine_code, \
     v.given AS occurred_on FROM visit v JOIN patient p ON p.patient_id = v.patient";

/// So many visits, each patient's in a row, and so many patients and devices, whose numbers begin
/// with 1 as well. Nothing declares what refers to what.
async fn tables(clinic: &Clinic, visits: u32, patients: u32) {
    let stamp = clinic.stamp_type();
    let rows = |count: u32, row: &dyn Fn(u32) -> String| {
        (1..=count).map(row).collect::<Vec<_>>().join(", ")
    };
    let at = "'2021-07-01 10:00:00'";
    let patient_rows = rows(patients, &|id| format!("({id}, {at}, '1')"));
    let per_patient = visits.div_ceil(patients);
    let visit_rows = rows(visits, &|id| {
        let patient = id.div_ceil(per_patient);
        format!(
            "({id}, {}, 'x', {at}, '2021-07-01')",
            patients + 1 - patient
        )
    });
    clinic
        .run(&format!(
            "CREATE TABLE patient (patient_id int PRIMARY KEY, changed {stamp}, snils varchar(20)); \
             CREATE TABLE visit (id int PRIMARY KEY, patient int, vaccine varchar(20), changed \
             {stamp}, given varchar(20)); CREATE TABLE device (id int PRIMARY KEY, changed {stamp}); \
             CREATE TABLE note (visit_id int PRIMARY KEY, changed {stamp}, text varchar(20)); \
             CREATE VIEW visits AS SELECT * FROM visit; CREATE VIEW patients AS SELECT * FROM \
             patient; INSERT INTO patient VALUES {patient_rows}; INSERT INTO visit VALUES \
             {visit_rows}; INSERT INTO device VALUES (1, {at}), (2, {at}); INSERT INTO note VALUES \
             (3, {at}, 'n'), (5, {at}, 'n')"
        ))
        .await;
}

async fn each_database(visits: u32, patients: u32) -> [Clinic; 3] {
    let clinics = Clinic::of_each_database().await;
    for clinic in &clinics {
        tables(clinic, visits, patients).await;
    }
    clinics
}

fn connector(clinic: &Clinic, query: &str, change: &str) -> SqlConnector {
    let feed = format!(
        "[vaccinations]\nquery = '''{query}'''\n[vaccinations.changes]\none = '''{change}'''\n"
    );
    clinic.connector_with(&feed).unwrap()
}

/// What a check says of the ids of the change query, where it is no praise.
async fn said(connector: &SqlConnector) -> Vec<(Level, String)> {
    let report = connector.check(now()).await;
    let said = report.findings.into_iter().filter(|finding| {
        let is_of_plan = finding.what.contains("whether an index serves");
        finding.level != Level::Good
            && !is_of_plan
            && [
                "named for them",
                "record_id is the key",
                "none of its ids",
                "could not be looked",
            ]
            .iter()
            .any(|words| finding.what.contains(words))
    });
    said.map(|finding| (finding.level, finding.what)).collect()
}

/// Text that joins `v-` and a number, in each database.
fn composed(clinic: &Clinic, query: &str) -> String {
    let of = match clinic {
        Clinic::MariaDb(..) => "CONCAT('v-', $1)",
        _ => "'v-' || $1",
    };
    let made =
        |text: &str, column: &str| text.replace(&format!("#{column}"), &of.replace("$1", column));
    made(&made(query, "v.id"), "p.patient_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_another_table_that_are_ids_by_chance_are_an_error() {
    let of_views = QUERY
        .replace("visit v", "visits v")
        .replace("patient p", "patients p");
    let with_text = QUERY.replace("v.id", "#v.id");
    for clinic in each_database(40, 20).await {
        for (query, change) in [
            (
                QUERY,
                "SELECT patient_id AS record_id, changed AS changed_at FROM patient",
            ),
            (
                QUERY,
                "SELECT p.patient_id record_id, COALESCE(p.changed, p.changed) changed_at FROM \
                 patient AS p",
            ),
            (
                QUERY,
                "SELECT patient AS record_id, changed AS changed_at FROM visit",
            ),
            (
                &of_views,
                "SELECT patient_id AS record_id, changed AS changed_at FROM patients",
            ),
            (
                &with_text,
                "SELECT #p.patient_id AS record_id, p.changed AS changed_at FROM patient p",
            ),
        ] {
            let query = composed(&clinic, query);
            let change = composed(&clinic, change);
            let said = said(&connector(&clinic, &query, &change)).await;
            assert_eq!(said.len(), 1, "{change}: {said:?}");
            assert_eq!(said[0].0, Level::Error, "{change}: {said:?}");
            assert!(said[0].1.contains("of the newest 40 records"), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_meant_is_a_warning() {
    for clinic in each_database(20, 40).await {
        for (change, words) in [
            // Each record's id is a patient's number.
            (
                "SELECT patient_id AS record_id, changed AS changed_at FROM patient",
                "of the newest 20 records that are made of its rows of patient, 20 are not named",
            ),
            (
                "SELECT v.id AS record_id, p.changed AS changed_at FROM patient p JOIN visit v ON \
                 v.id = p.patient_id",
                "of the newest 10 records that are made of its rows of patient",
            ),
            (
                "SELECT id AS record_id, changed AS changed_at FROM device",
                "its record_id is the key of device, and that of the query is id of visit",
            ),
        ] {
            let change = match clinic {
                // Patients of numbers up to 20 alone have a visit of their number there.
                _ if words.contains("newest 10") => {
                    clinic
                        .run("UPDATE visit SET patient = patient - 30 WHERE patient > 30")
                        .await;
                    change
                }
                _ => change,
            };
            let said = said(&connector(&clinic, QUERY, change)).await;
            assert_eq!(said.len(), 1, "{change}: {said:?}");
            assert_eq!(said[0].0, Level::Warning, "{change}: {said:?}");
            assert!(said[0].1.contains(words), "{change}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_change_query_is_not_doubted() {
    let of_views = QUERY
        .replace("visit v", "visits v")
        .replace("patient p", "patients p");
    let with_note = format!("{QUERY} LEFT JOIN note n ON n.visit_id = v.id");
    let with_text = QUERY.replace("v.id", "#v.id");
    let with_doctor = format!("{QUERY} LEFT JOIN patient d ON d.patient_id = v.patient + 1");
    let inside = "SELECT q.* FROM (SELECT v.id AS record_id, p.snils AS person_snils, 'x' AS \
                  vaccine_code, v.given AS occurred_on FROM visit v JOIN patient p ON p.patient_id \
                  = v.patient) q";
    let filtered = format!("{QUERY} WHERE v.id > 7");
    for clinic in each_database(40, 20).await {
        for (query, change) in [
            (
                QUERY,
                "SELECT id AS record_id, changed AS changed_at FROM visit",
            ),
            (
                QUERY,
                "SELECT id AS record_id, changed AS changed_at FROM visits",
            ),
            (
                &of_views,
                "SELECT id AS record_id, changed AS changed_at FROM visit",
            ),
            (
                &of_views,
                "SELECT id AS record_id, changed AS changed_at FROM visits",
            ),
            (
                QUERY,
                "SELECT v.id AS record_id, p.changed AS changed_at FROM patient p LEFT JOIN visit v \
                 ON v.patient = p.patient_id WHERE p.changed > :since",
            ),
            (
                &filtered,
                "SELECT v.id AS record_id, p.changed AS changed_at FROM visit v, patient p WHERE \
                 v.patient = p.patient_id",
            ),
            (
                &with_text,
                "SELECT #v.id AS record_id, p.changed AS changed_at FROM patient p JOIN visit v ON \
                 v.patient = p.patient_id",
            ),
            // Another table's own key, which is that of the record.
            (
                &with_note,
                "SELECT visit_id AS record_id, changed AS changed_at FROM note",
            ),
            // The same table twice, of which one place tells.
            (
                &with_doctor,
                "SELECT v.id AS record_id, p.changed AS changed_at FROM patient p JOIN visit v ON \
                 v.patient = p.patient_id",
            ),
            (
                inside,
                "SELECT v.id AS record_id, p.changed AS changed_at FROM patient p JOIN visit v ON \
                 v.patient = p.patient_id",
            ),
        ] {
            let query = composed(&clinic, query);
            let change = composed(&clinic, change);
            let said = said(&connector(&clinic, &query, &change)).await;
            assert_eq!(said, [], "{query}: {change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_declared_to_be_the_records_is_not_doubted() {
    for clinic in each_database(40, 20).await {
        let stamp = clinic.stamp_type();
        clinic
            .run(&format!(
                "CREATE TABLE base (id int PRIMARY KEY, changed {stamp}); INSERT INTO base SELECT id, \
                 changed FROM visit WHERE id < 9; CREATE TABLE dose (id int PRIMARY KEY, patient int, \
                 given varchar(20), FOREIGN KEY (id) REFERENCES base (id)); INSERT INTO dose SELECT \
                 id, patient, given FROM visit WHERE id < 9"
            ))
            .await;
        let query = "SELECT v.id AS record_id, p.snils AS person_snils, 'x' AS vaccine_code, v.given \
                     AS occurred_on FROM dose v JOIN patient p ON p.patient_id = v.patient";
        let change = "SELECT id AS record_id, changed AS changed_at FROM base WHERE id <> 8";
        let said = said(&connector(&clinic, query, change)).await;
        assert_eq!(said, []);
    }
}

//! Ids that a collation holds equal, behind a row that cannot be read.

use connector_sql::SqlConnector;

use crate::clinic::{Clinic, run};

/// Rows before the two ids that are held equal, as many as make them the end of a piece of the
/// statement that reads everything.
const BEFORE: usize = 998;

/// A table in which the row behind two equal ids cannot be read.
async fn table(clinic: &Clinic, id_type: &str, bad: &str, equal: [&str; 2]) {
    let rows = (0..BEFORE).map(|n| format!("('a{n:04}', 'x')"));
    let equal = equal.map(|id| format!("('{id}', 'x')"));
    let others = [format!("('c', '{bad}')"), "('d', 'x')".to_owned()];
    let rows: Vec<String> = rows.chain(equal).chain(others).collect();
    clinic
        .run(&format!(
            "CREATE TABLE doses (id {id_type}, vaccine varchar(20)); INSERT INTO doses VALUES {}",
            rows.join(", ")
        ))
        .await;
}

fn connector(clinic: &Clinic, expression: &str) -> SqlConnector {
    let query = format!(
        "SELECT id AS record_id, '1' AS person_snils, 'x' AS vaccine_code, {expression} AS \
         dose_number, '2021' AS occurred_on FROM doses"
    );
    let feed = format!("[vaccinations]\nchange_detection = 'content'\nquery = '''{query}'''\n");
    clinic.connector_with(&feed).unwrap()
}

async fn none_is_passed_over(clinic: &Clinic, expression: &str, equal: [&str; 2]) {
    let connector = connector(clinic, expression);
    for limit in [1000, 999, 500, 7] {
        let mut ids = run(&connector, None, limit).await.ids;
        ids.sort();
        ids.dedup();
        for id in equal.into_iter().chain(["c", "d"]) {
            assert!(ids.iter().any(|known| known == id), "{id}, limit {limit}");
        }
        assert_eq!(ids.len(), BEFORE + 4, "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_passes_over_no_id_that_it_holds_equal_to_another() {
    for equal in [["B1", "b1"], ["b1", "b1 "], ["be", "bé"]] {
        let clinic = Clinic::mariadb().await;
        let id = "varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci";
        table(&clinic, id, "7", equal).await;
        let expression = "CASE WHEN vaccine = '7' THEN CAST(2 AS UNSIGNED) - 5 ELSE 1 END";
        none_is_passed_over(&clinic, expression, equal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_passes_over_no_id_that_it_holds_equal_to_another() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = \
             false)",
        )
        .await;
    let equal = ["B1", "b1"];
    table(&clinic, "varchar(20) COLLATE any_case", "II", equal).await;
    let expression = "CASE WHEN vaccine <> 'x' THEN vaccine::int ELSE 1 END";
    none_is_passed_over(&clinic, expression, equal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_passes_over_no_id_that_it_holds_equal_to_another() {
    let clinic = Clinic::sqlite();
    let equal = ["B1", "b1"];
    table(&clinic, "varchar(20) COLLATE NOCASE", "{", equal).await;
    let expression = "CASE WHEN vaccine <> 'x' THEN json_extract(vaccine, '$.n') ELSE 1 END";
    none_is_passed_over(&clinic, expression, equal).await;
}

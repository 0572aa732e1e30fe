//! The first clinic: a Russian-language MIS in a database file.

use std::path::Path;

use chrono::{Days, NaiveDate};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};

const MIS: &str = include_str!("../../../../config/clinics/fsb-mis.sql");

const HELD: &str = "
    SELECT 'прививка ' || п.ид, ч.фио, coalesce(препарат, '') || ', доза ' || доза || ', ' || \
    дата || ', ' || состояние
    FROM прививка п JOIN пациент ч ON ч.ид = п.пациент
    UNION ALL
    SELECT 'анализ ' || а.ид, ч.фио, вид || ', ' || coalesce(результат, '—') || ', ' || взят || \
    ', ' || состояние
    FROM анализ а JOIN пациент ч ON ч.ид = а.пациент
    UNION ALL
    SELECT 'случай ' || с.ид, ч.фио, диагноз || ', ' || начало || ' – ' || \
    coalesce(выздоровление, '…') || ', ' || состояние
    FROM случай с JOIN пациент ч ON ч.ид = с.пациент";

/// Makes the MIS; returns one line a record for the reader.
pub(crate) async fn make(path: &Path) -> Result<Vec<[String; 4]>, String> {
    let mut mis = open(path).await?;
    mis.execute(MIS).await.map_err(|error| error.to_string())?;
    let rows: Vec<(String, String, String)> = sqlx::query_as(HELD)
        .fetch_all(&mut mis)
        .await
        .map_err(|error| error.to_string())?;
    mis.close().await.map_err(|error| error.to_string())?;
    Ok(rows
        .into_iter()
        .map(|(record, person, what)| ["fsb".to_owned(), record, person, what])
        .collect())
}

/// A dose turns out never to have been given; the clinic cancels its record. Another one somebody
/// just deletes.
pub(crate) async fn cancel_one_and_delete_another(path: &Path) -> Result<(), String> {
    let mut mis = open(path).await?;
    let cancel = "UPDATE прививка SET состояние = 'отменена', изменено = '2021-07-21 09:00:00' \
        WHERE ид = 103";
    for change in [cancel, "DELETE FROM прививка WHERE ид = 104"] {
        mis.execute(change)
            .await
            .map_err(|error| error.to_string())?;
    }
    mis.close().await.map_err(|error| error.to_string())
}

/// The clinic vaccinates a patient; the record is of a month ago.
pub(crate) async fn vaccinate(path: &Path, today: NaiveDate) -> Result<(), String> {
    let month_ago = today.checked_sub_days(Days::new(30)).unwrap_or(today);
    let mut mis = open(path).await?;
    sqlx::query(
        "INSERT INTO прививка (ид, пациент, препарат, доза, доз_всего, дата, состояние, изменено) \
         VALUES (121, 3, 'Спутник Лайт', 1, 1, $1, 'выполнена', '2021-07-22 09:00:00')",
    )
    .bind(month_ago.format("%d.%m.%Y").to_string())
    .execute(&mut mis)
    .await
    .map_err(|error| error.to_string())?;
    mis.close().await.map_err(|error| error.to_string())
}

/// The clinic tests the same patient, yesterday.
pub(crate) async fn test(path: &Path, today: NaiveDate) -> Result<(), String> {
    let yesterday = today.pred_opt().unwrap_or(today);
    let mut mis = open(path).await?;
    sqlx::query(
        "INSERT INTO анализ (ид, пациент, вид, результат, взят, состояние, изменено) \
         VALUES (221, 3, 'ПЦР SARS-CoV-2', 'не обнаружено', $1, 'готов', '2021-07-23 09:00:00')",
    )
    .bind(yesterday.format("%d.%m.%Y 08:30").to_string())
    .execute(&mut mis)
    .await
    .map_err(|error| error.to_string())?;
    mis.close().await.map_err(|error| error.to_string())
}

async fn open(path: &Path) -> Result<SqliteConnection, String> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .map_err(|error| error.to_string())
}

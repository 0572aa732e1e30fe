//! What a registry's database holds of events that it has refused.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

const REFUSALS: &str = "SELECT batch_id, record FROM refusal WHERE record IS NOT NULL
    ORDER BY record";

/// Event that was refused.
pub(super) struct Refusal {
    /// Id of its batch, as it stands in the batch's header.
    pub(super) batch: Vec<u8>,
    /// Digest of its record under the second layer.
    pub(super) record: [u8; 32],
}

/// Reads all refused events of a SQLite store whose records are known.
pub(super) async fn refusals(database: &Path) -> Vec<Refusal> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = options.read_only(true).connect().await.unwrap();
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(REFUSALS)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let refusals = rows.into_iter().map(|row| Refusal {
        batch: row.0,
        record: row.1.try_into().unwrap(),
    });
    refusals.collect()
}

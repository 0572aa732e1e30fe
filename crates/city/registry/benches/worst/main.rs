//! Benchmark of the worst batches that the contract permits, beside an ordinary full batch in the
//! same run.
//!
//! `cargo bench -p registry --bench worst`; `WORST_STORES` (`postgres,sqlite`) and `WORST_EVENTS`
//! (events in a worst batch, 1000) change its size. What a worst batch meets is stored first, also
//! through the queue, and takes most of the time. A directory is the queue.
#![expect(clippy::print_stdout, reason = "its figures are for whoever runs it")]

mod attacks;
mod bodies;
mod city;

use std::error::Error;

use registry::{PostgresConfig, SqliteConfig, StoreConfig, TlsMode};
use testbed::postgres::Postgres;

use city::City;

pub(crate) type BenchResult<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Settings of the server, beside testbed's defaults.
const SERVER: [(&str, &str); 2] = [("shared_buffers", "256MB"), ("max_wal_size", "4GB")];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> BenchResult<()> {
    let events: u64 = std::env::var("WORST_EVENTS").map_or(Ok(1000), |text| text.parse())?;
    let stores = std::env::var("WORST_STORES").unwrap_or_else(|_| "postgres,sqlite".to_owned());
    let only = std::env::var("WORST_ONLY").unwrap_or_default();
    let server = Postgres::start_with(&SERVER).await?;
    for name in stores.split(',') {
        println!("{name}");
        let store = if name == "sqlite" {
            StoreConfig::Sqlite(SqliteConfig {
                path: "registry.sqlite".into(),
            })
        } else {
            let url = Some(server.create_database("worst").await?);
            StoreConfig::Postgres(Box::new(PostgresConfig {
                url,
                tls: Some(TlsMode::Off),
                ..PostgresConfig::default()
            }))
        };
        let mut city = City::open(&store, only.clone()).await?;
        attacks::run(&mut city, events).await?;
        bodies::run(&mut city).await?;
        city.close().await;
    }
    Ok(())
}

//! Limit of the registry's tables: the very rows a registry stored, by `COPY` into tables of the
//! same columns, constraints and indexes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clock::Clock;
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use testbed::postgres::Postgres;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::error::Error;
use crate::processes::server_written_bytes;

/// The registry's ordinary tables, those that others refer to first; what its migrations are noted
/// in is left out.
const TABLES: &str = "SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> \
    '_sqlx_migrations'
    ORDER BY (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'), \
    c.relname";

/// Figures of one copy.
pub(super) struct Copied {
    /// From the first row sent to the last commit.
    pub took: Duration,
    /// Bytes that PostgreSQL had the disk write for it, a checkpoint with it.
    pub written_bytes: u64,
}

/// Copies all rows of the registry's database `database` to files in `folder`, makes a database
/// like it, empties its tables, and fills them again from the files: one connection, one table
/// after the other, a transaction each.
pub(super) async fn measure(
    server: &Postgres,
    database: &str,
    folder: &Path,
    clock: &dyn Clock,
) -> Result<Copied, Error> {
    let mut connection = PgConnection::connect(&server.url(database)).await?;
    let tables: Vec<String> = sqlx::query(TABLES)
        .fetch_all(&mut connection)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let path = folder.join(format!("copied-{index}.rows"));
        if write_out(&mut connection, table, &path).await? > 0 {
            files.push((table.as_str(), path));
        } else {
            remove(path)?;
        }
    }
    connection.close().await?;
    let copy = format!("{database}-copied");
    // Its files as they are, then emptied: whatever the registry's tables are like, these are.
    let make = format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{database}\" STRATEGY file_copy");
    server.psql("postgres", &make).await?;
    server
        .psql(
            &copy,
            &format!("TRUNCATE {}; CHECKPOINT", tables.join(", ")),
        )
        .await?;
    let written = written(server);
    let took = fill(&server.url(&copy), &files, clock).await?;
    server.psql(&copy, "CHECKPOINT").await?;
    let written_bytes = self::written(server).saturating_sub(written);
    server
        .psql("postgres", &format!("DROP DATABASE \"{copy}\""))
        .await?;
    files.into_iter().try_for_each(|(_, path)| remove(path))?;
    Ok(Copied {
        took,
        written_bytes,
    })
}

/// Bytes that a server had the disk write so far.
pub(super) fn written(server: &Postgres) -> u64 {
    server
        .process_id()
        .map(server_written_bytes)
        .unwrap_or_default()
}

/// Copies a table's rows out and returns their number of bytes.
async fn write_out(
    connection: &mut PgConnection,
    table: &str,
    path: &Path,
) -> Result<usize, Error> {
    let refused = || Error::io("write the registry's rows to a file");
    let mut file = BufWriter::new(File::create(path).await.map_err(refused())?);
    let mut rows = connection
        .copy_out_raw(&format!("COPY {table} TO STDOUT"))
        .await?;
    let mut bytes = 0;
    while let Some(piece) = rows.try_next().await? {
        bytes += piece.len();
        file.write_all(&piece).await.map_err(refused())?;
    }
    file.flush().await.map_err(refused())?;
    Ok(bytes)
}

async fn fill(url: &str, files: &[(&str, PathBuf)], clock: &dyn Clock) -> Result<Duration, Error> {
    let mut connection = PgConnection::connect(url).await?;
    let started = clock.elapsed();
    for (table, path) in files {
        let file = File::open(path)
            .await
            .map_err(Error::io("read the registry's rows"))?;
        let mut copy = connection
            .copy_in_raw(&format!("COPY {table} FROM STDIN"))
            .await?;
        copy.read_from(file).await?;
        copy.finish().await?;
    }
    let took = clock.elapsed().saturating_sub(started);
    connection.close().await?;
    Ok(took)
}

fn remove(path: PathBuf) -> Result<(), Error> {
    std::fs::remove_file(path).map_err(Error::io("remove the registry's rows"))
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    const REGISTRY: &str = "CREATE TABLE subject (id bigint PRIMARY KEY);
        CREATE TABLE alias (name text PRIMARY KEY, subject bigint NOT NULL REFERENCES subject (id));
        CREATE TABLE empty (id bigint);
        INSERT INTO subject SELECT generate_series(1, 1000);
        INSERT INTO alias SELECT 'a\\' || id, id FROM subject;";

    #[tokio::test]
    async fn rows_go_where_their_references_are_and_nothing_is_left_behind() {
        let server = Postgres::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        server.create_database("registry").await.unwrap();
        server.psql("registry", REGISTRY).await.unwrap();
        let copied = measure(&server, "registry", folder.path(), &SystemClock::default())
            .await
            .unwrap();
        assert!(copied.written_bytes > 0 && copied.took > Duration::ZERO);
        let databases = "SELECT count(*) FROM pg_database WHERE datname LIKE 'registry%'";
        assert_eq!(server.psql("postgres", databases).await.unwrap(), "1");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

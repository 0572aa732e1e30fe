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
use crate::processes::figures::server_written_bytes;

/// The registry's ordinary tables, those that others refer to first; what its migrations are noted
/// in is left out.
const TABLES: &str = "SELECT c.oid::regclass::text FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
        AND c.relname <> '_sqlx_migrations'
    ORDER BY (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f'),
        c.relname";

/// Figures of one copy.
pub(crate) struct CopyFigures {
    /// Time from the first row sent to the last commit.
    pub took: Duration,
    /// Bytes that PostgreSQL had the disk write for it, a checkpoint with it.
    pub written_bytes: u64,
}

/// Copies all rows of the registry's database `database` to files in `folder`, makes a database
/// like it, empties its tables, and fills them again from the files: one connection, one table
/// after the other, a transaction each.
pub(crate) async fn measure(
    server: &Postgres,
    database: &str,
    folder: &Path,
    clock: &dyn Clock,
) -> Result<CopyFigures, Error> {
    let files = write_out_all(&server.url(database), folder).await?;
    let copy = format!("{database}-copied");
    // Its files as they are, then emptied: whatever the registry's tables are like, these are.
    let make = format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{database}\" STRATEGY file_copy");
    server.psql("postgres", &make).await?;
    let tables: Vec<&str> = files.iter().map(|file| file.table.as_str()).collect();
    let empty = format!("TRUNCATE {}; CHECKPOINT", tables.join(", "));
    server.psql(&copy, &empty).await?;
    let before = written_bytes(server);
    let took = fill(&server.url(&copy), &files, clock).await?;
    server.psql(&copy, "CHECKPOINT").await?;
    let written_bytes = written_bytes(server).saturating_sub(before);
    let drop = format!("DROP DATABASE \"{copy}\"");
    server.psql("postgres", &drop).await?;
    for file in files {
        std::fs::remove_file(file.path).map_err(Error::io("remove the registry's rows"))?;
    }
    Ok(CopyFigures {
        took,
        written_bytes,
    })
}

/// Rows of a table in a file.
struct TableFile {
    table: String,
    path: PathBuf,
    bytes: usize,
}

/// Copies every table's rows out, each to a file of its own.
async fn write_out_all(url: &str, folder: &Path) -> Result<Vec<TableFile>, Error> {
    let mut connection = PgConnection::connect(url).await?;
    let tables = sqlx::query(TABLES).fetch_all(&mut connection).await?;
    let mut files = Vec::new();
    for (index, row) in tables.iter().enumerate() {
        let table: String = row.try_get(0)?;
        let path = folder.join(format!("copied-{index}.rows"));
        let bytes = write_out(&mut connection, &table, &path).await?;
        files.push(TableFile { table, path, bytes });
    }
    connection.close().await?;
    Ok(files)
}

/// Bytes that a server had the disk write so far.
pub(crate) fn written_bytes(server: &Postgres) -> u64 {
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

async fn fill(url: &str, files: &[TableFile], clock: &dyn Clock) -> Result<Duration, Error> {
    let mut connection = PgConnection::connect(url).await?;
    let started = clock.elapsed();
    // A table without rows costs nothing to fill.
    for TableFile { table, path, .. } in files.iter().filter(|file| file.bytes > 0) {
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
        // A server whose folder lies in memory writes nothing to a disk.
        let is_in_memory = std::env::temp_dir().starts_with("/dev/shm");
        assert!(copied.written_bytes > 0 || is_in_memory);
        assert!(copied.took > Duration::ZERO);
        let databases = "SELECT count(*) FROM pg_database WHERE datname LIKE 'registry%'";
        assert_eq!(server.psql("postgres", databases).await.unwrap(), "1");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

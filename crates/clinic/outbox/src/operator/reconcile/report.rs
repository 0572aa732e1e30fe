//! Reports of reconciliations.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::file::{OutboxError, time_in};

/// Comparison of what the registry holds with what this outbox has sent. Counts are of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Number of the reconciliation.
    pub id: i64,
    /// Name of the source; `None`: all sources.
    pub source: Option<String>,
    /// Time at which it began.
    pub started_at: Option<DateTime<Utc>>,
    /// Time of the last answer.
    pub finished_at: Option<DateTime<Utc>>,
    /// Records asked about.
    pub probes: u64,
    /// Records answered.
    pub answered: u64,
    /// Records that are the same on both sides.
    pub equal: u64,
    /// Records unknown to the registry.
    pub missing: u64,
    /// Records older at the registry.
    pub stale: u64,
    /// Records newer at the registry than any version ever sent from here.
    pub extra: u64,
    /// Records of the same version, but with another content.
    pub conflicting: u64,
    /// Records among those that differ that were prepared to be sent again since.
    pub repaired: u64,
    /// Time at which that was done last.
    pub repaired_at: Option<DateTime<Utc>>,
}

impl Report {
    /// Number of records that differ, repaired or not.
    #[must_use]
    pub const fn differing(&self) -> u64 {
        self.missing + self.stale + self.extra + self.conflicting
    }

    /// True if every record that differs was prepared to be sent again.
    #[must_use]
    pub const fn is_repaired(&self) -> bool {
        self.repaired > 0 && self.repaired >= self.differing()
    }
}

/// Reads the report of a reconciliation, as long as it is remembered.
pub(in super::super) async fn read_report(
    pool: &SqlitePool,
    id: i64,
) -> Result<Option<Report>, OutboxError> {
    let row = sqlx::query("SELECT * FROM reconciliation WHERE id = ?1")
        .bind(id)
        .fetch_optional(pool)
        .await?;
    Ok(row.as_ref().map(from_row).transpose()?)
}

/// Reads the report of the source's last reconciliation; of `None`, the last one of all sources.
pub(in super::super) async fn read_last_report(
    pool: &SqlitePool,
    source: Option<&str>,
) -> Result<Option<Report>, OutboxError> {
    let last = "SELECT * FROM reconciliation WHERE source IS ?1 ORDER BY id DESC LIMIT 1";
    let row = sqlx::query(last).bind(source).fetch_optional(pool).await?;
    Ok(row.as_ref().map(from_row).transpose()?)
}

fn from_row(row: &SqliteRow) -> Result<Report, sqlx::Error> {
    let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(Report {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        started_at: time_in(row, "started_at_ms")?,
        finished_at: time_in(row, "finished_at_ms")?,
        probes: count("probes")?,
        answered: count("answered")?,
        equal: count("equal")?,
        missing: count("missing")?,
        stale: count("stale")?,
        extra: count("extra")?,
        conflicting: count("conflicting")?,
        repaired: count("repaired")?,
        repaired_at: time_in(row, "repaired_at_ms")?,
    })
}

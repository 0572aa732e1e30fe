//! The row of the beacon, and the mark of another gateway on a copy of this state.

use chrono::{DateTime, Utc};
use contract::ContentDigest;
use record_secrets::Revision;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, SqliteExecutor};

use super::MAX_KEPT;
use crate::file::{OutboxError, to_ms};
use crate::limits::{BEACON_PAUSE_MS, OTHER_GATEWAY_MS};

/// Row of the beacon, with what it is compared with.
pub(super) struct BeaconRow {
    /// Stamp of the state: rises with every commit that gives out versions.
    pub(super) gives_out_at: i64,
    /// True if rows were read, whatever became of them: a state that was lost may have sent them.
    has_records: bool,
    /// Latest revision; of count 0 if none was given out.
    pub(super) revision: Revision,
    /// Content of that revision.
    pub(super) content: ContentDigest,
    /// Stamp of the state once that revision was given out.
    stamp: i64,
    given_out_at_ms: Option<i64>,
    /// Generation of the last revision that the registry took.
    pub(super) accepted_generation: u32,
    risen_at_ms: Option<i64>,
    /// True if a revision is kept that the queue has not taken yet.
    is_unsent: bool,
    /// True if the latest revision cannot have reached the registry: nobody has tried to send it.
    is_untried: bool,
    /// Revisions that the queue took and that wait for their answers.
    waiting: u32,
}

impl BeaconRow {
    /// Returns whether the beacon that is kept has to leave before anything else is given out. Not
    /// one of an earlier generation: whatever the registry holds there, everything is sent again
    /// above it.
    pub(super) const fn is_kept_back(&self, generation: u32) -> bool {
        self.is_unsent && !self.is_of_before(generation)
    }

    /// Returns whether a new revision is due: none while too many wait for their answers, since one
    /// that is forgotten could be the one by which the registry shows a restored state.
    pub(super) const fn needs_revision(&self, generation: u32) -> bool {
        self.is_behind(generation) && (self.waiting < MAX_KEPT || self.is_of_before(generation))
    }

    /// Returns whether the registry can have the revision from here.
    pub(super) fn may_have_left(&self, revision: Revision) -> bool {
        revision < self.revision || (revision == self.revision && !self.is_untried)
    }

    /// Returns whether there is something to compare with the registry.
    pub(super) const fn has_something(&self) -> bool {
        self.gives_out_at > 0 || self.has_records
    }

    /// Returns whether versions were given out since the latest revision, or rows were read and
    /// nothing was ever given out: nothing else asks then whether this state is the latest.
    const fn is_behind(&self, generation: u32) -> bool {
        let is_first = self.revision.count == 0 && self.has_records;
        is_first || self.gives_out_at > self.stamp || self.is_of_before(generation)
    }

    /// Returns whether the latest revision is of an earlier generation, which has to be known
    /// before anything of the present one: two gateways on copies would take turns otherwise.
    pub(super) const fn is_of_before(&self, generation: u32) -> bool {
        self.gives_out_at > 0 && self.revision.generation < generation
    }

    /// Returns whether the pause after the latest revision has passed. A revision ahead of now can
    /// only mean that the clock was set back.
    pub(super) fn pause_has_passed(&self, now_ms: i64) -> bool {
        self.given_out_at_ms
            .is_none_or(|at| now_ms.saturating_sub(at).saturating_abs() >= BEACON_PAUSE_MS)
    }

    /// Returns whether receipts have lately raised the generation above all that the registry
    /// showed.
    pub(super) fn has_risen_lately(&self, now_ms: i64) -> bool {
        self.risen_at_ms
            .is_some_and(|at| now_ms.saturating_sub(at).saturating_abs() < OTHER_GATEWAY_MS)
    }
}

/// Reads the row.
pub(super) async fn read(executor: impl SqliteExecutor<'_>) -> Result<BeaconRow, OutboxError> {
    let row = sqlx::query(
        "SELECT m.stamp AS gives_out_at, EXISTS (SELECT 1 FROM record_block) AS has_records, \
         b.*, q.* FROM meta AS m JOIN beacon AS b \
         ON b.id = m.id CROSS JOIN (SELECT coalesce(max(sends = 0), 0) AS is_unsent, \
         coalesce(max(sends = 0 AND attempts = 0), 0) AS is_untried, \
         count(*) FILTER (WHERE sends > 0) AS waiting \
         FROM batch WHERE beacon = 1 AND NOT beacon_repeat) AS q",
    )
    .fetch_one(executor)
    .await?;
    from_row(&row)
}

fn from_row(row: &SqliteRow) -> Result<BeaconRow, OutboxError> {
    let damaged = |_| OutboxError::Damaged { what: "the beacon" };
    let content: Vec<u8> = row.try_get("content")?;
    Ok(BeaconRow {
        gives_out_at: row.try_get("gives_out_at")?,
        has_records: row.try_get("has_records")?,
        revision: Revision {
            generation: row.try_get("generation")?,
            count: row.try_get("count")?,
        },
        content: ContentDigest(content.try_into().map_err(damaged)?),
        stamp: row.try_get("stamp")?,
        given_out_at_ms: row.try_get("given_out_at_ms")?,
        accepted_generation: row.try_get("accepted_generation")?,
        risen_at_ms: row.try_get("risen_at_ms")?,
        is_unsent: row.try_get("is_unsent")?,
        is_untried: row.try_get("is_untried")?,
        waiting: row.try_get("waiting")?,
    })
}

/// Writes a new revision, in a transaction whose commit gives out versions.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    revision: Revision,
    content: ContentDigest,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE beacon SET generation = ?1, count = ?2, content = ?3, given_out_at_ms = ?4, \
         stamp = (SELECT stamp + 1 FROM meta)",
    )
    .bind(revision.generation)
    .bind(revision.count)
    .bind(content.0.as_slice())
    .bind(to_ms(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes the generation of a revision that the registry took.
pub(super) async fn store_accepted(
    connection: &mut SqliteConnection,
    generation: u32,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE beacon SET accepted_generation = ?1")
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that another gateway on a copy of this state was found.
pub(super) async fn store_other(
    connection: &mut SqliteConnection,
    generation: u32,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE beacon SET other_at_ms = ?1, other_generation = ?2")
        .bind(to_ms(now))
        .bind(generation)
        .execute(connection)
        .await?;
    Ok(())
}

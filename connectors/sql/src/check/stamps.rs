//! Stamps and ids: rows without them, stamps out of order, made anew, or in the future.

use chrono::TimeDelta;
use connector_kit::{CheckReport, Feed, Finding, Level};

use super::look::{Look, SAMPLE_ROWS};
use crate::closing::WIDEST_ZONE;
use crate::date::EpochUnit;
use crate::driver::Failure;
use crate::layout::{CHANGED_AT, RECORD_ID};
use crate::page::{Pager, Start};
use crate::stamp;
use crate::table::{Row, Table};
use crate::value::{Key, Kind, Sql};

/// Looks at the stamps and ids of one feed.
pub(super) struct StampCheck<'c> {
    pub look: &'c Look<'c>,
    pub feed: Feed,
    pub pager: &'c Pager<'c>,
    pub report: &'c mut CheckReport,
}

impl StampCheck<'_> {
    /// Counts the rows without a stamp, without an id, and with a stamp of a wrong type; returns
    /// how many have no place in the order of stamps.
    pub(super) async fn null_keys(&mut self) -> Result<u64, Failure> {
        let mut unplaced = 0;
        for (ordinal, column, level, consequence) in [
            (
                CHANGED_AT,
                "changed_at",
                Level::Warning,
                "only the key sweep reads them, and does not see them change",
            ),
            (RECORD_ID, "record_id", Level::Error, "they are never read"),
        ] {
            let full_name = self.pager.column(ordinal);
            let count = self.look.count(self.pager, |sql| {
                sql.push(&format!("{full_name} IS NULL"));
            });
            let count = count.await?;
            unplaced += count;
            if count > 0 {
                self.report.findings.push(Finding {
                    level,
                    what: format!(
                        "{}: {count} rows have no {column}; {consequence}",
                        self.feed
                    ),
                    help: Some(format!(
                        "give them one: in the clinic system, or with COALESCE(…, …) AS {column}"
                    )),
                });
            }
        }
        Ok(unplaced + self.unusable_stamps().await?)
    }

    /// Counts the rows with a stamp of a wrong type.
    async fn unusable_stamps(&mut self) -> Result<u64, Failure> {
        let at = self.pager.column(CHANGED_AT);
        let Some(usable) = self.look.driver().usable_stamp(&at) else {
            return Ok(0);
        };
        let count = self.look.count(self.pager, |sql| {
            sql.push(&format!("{at} IS NOT NULL AND NOT ({usable})"));
        });
        let count = count.await?;
        if count > 0 {
            self.report.warn(
                format!(
                    "{}: {count} rows have a changed_at that is neither text nor a whole \
                    number; only the key sweep reads them",
                    self.feed
                ),
                "select ISO text, such as strftime('%Y-%m-%d %H:%M:%f', …), or seconds since 1970",
            );
        }
        Ok(count)
    }

    /// Warns of columns that the query makes of an instant by an expression, where the session
    /// cannot run in the clinic's zone.
    pub(super) async fn session_zone(&mut self) -> Result<(), Failure> {
        let Some(zones) = self.look.driver().other_zones() else {
            return Ok(());
        };
        let sql = self.pager.page(&Start::Beginning, SAMPLE_ROWS, true);
        let kinds = &self.pager.layout.kinds;
        let mut samples = Vec::new();
        let mut lent = self.look.source.sessions.lend().await?;
        for zone in zones {
            lent.fetch(&Sql::plain(zone), &[]).await?;
            samples.push(lent.fetch(&sql, kinds).await?);
        }
        lent.give_back().await?;
        let differs = |ordinal: usize| {
            let same = |one: &Table, other: &Table| {
                one.rows()
                    .map(|row| row.cell(ordinal))
                    .eq(other.rows().map(|row| row.cell(ordinal)))
            };
            samples.windows(2).any(|pair| !same(&pair[0], &pair[1]))
        };
        for ordinal in (0..kinds.len()).filter(|ordinal| kinds[*ordinal] != Kind::TimestampTz) {
            if differs(ordinal) {
                let name = &self.pager.layout.names[ordinal];
                let zone = self.look.source.settings.zone.name();
                self.report.warn(
                    format!(
                        "{}: `{name}` is made of a TIMESTAMP by an expression, which the \
                        server computes in UTC",
                        self.feed
                    ),
                    format!(
                        "select the TIMESTAMP column itself, or CONVERT_TZ(…, '+00:00', \
                        '{zone}'): this zone's clocks change"
                    ),
                );
            }
        }
        Ok(())
    }

    /// Looks at the newest stamps.
    pub(super) async fn stamps(&mut self, rows: &Table) -> Result<(), Failure> {
        let name = self.feed;
        let driver = self.look.driver();
        if let Some(sql) =
            driver.stamp_styles_sql(&self.pager.column(CHANGED_AT), &self.pager.source())
            && self.look.texts(&Sql::plain(sql)).await?.len() > 1
        {
            self.report.error(
                format!(
                    "{name}: changed_at is written in more than one way, so its order is not that \
                     of time"
                ),
                "select it in one form, such as strftime('%Y-%m-%d %H:%M:%f', …) AS changed_at",
            );
        }
        let Some(newest) = rows.rows().find_map(|row| row.cell(CHANGED_AT).key()) else {
            return Ok(());
        };
        if self.too_small_units(rows) {
            return self.stored_stamps(rows).await;
        }
        if stamp::not_after(&newest, self.look.now, self.look.source.settings.zone).is_none() {
            self.report.error(
                format!("{name}: the newest changed_at is no readable point in time"),
                "select a timestamp; in SQLite ISO text or whole seconds since 1970",
            );
            return Ok(());
        }
        self.stored_stamps(rows).await?;
        if newest.kind == Kind::Date {
            self.report.warn(
                format!("{name}: changed_at is only a date"),
                "the last days are read again with every run; select a timestamp if there is one",
            );
        }
        self.future(&newest).await
    }

    /// Warns of stamps that count milliseconds or microseconds; returns whether most do.
    fn too_small_units(&mut self, rows: &Table) -> bool {
        let units = rows.rows().filter_map(|row| {
            let key = row.cell(CHANGED_AT).key()?;
            let number = std::str::from_utf8(&key.value).ok()?.parse().ok();
            EpochUnit::of(number.filter(|_| key.kind == Kind::Integer)?)
        });
        let units: Vec<EpochUnit> = units.collect();
        let most = |unit| units.iter().filter(|one| **one == unit).count() * 2 > rows.len();
        let (name, divisor) = if most(EpochUnit::Millis) {
            ("milliseconds", "1000")
        } else if most(EpochUnit::Micros) {
            ("microseconds", "1000000")
        } else {
            return false;
        };
        self.report.warn(
            format!(
                "{}: changed_at counts {name} since 1970, and is read as seconds: every row \
                 seems to lie in the far future, and each run reads all of them again",
                self.feed
            ),
            format!(
                "select seconds: … / {divisor} AS changed_at, with an index on that expression and \
                 the id"
            ),
        );
        true
    }

    /// Reads the same rows twice: stamps the query makes of the present moment are later in the
    /// second reading.
    async fn stored_stamps(&mut self, rows: &Table) -> Result<(), Failure> {
        let again = self.look.sample(self.pager).await?;
        let moved = |row: &Row<'_>| {
            let is_there = again
                .rows()
                .any(|other| other.cell(RECORD_ID) == row.cell(RECORD_ID));
            is_there && !again.rows().any(|other| other.has_keys_of(*row))
        };
        // Of rows that are stored only some may be written between the looks.
        if rows.rows().filter(moved).count() * 2 > rows.len() {
            self.report.error(
                format!(
                    "{}: changed_at is made anew with every reading, such as by now()",
                    self.feed
                ),
                "select a stored column that changes only when the row does",
            );
        }
        Ok(())
    }

    /// Counts the rows stamped later than now.
    async fn future(&mut self, newest: &Key) -> Result<(), Failure> {
        let zone = self.look.source.settings.zone;
        let later = |seconds| {
            let moment = self.look.now + TimeDelta::seconds(seconds);
            stamp::present(moment, newest.kind, &newest.value, zone)
        };
        // A stamp further ahead than a wrong zone has a wrong year.
        let (Some(soon), Some(far)) = (later(300), later(WIDEST_ZONE)) else {
            return Ok(());
        };
        let ahead = self.count_after(&soon).await?;
        let far_ahead = self.count_after(&far).await?;
        if far_ahead > 0 {
            self.report.warn(
                format!(
                    "{}: {far_ahead} rows have a changed_at in the future; they are read \
                    again with every run",
                    self.feed
                ),
                "let the clinic system correct them, or leave them out of the query",
            );
        }
        if ahead > far_ahead {
            self.report.warn(
                format!(
                    "{}: {} rows have a changed_at some hours ahead of now",
                    self.feed,
                    ahead - far_ahead
                ),
                format!(
                    "check time_zone (now {}), and the clocks of the clinic's machines",
                    zone.name()
                ),
            );
        }
        Ok(())
    }
    /// Counts the rows stamped later than a moment.
    async fn count_after(&self, moment: &Key) -> Result<u64, Failure> {
        let at = self.pager.column(CHANGED_AT);
        let condition = |sql: &mut Sql| {
            sql.push(&format!("{at} > "));
            self.look.driver().push_key(sql, moment);
        };
        self.look.count(self.pager, condition).await
    }
}

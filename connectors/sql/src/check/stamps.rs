//! Stamps and ids: rows without them, stamps out of order, made anew, or in the future.

use chrono::TimeDelta;
use connector_kit::{CheckReport, Feed};

use super::look::{Look, SAMPLE_ROWS};
use super::words::{of_newest, rows_have};
use crate::closing::WIDEST_ZONE;
use crate::date::EpochUnit;
use crate::driver::Failure;
use crate::layout::{CHANGED_AT, RECORD_ID};
use crate::page::{Pager, Start};
use crate::stamp;
use crate::table::{Row, Table};
use crate::value::{Key, Kind, Sql};

/// Help for stamps of an SQLite file that are no points in time.
const ISO_TEXT: &str =
    "select ISO text, such as strftime('%Y-%m-%d %H:%M:%f', …), or seconds since 1970";

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
        for (ordinal, column, consequence) in [
            (
                CHANGED_AT,
                "changed_at",
                "only the key sweep reads such rows, and does not see them change",
            ),
            (RECORD_ID, "record_id", "such rows are never read"),
        ] {
            if ordinal == CHANGED_AT && !self.pager.layout.has_stamp {
                continue;
            }
            let full_name = self.pager.column(ordinal);
            let count = self.look.count(self.pager, |sql| {
                sql.push(&format!("{full_name} IS NULL"));
            });
            let count = count.await?;
            unplaced += count;
            if count > 0 {
                self.report.warn(
                    format!(
                        "{}: {} no {column}; {consequence}",
                        self.feed,
                        rows_have(count)
                    ),
                    format!(
                        "give them one: in the clinic system, or with COALESCE(…, …) AS {column}"
                    ),
                );
            }
        }
        if self.pager.layout.has_stamp {
            unplaced += self.unusable_stamps().await?;
        }
        Ok(unplaced)
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
                    "{}: {} a changed_at that is neither text nor a whole number; only the key \
                     sweep reads such rows",
                    self.feed,
                    rows_have(count)
                ),
                ISO_TEXT,
            );
        }
        self.undated_stamps(&at, &usable).await?;
        Ok(count)
    }

    /// Counts the rows with a stamp that can be read, but has no place in the order of time.
    async fn undated_stamps(&mut self, at: &str, usable: &str) -> Result<(), Failure> {
        let Some(dated) = self.look.driver().dated_stamp(at) else {
            return Ok(());
        };
        let count = self.look.count(self.pager, |sql| {
            sql.push(&format!("{at} IS NOT NULL AND {usable} AND NOT ({dated})"));
        });
        let count = count.await?;
        if count > 0 {
            self.report.warn(
                format!(
                    "{}: {} a changed_at that is text and does not begin with YYYY-MM-DD, so it \
                     has no place in the order of time; what changes in such rows may be found \
                     by the key sweep only",
                    self.feed,
                    rows_have(count)
                ),
                ISO_TEXT,
            );
        }
        Ok(())
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
        self.styles().await?;
        if self.too_small_units(rows) {
            return self.stored_stamps(rows).await;
        }
        let keys = || rows.rows().map(|row| row.cell(CHANGED_AT).key());
        let is_time = |key: &Key| stamp::read(key).is_some();
        let timeless = keys().take_while(|key| !key.as_ref().is_some_and(is_time));
        let timeless = timeless.count();
        self.timeless(rows, timeless);
        self.stored_stamps(rows).await?;
        let Some(newest) = keys().nth(timeless).flatten() else {
            return Ok(());
        };
        if newest.kind == Kind::Date {
            self.report.warn(
                format!("{}: changed_at is only a date", self.feed),
                "the last days are read again with every run; select a timestamp if there is one",
            );
        }
        self.future(&newest, timeless).await
    }

    /// Looks whether the stamps are written in several ways: text in several ways is read, text and
    /// numbers are not.
    async fn styles(&mut self) -> Result<(), Failure> {
        let at = self.pager.column(CHANGED_AT);
        let Some(sql) = self
            .look
            .driver()
            .stamp_styles_sql(&at, &self.pager.source())
        else {
            return Ok(());
        };
        let styles = self.look.texts(&Sql::plain(sql)).await?;
        let texts = styles.iter().filter(|style| style.starts_with("text"));
        let texts = texts.count();
        let help = "select it in one form, such as strftime('%Y-%m-%d %H:%M:%f', …) AS changed_at";
        if texts > 0 && styles.iter().any(|style| style == "integer") {
            self.report.error(
                format!(
                    "{}: changed_at is text in some rows and a number in others, which have no \
                     common order; the feed is refused",
                    self.feed
                ),
                help,
            );
        } else if texts > 1 {
            self.report.warn(
                format!(
                    "{}: changed_at is written in several ways, whose order is not that of time; \
                     where they meet, each run reads two days again",
                    self.feed
                ),
                help,
            );
        }
        Ok(())
    }

    /// Warns of the newest rows if their stamps are no points in time, so that they stay behind
    /// all others.
    fn timeless(&mut self, rows: &Table, count: usize) {
        if count == 0 {
            return;
        }
        let help = if self.look.driver().kind() == "sqlite" {
            ISO_TEXT
        } else {
            "let the clinic system give such rows a time"
        };
        self.report.warn(
            format!(
                "{}: {} a changed_at that is no point in time, such as infinity; such rows are \
                 read again with every run",
                self.feed,
                of_newest(count, rows.len(), ["has", "have"])
            ),
            help,
        );
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

    /// Counts the rows stamped later than now, without those behind them whose stamps are no
    /// points in time.
    async fn future(&mut self, newest: &Key, timeless: usize) -> Result<(), Failure> {
        let zone = self.look.source.settings.zone;
        let later = |seconds| {
            let moment = self.look.now + TimeDelta::seconds(seconds);
            stamp::present(moment, newest.kind, &newest.value, zone)
        };
        // A stamp further ahead than a wrong zone has a wrong year.
        let (Some(soon), Some(far)) = (later(300), later(WIDEST_ZONE)) else {
            return Ok(());
        };
        let timeless = u64::try_from(timeless).unwrap_or(u64::MAX);
        let ahead = self.count_after(&soon).await?.saturating_sub(timeless);
        let far_ahead = self.count_after(&far).await?.saturating_sub(timeless);
        if far_ahead > 0 {
            self.report.warn(
                format!(
                    "{}: {} a changed_at in the future; such rows are read again with every run",
                    self.feed,
                    rows_have(far_ahead)
                ),
                "let the clinic system correct them, or leave them out of the query",
            );
        }
        if ahead > far_ahead {
            self.report.warn(
                format!(
                    "{}: {} a changed_at some hours ahead of now",
                    self.feed,
                    rows_have(ahead - far_ahead)
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

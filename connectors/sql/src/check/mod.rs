//! `check`: looks at everything that can be wrong with a source, and says it in words without
//! quoting a value.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use connector_kit::{CheckReport, ClinicDate, ClinicFact, ClinicRecord, Field, RecordStatus};

use crate::driver::{Driver, Failure, MANY_ROWS, SlowPlan};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID, resolve};
use crate::page::{Order, Pager, Start};
use crate::row::Reader;
use crate::settings::FeedSettings;
use crate::source::Source;
use crate::stamp;
use crate::table::{Row, Table};
use crate::value::{Kind, Sql};

/// How many of the newest rows are looked at closely.
const SAMPLE_ROWS: u32 = 500;
/// A newest stamp up to this far ahead looks like a wrong time zone rather than a wrong year.
const WIDEST_ZONE_SECONDS: i64 = 14 * 3600;

/// Looks at the server, then at each feed.
pub(crate) async fn run(source: &Source, now: DateTime<Utc>) -> CheckReport {
    let mut report = CheckReport::default();
    let check = Check {
        source,
        driver: source.sessions.driver.as_ref(),
        now,
    };
    if let Err(failure) = check.server(&mut report).await {
        fail(&mut report, "", &failure, None);
        return report;
    }
    for feed in &source.settings.feeds {
        if let Err(failure) = check.feed(feed, &mut report).await {
            fail(
                &mut report,
                &format!("{}: ", feed.feed),
                &failure,
                Some(feed),
            );
        }
    }
    report
}

fn fail(report: &mut CheckReport, place: &str, failure: &Failure, feed: Option<&FeedSettings>) {
    let (what, help) = failure.words(feed.map(|feed| &feed.statement));
    report.error(format!("{place}{what}"), help);
}

struct Check<'c> {
    source: &'c Source,
    driver: &'c dyn Driver,
    now: DateTime<Utc>,
}

impl Check<'_> {
    async fn server(&self, report: &mut CheckReport) -> Result<(), Failure> {
        let version = self.texts(&Sql::plain(self.driver.version_sql())).await?;
        report.good(format!(
            "{} answers",
            self.driver
                .product(version.first().map_or("", String::as_str))
        ));
        if let Some((what, help)) = self.driver.transport_warning() {
            report.warn(what, help);
        }
        self.driver.check_hints(report).await;
        let Some(privileges) = self.driver.write_privileges() else {
            report.good("the file is opened read-only");
            return Ok(());
        };
        // An account that may not even ask is not an account that may write.
        match self.texts(&Sql::plain(privileges.sql)).await {
            Ok(rows) if rows.iter().any(|row| (privileges.may_write)(row)) => report.warn(
                "the account may change data; the gateway never does",
                "use an account that has SELECT only, on what the queries read",
            ),
            Ok(_) => report.good("the account can only read"),
            Err(_) => {
                report.warn(
                    "the account's privileges cannot be seen",
                    "make sure that it has SELECT only",
                );
            }
        }
        Ok(())
    }

    async fn feed(&self, feed: &FeedSettings, report: &mut CheckReport) -> Result<(), Failure> {
        let name = feed.feed;
        let mut lease = self.source.sessions.lease().await?;
        let described = lease.describe(&feed.statement.text).await?;
        lease.give_back().await?;
        let found = resolve(name, &described, !feed.config.status_words.is_empty());
        for problem in found.warnings {
            report.warn(format!("{name}: {}", problem.what), problem.help);
        }
        for problem in found.errors {
            report.error(format!("{name}: {}", problem.what), problem.help);
        }
        let Some(layout) = found.layout else {
            return Ok(());
        };
        report.good(format!("{name}: {} columns understood", layout.names.len()));
        let pager = self.source.pager(feed, &layout, Order::Stamp);
        self.null_keys(feed, &pager, report).await?;
        let rows = self.sample(&pager).await?;
        if rows.is_empty() {
            report.warn(
                format!("{name}: the query returns no row now"),
                "check its conditions, if there should be some",
            );
            return Ok(());
        }
        self.session_zone(feed, &pager, report).await?;
        self.stamps(feed, &pager, &rows, report).await?;
        let page = pager.page(&Start::Beginning, SAMPLE_ROWS, false);
        let stands_for = "what changed_at stands for, what record_id stands for";
        self.plan(feed, &pager, &page, ("each page sorts", stands_for), report)
            .await?;
        let pager = self.source.pager(feed, &layout, Order::Id);
        let keys = pager.keys_page(&Start::Beginning, SAMPLE_ROWS, false);
        let told = (
            "each page of the key sweep sorts",
            "what record_id stands for",
        );
        self.plan(feed, &pager, &keys, told, report).await?;
        self.contents(feed, &layout, &rows, report);
        Ok(())
    }

    async fn texts(&self, sql: &Sql) -> Result<Vec<String>, Failure> {
        let mut lease = self.source.sessions.lease().await?;
        let texts = lease.texts(sql).await?;
        lease.give_back().await?;
        Ok(texts)
    }

    /// How many rows fulfil a condition.
    async fn count(
        &self,
        pager: &Pager<'_>,
        condition: impl FnOnce(&mut Sql),
    ) -> Result<u64, Failure> {
        let mut sql = Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) {} WHERE ",
            pager.source()
        ));
        condition(&mut sql);
        Ok(self
            .texts(&sql)
            .await?
            .first()
            .and_then(|count| count.parse().ok())
            .unwrap_or(0))
    }

    async fn sample(&self, pager: &Pager<'_>) -> Result<Table, Failure> {
        let mut lease = self.source.sessions.lease().await?;
        let rows = lease
            .fetch(
                &pager.page(&Start::Beginning, SAMPLE_ROWS, true),
                &pager.layout.kinds,
            )
            .await?;
        lease.give_back().await?;
        Ok(rows)
    }

    async fn null_keys(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        for (ordinal, column, told) in [
            (
                CHANGED_AT,
                "changed_at",
                "only the key sweep reads them, and does not see them change",
            ),
            (RECORD_ID, "record_id", "they are never read"),
        ] {
            let full_name = pager.column(ordinal);
            let count = self.count(pager, |sql| {
                sql.push(&format!("{full_name} IS NULL"));
            });
            let count = count.await?;
            if count > 0 {
                report.error(
                    format!("{}: {count} rows have no {column}; {told}", feed.feed),
                    format!(
                        "give them one: in the clinic system, or with COALESCE(…, …) AS {column}"
                    ),
                );
            }
        }
        let Some(usable) = self.driver.usable_stamp(&pager.column(CHANGED_AT)) else {
            return Ok(());
        };
        let at = pager.column(CHANGED_AT);
        let count = self.count(pager, |sql| {
            sql.push(&format!("{at} IS NOT NULL AND NOT ({usable})"));
        });
        let count = count.await?;
        if count > 0 {
            report.error(
                format!(
                    "{}: {count} rows have a changed_at that is neither text nor a whole \
                    number; only the key sweep reads them",
                    feed.feed
                ),
                "select ISO text, such as strftime('%Y-%m-%d %H:%M:%f', …), or seconds since 1970",
            );
        }
        Ok(())
    }

    /// Where the session cannot run in the clinic's zone: which columns the query makes of an
    /// instant by an expression.
    async fn session_zone(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let Some(zones) = self.driver.other_zones() else {
            return Ok(());
        };
        let sql = pager.page(&Start::Beginning, SAMPLE_ROWS, true);
        let kinds = &pager.layout.kinds;
        let mut samples = Vec::new();
        let mut lease = self.source.sessions.lease().await?;
        for zone in zones {
            lease.fetch(&Sql::plain(zone), &[]).await?;
            samples.push(lease.fetch(&sql, kinds).await?);
        }
        lease.give_back().await?;
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
                let name = &pager.layout.names[ordinal];
                let zone = self.source.settings.zone.name();
                report.warn(
                    format!(
                        "{}: `{name}` is made of a TIMESTAMP by an expression, which the \
                        server computes in UTC",
                        feed.feed
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

    async fn stamps(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        rows: &Table,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let name = feed.feed;
        if let Some(sql) = self
            .driver
            .stamp_styles_sql(&pager.column(CHANGED_AT), &pager.source())
            && self.texts(&Sql::plain(sql)).await?.len() > 1
        {
            report.error(
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
        if stamp::not_after(&newest, self.now, self.source.settings.zone).is_none() {
            report.error(
                format!("{name}: the newest changed_at is no readable point in time"),
                "select a timestamp; in SQLite ISO text or whole seconds since 1970",
            );
            return Ok(());
        }
        self.stored_stamps(feed, pager, rows, report).await?;
        if newest.kind == Kind::Date {
            report.warn(
                format!("{name}: changed_at is only a date"),
                "the last days are read again with every run; select a timestamp if there is one",
            );
        }
        if stamp::is_local(&newest)
            && has_repeated_hours(self.source.settings.zone, self.now)
            && self.source.settings.overlap_seconds < 3900
        {
            report.warn(
                format!(
                    "{name}: changed_at is wall-clock time in a zone whose clocks go back \
                    once a year"
                ),
                "set overlap_seconds = 3900, so that the repeated hour is not missed",
            );
        }
        self.future(feed, pager, &newest, report).await
    }

    /// Two looks at the same rows: stamps the query makes of the present moment are later in the
    /// second one.
    async fn stored_stamps(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        rows: &Table,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let again = self.sample(pager).await?;
        let moved = |row: &Row<'_>| {
            let is_there = again
                .rows()
                .any(|other| other.cell(RECORD_ID) == row.cell(RECORD_ID));
            is_there && !again.rows().any(|other| other.has_keys_of(*row))
        };
        // Of rows that are stored only some may be written between the looks.
        if rows.rows().filter(moved).count() * 2 > rows.len() {
            report.error(
                format!(
                    "{}: changed_at is made anew with every reading, such as by now()",
                    feed.feed
                ),
                "select a stored column that changes only when the row does",
            );
        }
        Ok(())
    }

    async fn future(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        newest: &crate::value::Key,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let zone = self.source.settings.zone;
        let later = |seconds| {
            let moment = self.now + chrono::TimeDelta::seconds(seconds);
            stamp::present(moment, newest.kind, &newest.value, zone)
        };
        let (Some(soon), Some(far)) = (later(300), later(WIDEST_ZONE_SECONDS)) else {
            return Ok(());
        };
        let at = pager.column(CHANGED_AT);
        let after = |key: crate::value::Key| {
            let at = at.clone();
            self.count(pager, move |sql| {
                sql.push(&format!("{at} > "));
                self.driver.push_key(sql, &key);
            })
        };
        let ahead = after(soon).await?;
        let far_ahead = after(far).await?;
        if far_ahead > 0 {
            report.warn(
                format!(
                    "{}: {far_ahead} rows have a changed_at in the future; they are read \
                    again with every run",
                    feed.feed
                ),
                "let the clinic system correct them, or leave them out of the query",
            );
        }
        if ahead > far_ahead {
            report.warn(
                format!(
                    "{}: {} rows have a changed_at some hours ahead of now",
                    feed.feed,
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

    async fn plan(
        &self,
        feed: &FeedSettings,
        pager: &Pager<'_>,
        sql: &Sql,
        (what, columns): (&str, &str),
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let mut lease = self.source.sessions.lease().await?;
        let plan = lease.slow_plan(sql).await?;
        lease.give_back().await?;
        let Some(SlowPlan { rows, table }) = plan else {
            return Ok(());
        };
        let rows = match rows {
            Some(rows) => rows,
            None => {
                let bounded = format!(
                    "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 {} LIMIT {MANY_ROWS}) AS n",
                    pager.source()
                );
                self.texts(&Sql::plain(bounded))
                    .await?
                    .first()
                    .and_then(|count| count.parse().ok())
                    .unwrap_or(0)
            }
        };
        if rows >= MANY_ROWS {
            let table = table
                .as_deref()
                .and_then(|table| feed.statement.name_in(table))
                .unwrap_or("…");
            report.warn(
                format!("{}: {what} about {rows} rows", feed.feed),
                format!("CREATE INDEX … ON {table} ({columns})"),
            );
        }
        Ok(())
    }

    /// What the newest rows come to; only counts are told.
    fn contents(
        &self,
        feed: &FeedSettings,
        layout: &Layout,
        rows: &Table,
        report: &mut CheckReport,
    ) {
        let reader = Reader::new(layout, feed, &self.source.settings);
        let records: Vec<ClinicRecord> = rows.rows().map(|row| reader.record(row)).collect();
        let ids: HashSet<&str> = records
            .iter()
            .map(|record| record.record_id.as_str())
            .collect();
        let name = feed.feed;
        if ids.len() < records.len() {
            report.error(
                format!(
                    "{name}: {} of the newest {} rows repeat a record_id",
                    records.len() - ids.len(),
                    records.len()
                ),
                "select one row a record: a join to a table of documents or contacts may multiply \
                 rows",
            );
        }
        let count = |fits: &dyn Fn(&ClinicRecord) -> bool| {
            records.iter().filter(|record| fits(record)).count()
        };
        let too_long = rows
            .rows()
            .filter(|row| row.cell(RECORD_ID).is_cut())
            .count();
        for (found, what, help) in [
            (
                too_long,
                "have a record_id of 1024 bytes or more; they are refused",
                "select a shorter record_id, such as the table's primary key",
            ),
            (
                count(&|record| record.status == RecordStatus::Unknown).saturating_sub(too_long),
                "have a status that status_words does not list",
                "add the missing words to status_words; until then these records are held back",
            ),
            (
                count(&|record| record.person.identifiers.is_empty() && !record.person.unreadable)
                    .saturating_sub(too_long),
                "have no identifier of their person",
                "select more person_* columns, if the system has them",
            ),
            (
                count(&|record| record.person.unreadable),
                "have an identifier that cannot be decoded",
                "set `encoding` to what the system writes, such as \"windows-1251\"",
            ),
            (
                count(&|record| matches!(occurred_on(record), Field::Invalid(_))),
                "have an occurred_on that is no date",
                "select a date, or text such as 2021-07-01 or 01.07.2021",
            ),
        ] {
            if found > 0 {
                report.warn(
                    format!(
                        "{name}: {found} of the newest {} rows {what}",
                        records.len()
                    ),
                    help,
                );
            }
        }
    }
}

fn occurred_on(record: &ClinicRecord) -> &Field<ClinicDate> {
    match &record.fact {
        ClinicFact::Vaccination { occurred_on, .. }
        | ClinicFact::Test { occurred_on, .. }
        | ClinicFact::Recovery { occurred_on, .. } => occurred_on,
    }
}

/// True for a zone whose offset changes within the year around `now`.
fn has_repeated_hours(zone: chrono_tz::Tz, now: DateTime<Utc>) -> bool {
    use chrono::Offset;
    let offset = |days| {
        (now + chrono::TimeDelta::days(days))
            .with_timezone(&zone)
            .offset()
            .fix()
    };
    offset(-90) != offset(90) || offset(0) != offset(180)
}

//! Facts that a clinic commits at a steady rate, one a transaction.

use std::ops::Range;
use std::time::Duration;

use az::SaturatingAs as _;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::clinics::people;
use crate::error::Error;
use crate::session::BenchSession;

/// Connections that write at once, as several registrars do: what begins first does not always
/// commit first.
const WRITERS: u64 = 4;
const INSERT: &str = "INSERT INTO mis.vaccination \
    (id, changed, snils, oms, passport, country, vaccine, dose, doses, given, state) \
    VALUES ($1, now(), $2, $3, $4, $5, $6, $7::text::smallint, $8::text::smallint, \
    $9::text::date, $10)";

/// Rate at which a clinic commits facts, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FactRate {
    /// Facts a second.
    pub facts_per_second: u32,
    /// Seconds of writing.
    pub seconds: u32,
}

impl FactRate {
    /// Number of all facts.
    pub(crate) fn facts(self) -> u64 {
        u64::from(self.facts_per_second) * u64::from(self.seconds)
    }
}

/// Inserts so many facts from number `first` on, each when it is due, over [`WRITERS`] connections
/// at once.
pub(crate) async fn insert_all(
    session: &BenchSession<'_>,
    url: &str,
    first: u64,
    rate: FactRate,
) -> Result<(), Error> {
    let writers = (0..WRITERS).map(|writer| {
        let facts = (first + writer)..(first + rate.facts());
        insert_every_nth(session, url, facts, rate)
    });
    futures_util::future::try_join_all(writers).await?;
    Ok(())
}

/// Inserts every [`WRITERS`]-th of these facts, each when it is due.
async fn insert_every_nth(
    session: &BenchSession<'_>,
    url: &str,
    facts: Range<u64>,
    rate: FactRate,
) -> Result<(), Error> {
    let mut connection = PgConnection::connect(url).await?;
    let started = session.clock.elapsed();
    let step = WRITERS.saturating_as();
    for (turn, fact) in facts.step_by(step).enumerate() {
        let due = turn as f64 * WRITERS as f64 / f64::from(rate.facts_per_second);
        let due = started + Duration::from_secs_f64(due);
        tokio::time::sleep(due.saturating_sub(session.clock.elapsed())).await;
        insert(&mut connection, fact).await?;
    }
    connection.close().await?;
    Ok(())
}

/// Inserts the first dose of person number `fact`, stamped with its transaction's time.
pub(crate) async fn insert(connection: &mut PgConnection, fact: u64) -> Result<(), Error> {
    let index = fact * 3;
    let lines = people::lines(index..index + 1);
    let mut fields = lines
        .vaccinations
        .trim_end()
        .split('\t')
        .map(|field| (field != "\\N").then_some(field));
    let id = fields
        .next()
        .flatten()
        .and_then(|id| id.parse::<i64>().ok())
        .unwrap_or_default();
    let mut query = sqlx::query(INSERT).bind(id);
    // The stamp in the line is an invented one.
    for field in fields.skip(1) {
        query = query.bind(field);
    }
    query.execute(connection).await?;
    Ok(())
}

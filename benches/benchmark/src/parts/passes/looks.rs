//! Looks for passes that have ended: at everything that was issued, and at what has changed.

use clock::Clock;
use registry::passes::Passes;
use testbed::postgres::Postgres;

use super::city::{City, DATABASE, now};
use crate::error::Error;

/// Persons that passes were issued to, at most; each has passes for four days.
const MOST_HOLDERS: u64 = 250_000;
/// Days that passes were issued for.
const DAYS: u64 = 4;
/// Persons whose facts change between two looks.
const CHANGED: u64 = 100;
/// Passes for each day.
const PASSES: u64 = 2;

/// Durations of looks, in seconds.
pub(super) struct Looks {
    /// Number of windows that passes were issued for.
    pub(super) windows: u64,
    /// Duration of the look at everything.
    pub(super) everything: f64,
    /// Duration of the look at [`CHANGED`] persons.
    pub(super) changed: f64,
    /// Duration of a look where nothing is marked.
    pub(super) nothing: f64,
}

/// Measures the three kinds of looks.
pub(super) async fn measure(
    city: &City,
    server: &Postgres,
    clock: &dyn Clock,
) -> Result<Looks, Error> {
    // From 00:00 in the city (UTC+3) of the day on.
    let today = (now().timestamp() + 10_800) / 86_400 * 86_400 - 10_800;
    let issue = format!(
        "INSERT INTO pass_count (name, begins_at, ends_at, issued)
        SELECT snils, {today} + 86400 * day, {today} + 86400 * (day + 1), {PASSES} FROM person
        CROSS JOIN generate_series(0, {DAYS} - 1) AS day WHERE number <= {MOST_HOLDERS};
        VACUUM (ANALYZE) pass_count;
        SELECT count(*) FROM pass_count;"
    );
    let counted = server.psql(DATABASE, &issue).await?;
    let windows = counted
        .lines()
        .last()
        .and_then(|line| line.trim().parse().ok());
    let windows = windows.ok_or_else(|| Error::WrongResult("no windows".into()))?;
    let passes = city.passes()?;
    let everything = look(&passes, 0, clock).await?;
    let nothing = look(&passes, 0, clock).await?;
    // What a registry does that is told that a fact was withdrawn.
    let withdraw = format!(
        "WITH changed AS (SELECT * FROM person WHERE number <= {MOST_HOLDERS} AND number % 7 = 3
            ORDER BY number LIMIT {CHANGED}),
        withdrawn AS (DELETE FROM fact WHERE name_set IN (SELECT name_set FROM changed)
            AND kind = 'recovery')
        INSERT INTO pass_mark (made_at, name) SELECT {today}, snils FROM changed;"
    );
    server.psql(DATABASE, &withdraw).await?;
    let changed = look(&passes, CHANGED * DAYS * PASSES, clock).await?;
    Ok(Looks {
        windows,
        everything,
        changed,
        nothing,
    })
}

/// Looks, and checks how many passes that has ended; returns how long it took, in seconds.
async fn look(passes: &Passes, expected: u64, clock: &dyn Clock) -> Result<f64, Error> {
    let begun = clock.elapsed();
    let published = passes.publish(now()).await;
    let took = clock.elapsed().saturating_sub(begun);
    let published = published.map_err(|error| Error::WrongResult(error.to_string()))?;
    if published.newly_ended != expected {
        return Err(Error::WrongResult(format!(
            "a look ended {} passes instead of {expected}",
            published.newly_ended
        )));
    }
    Ok(took.as_secs_f64())
}

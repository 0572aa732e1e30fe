//! Eligibility through the registry's own code, and a bare read by key with the same driver, in
//! turn.

use std::time::Duration;

use clock::Clock;
use contract::{Pseudonym, Scheme};
use registry::passes::Passes;
use sqlx::{Connection, PgConnection};

use super::city::{City, name, now};
use crate::error::Error;
use crate::results::Samples;

/// Parts into which the samples are divided; a ratio is taken in each.
const ROUNDS: usize = 10;
/// Number of persons by whom connections, statements and caches are warmed up.
const WARM_UP: usize = 500;
/// Number of persons among whom one has a name that nobody knows.
const UNKNOWN_EVERY: usize = 10;
/// Number that no person has.
const NOBODY: u64 = 1 << 40;

/// Times of one kind of look-up, one sample a round, in microseconds.
#[derive(Default)]
pub(super) struct Times {
    /// Time within which half of the answers came.
    pub(super) middle: Samples,
    /// Time within which 99 of 100 answers came.
    pub(super) slow: Samples,
}

/// Times of both kinds of look-up.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) key: Times,
    pub(super) person: Times,
}

impl Asked {
    /// Ratio of the middle times, round by round.
    pub(super) fn middle_ratio(&self) -> Samples {
        self.person.middle.over(&self.key.middle)
    }

    /// Ratio of the times of the slowest one in a hundred, round by round.
    pub(super) fn slow_ratio(&self) -> Samples {
        self.person.slow.over(&self.key.slow)
    }
}

/// Measures both, person by person in turn.
pub(super) async fn measure(city: &City, clock: &dyn Clock) -> Result<Asked, Error> {
    let passes = city.passes()?;
    let mut connection = PgConnection::connect(&city.url).await?;
    let mut asked = Asked::default();
    let mut warm = Round::default();
    for pair in city.asked.chunks_exact(2).take(WARM_UP) {
        warm.ask(city, pair, &passes, &mut connection, clock)
            .await?;
    }
    let rest = city.asked.get(2 * WARM_UP..).unwrap_or_default();
    for persons in rest.chunks_exact((rest.len() / ROUNDS).max(2)) {
        let mut round = Round::default();
        for pair in persons.chunks_exact(2) {
            round
                .ask(city, pair, &passes, &mut connection, clock)
                .await?;
        }
        round.note(&mut asked);
    }
    connection.close().await?;
    Ok(asked)
}

/// Times of a round, in microseconds.
#[derive(Default)]
struct Round {
    key: Vec<f64>,
    person: Vec<f64>,
}

impl Round {
    /// Asks for one person by key, and for the other by the registry.
    async fn ask(
        &mut self,
        city: &City,
        pair: &[Vec<Pseudonym>],
        passes: &Passes,
        connection: &mut PgConnection,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let [one, other] = pair else {
            return Ok(());
        };
        let is_nobody = self.key.len().is_multiple_of(UNKNOWN_EVERY);
        let nobody = vec![name(NOBODY + self.key.len() as u64, Scheme::Snils)];
        let one = if is_nobody { &nobody } else { one };
        let other = if is_nobody { &nobody } else { other };
        let stored = city.reader.second_layer(&one[0]);
        let value = stored.expect("every value is a digest's").value;
        let begun = clock.elapsed();
        let found: Option<i64> =
            sqlx::query_scalar("SELECT subject_id FROM pseudonym WHERE value = $1")
                .bind(&value[..])
                .fetch_optional(&mut *connection)
                .await?;
        self.key.push(micros(clock.elapsed().saturating_sub(begun)));
        let begun = clock.elapsed();
        let answer = passes.eligibility(other, now()).await;
        self.person
            .push(micros(clock.elapsed().saturating_sub(begun)));
        let answer = answer.map_err(|error| Error::WrongResult(error.to_string()))?;
        if found.is_none() != is_nobody || answer.covered.is_empty() != is_nobody {
            return Err(Error::WrongResult(
                "a person was not found, or nobody was".into(),
            ));
        }
        Ok(())
    }

    fn note(mut self, asked: &mut Asked) {
        for (times, to) in [
            (&mut self.key, &mut asked.key),
            (&mut self.person, &mut asked.person),
        ] {
            times.sort_by(f64::total_cmp);
            to.middle.push(quantile(times, 50));
            to.slow.push(quantile(times, 99));
        }
    }
}

/// Time within which the given per cent of the answers came (the nearest rank).
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

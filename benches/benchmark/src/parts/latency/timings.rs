//! Times that facts took, each matched exactly: its record digest at the registry is the keyed
//! digest of the clinic's row id, and the keys are the benchmark's own.
//!
//! Both databases are on one server, so one clock notes both commits.

use std::collections::HashMap;
use std::time::Duration;

use connector_kit::Feed;

use crate::clinics::keys::ClinicKeys;
use crate::error::Error;
use crate::parts::waiting::{moment, number};
use crate::session::BenchSession;

/// Moment at which a row was committed, in microseconds since 1970.
const COMMITTED: &str = "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint";

/// Times that the facts took, sorted, and the time for which the clinic wrote.
pub(crate) struct Timings {
    milliseconds: Vec<f64>,
    /// Time from the clinic's first commit to its last.
    pub wrote_for: Duration,
}

impl Timings {
    /// Time that the given per cent of the facts took at most (the nearest rank).
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let rank = (self.milliseconds.len() * percent).div_ceil(100);
        self.milliseconds
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// Matches the clinic's rows with the registry's facts; the first `uncounted` facts are left out.
pub(crate) async fn timings(
    session: &BenchSession<'_>,
    clinic: &str,
    registry: &str,
    uncounted: u64,
    facts: u64,
) -> Result<Timings, Error> {
    let postgres = &session.postgres;
    let query = format!("SELECT id, {COMMITTED} FROM mis.vaccination");
    let rows = postgres.psql(clinic, &query).await?;
    let query = format!("SELECT encode(record, 'hex'), {COMMITTED} FROM fact");
    let stored = postgres.psql(registry, &query).await?;
    let stored: HashMap<&str, &str> = stored
        .lines()
        .filter_map(|line| line.split_once('|'))
        .collect();
    let keys = ClinicKeys::read(&session.folder.join("keys"))?;
    let mut milliseconds = Vec::new();
    let mut moments = Vec::new();
    for (id, committed) in rows.lines().filter_map(|line| line.split_once('|')) {
        if number(id)? <= uncounted * 3 {
            continue;
        }
        let record = keys.record(Feed::Vaccinations, id);
        let arrived = stored.get(record.to_hex().as_str());
        let arrived = arrived
            .ok_or_else(|| Error::WrongResult("a fact never came to the registry".into()))?;
        let committed = moment(committed)?;
        milliseconds.push((moment(arrived)? - committed).as_seconds_f64() * 1000.0);
        moments.push(committed);
    }
    if milliseconds.len() as u64 != facts {
        let what = format!("{} facts were timed instead of {facts}", milliseconds.len());
        return Err(Error::WrongResult(what));
    }
    milliseconds.sort_by(f64::total_cmp);
    let first_and_last = moments.iter().min().zip(moments.iter().max());
    Ok(Timings {
        milliseconds,
        wrote_for: first_and_last
            .and_then(|(first, last)| (*last - *first).to_std().ok())
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let timings = Timings {
            milliseconds: (1..=200).map(f64::from).collect(),
            wrote_for: Duration::ZERO,
        };
        assert_eq!(
            [50, 90, 99, 100].map(|percent| timings.quantile(percent)),
            [100.0, 180.0, 198.0, 200.0]
        );
        let one = Timings {
            milliseconds: vec![7.0],
            wrote_for: Duration::ZERO,
        };
        assert_eq!(one.quantile(1), 7.0);
    }
}

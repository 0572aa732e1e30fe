//! The part `crowd`: many gateways and several consumers at once, and the same amount through one
//! of each. Both must end equal to their clinics.

mod city;
mod clinics;

use testbed::postgres::Postgres;

use crate::error::Error;
use crate::parts::table::{ColumnRow, columns};
use crate::results::PartResult;
use crate::results::samples::{grouped, short};
use crate::session::BenchSession;
use city::CityFigures;

/// Every gateway and every consumer has connections of its own.
const POSTGRES: [(&str, &str); 4] = [
    ("shared_buffers", "256MB"),
    ("max_wal_size", "2GB"),
    ("track_commit_timestamp", "on"),
    ("max_connections", "400"),
];
/// City with many gateways and several consumers.
const MANY: CitySize = CitySize {
    name: "crowd",
    gateways: 50,
    records_each: 10_000,
    consumers: 4,
};
/// City with as many records, a single gateway and a single consumer.
const ONE: CitySize = CitySize {
    name: "alone",
    gateways: 1,
    records_each: MANY.records_each * MANY.gateways as u64,
    consumers: 1,
};
const NOTHING_SHARED: &str = "no person is known to two clinics: nothing was linked across them";

/// Size of a city.
pub(crate) struct CitySize {
    /// Beginning of the names of its databases and folders.
    pub name: &'static str,
    /// Gateways, each with a clinic of its own.
    pub gateways: u32,
    /// Records of each clinic.
    pub records_each: u64,
    /// Consumers, that is running registries.
    pub consumers: u32,
}

/// Measures both cities. Fails unless each registry ends equal to its clinics: every fact with its
/// content, under all of its person's pseudonyms of all clinics, nothing refused.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    let postgres = Postgres::start_with(&POSTGRES).await?;
    let many = city::measure(session, &postgres, &MANY).await?;
    if many.shared_persons == 0 {
        return Err(Error::WrongResult(NOTHING_SHARED.into()));
    }
    let one = city::measure(session, &postgres, &ONE).await?;
    let rows: [ColumnRow<CityFigures>; 9] = [
        ("facts", |of| grouped(&of.facts.to_string())),
        ("persons; known at two clinics", |of| {
            format!(
                "{}; {}",
                grouped(&of.persons.to_string()),
                grouped(&of.shared_persons.to_string())
            )
        }),
        (
            "from the first program's start to the last commit, s",
            |of| short(of.took.as_secs_f64()),
        ),
        ("**clinics → committed, facts/s**", |of| {
            short(of.facts as f64 / of.took.as_secs_f64())
        }),
        ("gateways' processor time, µs/fact", |of| {
            short(of.gateways_us)
        }),
        ("consumers' processor time, µs/fact", |of| {
            short(of.consumers_us)
        }),
        ("memory of all gateways, MiB", |of| short(of.gateways_mib)),
        ("memory of the greediest gateway, MiB", |of| {
            short(of.greatest_mib)
        }),
        ("registry's tables and indexes, bytes/fact", |of| {
            short(of.stored_bytes_a_fact)
        }),
    ];
    let head =
        [MANY, ONE].map(|of| format!("{} gateways, {} consumers", of.gateways, of.consumers));
    result.table = columns(head.into_iter(), &rows, &[&many, &one]);
    Ok(())
}

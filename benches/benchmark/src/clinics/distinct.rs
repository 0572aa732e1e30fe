//! A clinic on PostgreSQL whose persons are all distinct and have one identifier each, a SNILS:
//! what key services are asked for is then known beforehand.

use std::fmt::Write;
use std::ops::Range;

use chrono::{Days, TimeDelta};
use hotpath::numbers::snils;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use testbed::postgres::Postgres;

use crate::clinics::people::{FILL_RECORDS, FIRST_DAY, FIRST_SNILS, FIRST_STAMP};
use crate::clinics::postgres::copy_in;
use crate::clinics::{INDEXES, SCHEMA};
use crate::error::Error;

/// First doses spread over so many days.
const DAYS: u64 = 120;

/// A filled database.
pub(crate) struct DistinctClinic {
    /// Name of the database.
    pub database: String,
    /// Number of its records, all vaccinations.
    pub records: u64,
}

impl DistinctClinic {
    /// Makes a database in which each of so many persons has so many records. Two records of a
    /// person are as many records apart as there are persons, so that a page has none twice.
    pub(crate) async fn fill(
        server: &Postgres,
        persons: u64,
        records_each: u64,
    ) -> Result<Self, Error> {
        let database = format!("distinct_{persons}_{records_each}");
        let records = persons * records_each;
        let url = server.create_database(&database).await?;
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
        let mut first = 0;
        while first < records {
            let end = records.min(first + FILL_RECORDS);
            let lines = lines(first..end, persons, records_each);
            copy_in(&mut connection, "COPY mis.vaccination FROM STDIN", &lines).await?;
            first = end;
        }
        for finish in [INDEXES, "VACUUM ANALYZE", "CHECKPOINT"] {
            sqlx::raw_sql(finish).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(Self { database, records })
    }
}

/// The records of these indices as lines of PostgreSQL's COPY text format.
fn lines(indices: Range<u64>, persons: u64, records_each: u64) -> String {
    let mut lines = String::new();
    for index in indices {
        let person = index % persons;
        let dose = index / persons + 1;
        let stamp = FIRST_STAMP + TimeDelta::seconds(index.cast_signed());
        let stamp = stamp.format("%Y-%m-%dT%H:%M:%SZ");
        let day = FIRST_DAY + Days::new(person % DAYS + 21 * (dose - 1));
        let snils = snils(FIRST_SNILS + person);
        // Writing into a String cannot fail.
        let _ = writeln!(
            lines,
            "{}\t{stamp}\t{snils}\t\\N\t\\N\t\\N\tsputnik\t{dose}\t{records_each}\t{day}\tdone",
            index + 1
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_person_has_a_number_of_its_own_and_so_many_records() {
        let server = Postgres::start().await.unwrap();
        let clinic = DistinctClinic::fill(&server, 50, 3).await.unwrap();
        assert_eq!(clinic.records, 150);
        let count = "SELECT count(*), count(DISTINCT snils), count(DISTINCT (snils, dose)), \
            count(oms) + count(passport) FROM mis.vaccination";
        let counted = server.psql(&clinic.database, count).await.unwrap();
        assert_eq!(counted.trim(), "150|50|150|0");
    }
}

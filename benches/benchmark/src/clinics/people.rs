//! Invented people and their records, the same in every run: a vaccination's two doses and a test
//! for each person.

use std::fmt::Write;
use std::ops::Range;

use az::SaturatingAs as _;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use hotpath::numbers::{oms, snils};

/// SNILS numbers begin here: far above 001-001-998, up to which they carry no check digits.
pub(crate) const FIRST_SNILS: u64 = 100_000_000;
/// OMS numbers (without their last digit) begin here.
const FIRST_OMS: u64 = 770_188_500_000_000;
/// Every so many-th person is a foreign citizen, with a passport and nothing else.
const FOREIGN_EVERY: u64 = 50;
/// Number of records that bear the same stamp, so that pages end amid equal stamps.
const RECORDS_A_STAMP: u64 = 6;
/// Seconds between two stamps.
const STAMP_SECONDS: u64 = 60;
/// 2021-07-01T06:00:00Z.
pub(crate) const FIRST_STAMP: DateTime<Utc> =
    DateTime::from_timestamp(1_625_119_200, 0).expect("a moment in range");
/// 2021-02-01.
pub(crate) const FIRST_DAY: NaiveDate =
    NaiveDate::from_ymd_opt(2021, 2, 1).expect("February has a first day");
/// First doses spread over so many days.
const DAYS: u64 = 120;

/// Records that are put together in memory while a clinic is filled.
pub(crate) const FILL_RECORDS: u64 = 50_000;

/// Some records as lines of PostgreSQL's COPY text format.
#[derive(Default)]
pub(crate) struct CopyLines {
    /// Lines of the table of vaccinations.
    pub vaccinations: String,
    /// Lines of the table of tests.
    pub tests: String,
}

/// The first `records` records in pieces of so many.
pub(crate) fn pieces(records: u64, piece_records: u64) -> impl Iterator<Item = CopyLines> {
    let starts = (0..records).step_by(piece_records.saturating_as());
    starts.map(move |start| lines(start..records.min(start + piece_records)))
}

/// The records of these indices.
pub(crate) fn lines(indices: Range<u64>) -> CopyLines {
    let mut lines = CopyLines::default();
    indices.for_each(|index| append_record(index, &mut lines));
    lines
}

/// Appends record `index` as a line to the table it belongs to.
fn append_record(index: u64, lines: &mut CopyLines) {
    let person = index / 3;
    let which = index % 3;
    let stamp =
        FIRST_STAMP + TimeDelta::seconds((index / RECORDS_A_STAMP * STAMP_SECONDS).cast_signed());
    let day = |after: u64| FIRST_DAY + Days::new(person % DAYS + after);
    let id = index + 1;
    let stamp = stamp.format("%Y-%m-%dT%H:%M:%SZ");
    let out = if which == 2 {
        &mut lines.tests
    } else {
        &mut lines.vaccinations
    };
    // Writing into a String cannot fail.
    let _ = write!(out, "{id}\t{stamp}\t");
    append_identifiers(person, out);
    let _ = if which == 2 {
        let result = if person.is_multiple_of(7) {
            "pos"
        } else {
            "neg"
        };
        writeln!(out, "\tpcr\t{result}\t{}\tdone", day(60))
    } else {
        let vaccine = ["sputnik", "epivac", "covivac"][usize::try_from(person % 3).unwrap_or(0)];
        writeln!(
            out,
            "\t{vaccine}\t{}\t2\t{}\tdone",
            which + 1,
            day(which * 21)
        )
    };
}

/// SNILS, OMS number, foreign passport and its country; `\N` is COPY's NULL.
fn append_identifiers(person: u64, out: &mut String) {
    let _ = if person.is_multiple_of(FOREIGN_EVERY) {
        write!(
            out,
            "\\N\t\\N\t{:02}FR{:05}\tFRA",
            10 + person / 100_000 % 90,
            person % 100_000
        )
    } else {
        write!(
            out,
            "{}\t{}\t\\N\t\\N",
            snils(FIRST_SNILS + person),
            oms(FIRST_OMS + person)
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_two_doses_and_a_test_under_the_same_numbers() {
        let CopyLines {
            vaccinations,
            tests,
        } = lines(3..6);
        let [first, second] = vaccinations.lines().collect::<Vec<_>>()[..] else {
            panic!("{vaccinations}")
        };
        let fields = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let first = fields(first);
        let second = fields(second);
        let test = fields(tests.trim_end());
        assert_eq!(first[2..6], second[2..6]);
        assert_eq!(first[2..6], test[2..6]);
        assert_eq!(first[6..], ["epivac", "1", "2", "2021-02-02", "done"]);
        assert_eq!(second[6..], ["epivac", "2", "2", "2021-02-23", "done"]);
        assert_eq!(test[6..], ["pcr", "neg", "2021-04-03", "done"]);
        assert_eq!((&*first[0], &*first[1]), ("4", "2021-07-01T06:00:00Z"));
    }
}

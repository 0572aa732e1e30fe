//! The part `passes`: look-up of a person among millions beside a bare read by key, and the look
//! for passes that have ended.

mod asking;
mod city;
mod looks;

use testbed::postgres::Postgres;

use crate::error::Error;
use crate::print;
use crate::results::samples::{grouped, short};
use crate::results::{PartResult, Samples, TextTable, single};
use crate::session::BenchSession;
use asking::Asked;
use city::City;
use looks::Looks;

/// Settings of the registry's server: a quarter of the machine's memory would be usual, this is
/// less. `fsync` stays on.
const POSTGRES: [(&str, &str); 3] = [
    ("shared_buffers", "4GB"),
    ("max_wal_size", "8GB"),
    ("maintenance_work_mem", "1GB"),
];

/// Measures at the size that was asked for.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    let subjects = session.options.subjects;
    let server = Postgres::start_with(&POSTGRES).await?;
    print::progress(&format!(
        "a registry of {subjects} persons and twice as many facts"
    ));
    let city = City::make(&server, subjects, session.folder).await?;
    print::progress("asking after persons");
    let asked = asking::measure(&city, &*session.clock).await?;
    print::progress("looking for passes that have ended");
    let looks = looks::measure(&city, &server, &*session.clock).await?;
    city.close().await;
    note(subjects, &asked, &looks, result);
    Ok(())
}

fn note(subjects: u64, asked: &Asked, looks: &Looks, result: &mut PartResult) {
    let middle = asked.middle_ratio();
    let slow = asked.slow_ratio();
    result.single.push(single::ASKED_SUBJECTS, subjects as f64);
    result.single.push(single::ASKED_P50, middle.median());
    result.single.push(single::ASKED_P99, slow.median());
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let of = |samples: &Samples| samples.to_string();
    result.table = TextTable {
        head: vec![
            String::new(),
            format!("{} persons", grouped(&subjects.to_string())),
        ],
        rows: vec![
            row("read by key, half within, µs", of(&asked.key.middle)),
            row("eligibility, half within, µs", of(&asked.person.middle)),
            row("**eligibility / read by key, half**", of(&middle)),
            row("read by key, 99 of 100 within, µs", of(&asked.key.slow)),
            row("eligibility, 99 of 100 within, µs", of(&asked.person.slow)),
            row("**eligibility / read by key, 99 of 100**", of(&slow)),
            row("windows with passes", grouped(&looks.windows.to_string())),
            row("look at everything, s", short(looks.everything)),
            row(
                "look at 100 persons whose facts have changed, s",
                short(looks.changed),
            ),
            row("look where nothing has changed, s", short(looks.nothing)),
        ],
    };
}

//! Limit of the gateway's arithmetic: rows of a clinic to sealed batches, in memory and on one
//! thread.

use std::hint::black_box;
use std::time::Duration;

use chrono::NaiveDate;
use clock::Clock;
use contract::{Event, PrivateKey, Sealer};
use pseudonym::KeyRing;

use crate::clinics::keys::{ClinicKeys, clinic_record};
use crate::clinics::people;
use crate::error::Error;

/// Records made, and then worked on, at once.
const PAGE_RECORDS: u64 = 6000;
/// Events in a batch: about what the gateway puts into one of 64 KiB.
const BATCH_EVENTS: usize = 400;
/// A day after all that the invented records name.
const TODAY: NaiveDate = NaiveDate::from_ymd_opt(2022, 1, 1).expect("January has a first day");

/// Pseudonymises, encodes, compresses and encrypts so many records. Returns the time that took,
/// without making them.
pub(crate) fn seal_all(records: u64, clock: &dyn Clock) -> Result<Duration, Error> {
    let clinic = ClinicKeys::new(&KeyRing::generate())?;
    let mut sealer = Sealer::new(&PrivateKey::generate().public());
    let mut took = Duration::ZERO;
    for piece in people::pieces(records, PAGE_RECORDS) {
        // As the gateway reads them, one feed after the other: a batch holds one kind of fact.
        for lines in [piece.vaccinations, piece.tests] {
            let page: Option<Vec<_>> = lines.lines().map(clinic_record).collect();
            let page =
                page.ok_or_else(|| Error::WrongResult("a line cannot be read back".into()))?;
            let began = clock.elapsed();
            let events: Vec<Event> = page
                .into_iter()
                .map(|record| clinic.event(record, TODAY))
                .collect::<Result<_, _>>()?;
            for batch in events.chunks(BATCH_EVENTS) {
                let sealed = sealer.seal(batch);
                black_box(sealed.map_err(|error| Error::WrongResult(error.to_string()))?);
            }
            took += clock.elapsed().saturating_sub(began);
        }
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use clock::SystemClock;

    use super::*;

    #[test]
    fn every_record_is_worked_on() {
        assert!(seal_all(10, &SystemClock::default()).unwrap() > Duration::ZERO);
        assert_eq!(
            seal_all(0, &SystemClock::default()).unwrap(),
            Duration::ZERO
        );
    }
}

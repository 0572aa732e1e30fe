//! Instants of a sample: an example of what a date becomes, and a doubt where the time zone may be
//! another one.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, Timelike, Utc};
use chrono_tz::Tz;
use connector_kit::{CheckReport, Feed, SampledInstant};

/// Fewest instants of one date from which anything is concluded.
const FEWEST: usize = 5;

/// Share of the instants, in percent, that have to be at one time of day to look like midnights.
const MIDNIGHTS_PERCENT: usize = 80;

/// Instants of one feed, by the name of the date.
pub(super) struct Instants {
    zone: Tz,
    dates: BTreeMap<&'static str, Vec<DateTime<Utc>>>,
}

impl Instants {
    pub(super) fn new(zone: Tz) -> Self {
        Self {
            zone,
            dates: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, instant: SampledInstant) {
        self.dates.entry(instant.name).or_default().push(instant.at);
    }

    /// Shows an example of each date, and doubts a zone in which what look like midnights are none.
    pub(super) fn tell(&self, report: &mut CheckReport, feed: Feed) {
        for (name, instants) in &self.dates {
            let Some(example) = self.example(instants) else {
                continue;
            };
            let zone = self.zone.name();
            report.good(format!(
                "{feed}: {name} is an instant: for example {} becomes {} ({} in {zone})",
                example.format("%Y-%m-%dT%H:%M:%SZ"),
                self.local(example).date_naive(),
                self.local(example).format("%H:%M"),
            ));
            if let Some(usual) = self.usual_time(instants) {
                report.warn(
                    format!(
                        "{feed}: most {name} are at {} by the clock of {zone}: if they stand for \
                         dates, these are midnights of another time zone, and dates may be told \
                         a day early or late",
                        usual.format("%H:%M")
                    ),
                    "compare the example with the clinic's screen; if the date is another one, \
                     correct time_zone",
                );
            }
        }
    }

    fn local(&self, at: DateTime<Utc>) -> DateTime<Tz> {
        at.with_timezone(&self.zone)
    }

    /// An instant that shows most: one with another date in the zone than in UTC, if there is one.
    fn example(&self, instants: &[DateTime<Utc>]) -> Option<DateTime<Utc>> {
        let differs = |at: &&DateTime<Utc>| self.local(**at).date_naive() != at.date_naive();
        instants.iter().find(differs).or(instants.first()).copied()
    }

    /// The time of day that most instants have, where it is not midnight. Summer time makes two of
    /// it, an hour apart.
    fn usual_time(&self, instants: &[DateTime<Utc>]) -> Option<NaiveTime> {
        let mut times: BTreeMap<u32, usize> = BTreeMap::new();
        for at in instants {
            let time = self.local(*at).time();
            if time.second() == 0 {
                *times.entry(time.num_seconds_from_midnight()).or_default() += 1;
            }
        }
        let (usual, most) = times.iter().max_by_key(|(_, count)| **count)?;
        let beside = [(usual + 3600) % 86_400, (usual + 82_800) % 86_400];
        let summer = beside
            .iter()
            .filter_map(|time| times.get(time))
            .max()
            .unwrap_or(&0);
        let midnights = times.get(&0).unwrap_or(&0);
        let looks_like_midnights = instants.len() >= FEWEST
            && (most + summer) * 100 >= instants.len() * MIDNIGHTS_PERCENT
            && midnights * 10 < instants.len();
        NaiveTime::from_num_seconds_from_midnight_opt(*usual, 0).filter(|_| looks_like_midnights)
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::Level;

    use super::*;

    fn told(zone: Tz, instants: &[&str]) -> Vec<(Level, String)> {
        let mut all = Instants::new(zone);
        for at in instants {
            let at = at.parse().expect("an instant");
            let name = "occurred_on";
            all.add(SampledInstant { name, at });
        }
        let mut report = CheckReport::default();
        all.tell(&mut report, Feed::Vaccinations);
        let findings = report.findings.into_iter();
        findings.map(|found| (found.level, found.what)).collect()
    }

    const MIDNIGHTS: [&str; 6] = [
        "2021-07-01T14:00:00Z",
        "2021-07-02T14:00:00Z",
        "2021-07-03T14:00:00Z",
        "2021-07-04T14:00:00Z",
        "2021-07-05T14:00:00Z",
        "2021-07-06T09:30:00Z",
    ];

    #[test]
    fn an_example_shows_the_date_that_the_zone_makes() {
        let right = told(Tz::Asia__Vladivostok, &MIDNIGHTS);
        assert_eq!(
            right,
            [(
                Level::Good,
                "vaccinations: occurred_on is an instant: for example 2021-07-01T14:00:00Z \
                 becomes 2021-07-02 (00:00 in Asia/Vladivostok)"
                    .to_owned()
            )]
        );
        assert!(told(Tz::UTC, &[]).is_empty());
    }

    #[test]
    fn midnights_of_another_zone_are_doubted() {
        for (zone, time) in [(Tz::Europe__Moscow, "17:00"), (Tz::UTC, "14:00")] {
            let wrong = told(zone, &MIDNIGHTS);
            assert_eq!(wrong.len(), 2, "{wrong:?}");
            let (level, what) = &wrong[1];
            assert!(*level == Level::Warning && what.contains(time), "{what}");
        }
        let few = told(Tz::UTC, &MIDNIGHTS[..4]);
        assert_eq!(few.len(), 1, "{few:?}");
    }

    #[test]
    fn midnights_of_summer_and_winter_time_are_one() {
        let berlin = [
            "2021-03-26T23:00:00Z",
            "2021-03-27T23:00:00Z",
            "2021-03-28T22:00:00Z",
            "2021-03-29T22:00:00Z",
            "2021-10-31T23:00:00Z",
        ];
        assert_eq!(told(Tz::Europe__Berlin, &berlin).len(), 1);
        assert_eq!(told(Tz::Europe__Moscow, &berlin).len(), 2);
        assert_eq!(told(Tz::UTC, &berlin).len(), 2);
    }

    #[test]
    fn times_of_day_as_people_work_are_not_doubted() {
        let working = [
            "2021-07-01T06:10:00Z",
            "2021-07-01T07:20:00Z",
            "2021-07-02T08:30:00Z",
            "2021-07-02T09:40:00Z",
            "2021-07-05T10:50:00Z",
        ];
        assert_eq!(told(Tz::Europe__Moscow, &working).len(), 1);
    }
}

//! Reading of the rules: the file's tables become the model, or an error that says what to change.

use std::path::Path;

use chrono::NaiveDate;
use chrono_tz::Tz;
use contract::{TestCode, Vaccine};
use settings::SettingsError;
use toml::Spanned;

use super::file::{
    BoosterTable, IntervalTable, PeriodTable, PositiveTestTable, RecoveredAndDoseTable,
    RecoveryTable, RulesFile, SeriesTable, TestTable, ValidTable,
};
use super::lists;
use super::model::{
    Booster, Gap, Period, PositiveTest, RecoveredAndDose, Recovery, Rules, SecondDose, Series,
    TestGroup, Validity,
};
use super::position::FilePosition;

/// Most days that any number of days in the rules may say: about a hundred years.
pub const MAX_DAYS: u32 = 36_500;

/// Most months that a validity may say: a hundred years.
pub const MAX_MONTHS: u32 = 1_200;

/// Most days of a month.
const LONGEST_MONTH_DAYS: u32 = 31;

impl Rules {
    /// Reads rules from TOML text; `path` is only named in errors.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`], with the position and what to change.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let file: RulesFile = settings::parse(text, path)?;
        let position = FilePosition { text, path };
        let zone = file.zone.get_ref().parse::<Tz>().map_err(|_| {
            let what = format!("no time zone is called `{}`", file.zone.get_ref());
            let help = "write a name of the IANA list, such as \"Europe/Moscow\"";
            position.mistake(&file.zone.span(), what, help)
        })?;
        if file.periods.is_empty() {
            let help = "add a section [[period]] with the date from which it is in force";
            return Err(settings::mistake(path, "there is no period", help));
        }
        let mut periods: Vec<Period> = Vec::with_capacity(file.periods.len());
        for table in &file.periods {
            let period = read_period(&position, table)?;
            if let Some(before) = periods.last().filter(|before| before.from >= period.from) {
                let what = format!("the period before this one begins on {}", before.from);
                let help = "give every period a later date than the one before";
                return Err(position.mistake(&table.from.span(), what, help));
            }
            periods.push(period);
        }
        Ok(Self {
            version: file.version,
            zone,
            periods,
        })
    }
}

fn read_period(position: &FilePosition<'_>, table: &PeriodTable) -> Result<Period, SettingsError> {
    let accepted_vaccines = lists::vaccines(position, &table.accepted_vaccines)?;
    let mut period = Period {
        from: read_date(position, &table.from)?,
        accepted_vaccines,
        same_dose_within_days: read_days(position, &table.same_dose_within_days, 0)?,
        series: Vec::new(),
        boosters: Vec::new(),
        recovered_and_dose: None,
        recovery: None,
        tests: Vec::new(),
        positive_test: None,
    };
    for series in &table.series {
        period.series.push(read_series(position, series, &period)?);
    }
    for booster in &table.boosters {
        let booster = read_booster(position, booster, &period)?;
        period.boosters.push(booster);
    }
    if let Some(table) = &table.recovered_and_dose {
        period.recovered_and_dose = Some(read_recovered_and_dose(position, table, &period)?);
    }
    if let Some(table) = &table.recovery {
        period.recovery = Some(read_recovery(position, table)?);
    }
    for test in &table.tests {
        let before: Vec<TestCode> = period
            .tests
            .iter()
            .flat_map(|group| group.codes.iter().copied())
            .collect();
        period.tests.push(read_tests(position, test, &before)?);
    }
    if let Some(table) = &table.positive_test {
        period.positive_test = Some(read_positive_test(position, table)?);
    }
    Ok(period)
}

fn read_series(
    position: &FilePosition<'_>,
    table: &SeriesTable,
    period: &Period,
) -> Result<Series, SettingsError> {
    let accepted = &period.accepted_vaccines;
    let second = match &table.second {
        Some(second) => Some(SecondDose {
            vaccines: lists::accepted(position, second, accepted)?,
            gap: read_gap(
                position,
                table.interval_days.as_ref(),
                period.distinct_doses_days(),
            )?,
            proves_first: table
                .second_dose_proves_first
                .as_ref()
                .is_some_and(|proves| *proves.get_ref()),
        }),
        None => {
            let interval = table.interval_days.as_ref().map(Spanned::span);
            let proves = table.second_dose_proves_first.as_ref().map(Spanned::span);
            if let Some(at) = interval.or(proves) {
                let what = "the series has no second dose that this could be about";
                let help = "name the vaccines of the second dose (second = [...]), or remove this";
                return Err(position.mistake(&at, what, help));
            }
            None
        }
    };
    let validity = read_validity(position, &table.valid)?;
    Ok(Series {
        first: lists::accepted(position, &table.first, accepted)?,
        second,
        waiting_days: read_waiting(position, &table.waiting_days, validity)?,
        validity,
    })
}

fn read_booster(
    position: &FilePosition<'_>,
    table: &BoosterTable,
    period: &Period,
) -> Result<Booster, SettingsError> {
    let validity = read_validity(position, &table.valid)?;
    let min_days_after = read_days(position, &table.min_days_after, 1)?;
    Ok(Booster {
        vaccines: read_or_all_accepted(position, table.vaccines.as_ref(), period)?,
        min_days_after: min_days_after.max(period.distinct_doses_days()),
        waiting_days: read_waiting(position, &table.waiting_days, validity)?,
        validity,
    })
}

fn read_recovered_and_dose(
    position: &FilePosition<'_>,
    table: &RecoveredAndDoseTable,
    period: &Period,
) -> Result<RecoveredAndDose, SettingsError> {
    let validity = read_validity(position, &table.valid)?;
    Ok(RecoveredAndDose {
        vaccines: read_or_all_accepted(position, table.vaccines.as_ref(), period)?,
        gap: read_gap(position, table.interval_days.as_ref(), 0)?,
        dose_may_come_first: table.dose_may_come_first,
        waiting_days: read_waiting(position, &table.waiting_days, validity)?,
        validity,
    })
}

fn read_or_all_accepted(
    position: &FilePosition<'_>,
    listed: Option<&Spanned<Vec<Spanned<String>>>>,
    period: &Period,
) -> Result<Vec<Vaccine>, SettingsError> {
    match listed {
        Some(listed) => lists::accepted(position, listed, &period.accepted_vaccines),
        None => Ok(period.accepted_vaccines.clone()),
    }
}

fn read_recovery(
    position: &FilePosition<'_>,
    table: &RecoveryTable,
) -> Result<Recovery, SettingsError> {
    let validity = read_validity(position, &table.valid)?;
    Ok(Recovery {
        counts_from: table.counts_from,
        waiting_days: read_waiting(position, &table.waiting_days, validity)?,
        validity,
    })
}

fn read_tests(
    position: &FilePosition<'_>,
    table: &TestTable,
    before: &[TestCode],
) -> Result<TestGroup, SettingsError> {
    Ok(TestGroup {
        codes: lists::tests(position, &table.codes, before)?,
        calendar_days: read_days(position, &table.calendar_days, 1)?,
    })
}

fn read_positive_test(
    position: &FilePosition<'_>,
    table: &Spanned<PositiveTestTable>,
) -> Result<PositiveTest, SettingsError> {
    let written = table.get_ref();
    if written.suspends.get_ref().is_empty() {
        let help = "name what it suspends, or remove the section";
        let at = written.suspends.span();
        return Err(position.mistake(&at, "a positive test suspends nothing", help));
    }
    if written.days.is_none() && !written.recovery_ends {
        let what = "a positive test would suspend for ever";
        let help = "write days = NUMBER, recovery_ends = true, or both";
        return Err(position.mistake(&table.span(), what, help));
    }
    let days = written.days.as_ref();
    Ok(PositiveTest {
        suspends: written.suspends.get_ref().clone(),
        days: days.map(|days| read_days(position, days, 1)).transpose()?,
        recovery_ends: written.recovery_ends,
        antigen: written.antigen,
    })
}

fn read_date(
    position: &FilePosition<'_>,
    date: &Spanned<String>,
) -> Result<NaiveDate, SettingsError> {
    NaiveDate::parse_from_str(date.get_ref(), "%Y-%m-%d").map_err(|_| {
        let what = format!("`{}` is not a date", date.get_ref());
        position.mistake(&date.span(), what, "write it as \"2021-06-28\"")
    })
}

fn read_days(
    position: &FilePosition<'_>,
    days: &Spanned<u32>,
    least: u32,
) -> Result<u32, SettingsError> {
    read_number(position, days, least, MAX_DAYS)
}

fn read_number(
    position: &FilePosition<'_>,
    number: &Spanned<u32>,
    least: u32,
    most: u32,
) -> Result<u32, SettingsError> {
    let value = *number.get_ref();
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let help = format!("write a number from {least} to {most}");
    Err(position.mistake(&number.span(), format!("{value} is out of range"), help))
}

/// Reads an interval; `floor` is the least that it says, whatever is written.
fn read_gap(
    position: &FilePosition<'_>,
    table: Option<&Spanned<IntervalTable>>,
    floor: u32,
) -> Result<Gap, SettingsError> {
    let Some(table) = table else {
        return Ok(Gap {
            min: floor,
            max: None,
        });
    };
    let written = table.get_ref();
    let min = written.min.as_ref();
    let max = written.max.as_ref();
    let min = min.map(|min| read_days(position, min, 0)).transpose()?;
    let max = max.map(|max| read_days(position, max, 0)).transpose()?;
    let min = min.unwrap_or(0).max(floor);
    if max.is_some_and(|max| max < min) {
        let what = format!("no interval is at least {min} days and at most max");
        let help = "raise max, or lower min and same_dose_within_days";
        return Err(position.mistake(&table.span(), what, help));
    }
    Ok(Gap { min, max })
}

fn read_validity(
    position: &FilePosition<'_>,
    table: &Spanned<ValidTable>,
) -> Result<Validity, SettingsError> {
    let written = table.get_ref();
    match (&written.months, &written.days, written.no_end) {
        (Some(months), None, None) => {
            read_number(position, months, 1, MAX_MONTHS).map(Validity::Months)
        }
        (None, Some(days), None) => read_days(position, days, 1).map(Validity::Days),
        (None, None, Some(true)) => Ok(Validity::NoEnd),
        _ => Err(position.mistake(
            &table.span(),
            "this does not say how long it is valid",
            "write one of { months = 6 }, { days = 180 } and { no_end = true }",
        )),
    }
}

/// Reads a waiting time that leaves something of the validity.
fn read_waiting(
    position: &FilePosition<'_>,
    waiting: &Spanned<u32>,
    validity: Validity,
) -> Result<u32, SettingsError> {
    let days = read_days(position, waiting, 0)?;
    let longest = match validity {
        Validity::Months(months) => months * LONGEST_MONTH_DAYS,
        Validity::Days(days) => days,
        Validity::NoEnd => MAX_DAYS,
    };
    if days > longest {
        let what = "it would end before the waiting time is over";
        let help = "shorten waiting_days, or lengthen valid";
        return Err(position.mistake(&waiting.span(), what, help));
    }
    Ok(days)
}

//! Table of shares: how many people of the city have an initial, a day and a month of birth.
//!
//! The shares of initials are estimates for Moscow, made by hand for version 1: for each frequent
//! given name and for each initial letter of family names a share was set down from general
//! knowledge of published lists of frequent Russian names, names of other scripts and languages
//! were added, the letters were mapped to Latin ones as `initial.rs` does, and the result was
//! scaled to 100 000. Family names with N and S were then moved by 20 in 100 000, so that nobody
//! discloses a combination that few others disclose (`choose.rs`). No count of the city's
//! inhabitants stands behind it. Expect a frequent letter to be wrong by a quarter, and a rare one
//! (below 1 %) by a factor of two. A table from counts replaces this one under a higher version.
//!
//! Days and months are counted from the Gregorian cycle of 400 years; that some months see a few
//! per cent more births than others is left out.

use super::Initial;

/// Version of the table of shares; rises whenever a share changes.
pub const TABLE_VERSION: u32 = 1;

/// Number of people that the shares of initials are counted in.
pub(super) const PEOPLE: u64 = 100_000;

/// Number of days in the Gregorian cycle of 400 years.
pub(super) const DAYS_OF_CYCLE: u64 = 146_097;

/// Number of leap years in the Gregorian cycle of 400 years.
const LEAP_YEARS_OF_CYCLE: u64 = 97;

/// Number of years in the Gregorian cycle.
const YEARS_OF_CYCLE: u64 = 400;

/// Number of people in 100 000 whose given name has the initial, from A to Z.
const GIVEN: [u64; 26] = [
    18_090, // A: Александр, Анна, Алексей, Андрей, Анастасия
    830,    // B: Борис, Богдан
    70,     // C: Чингиз, Charles
    5_810,  // D: Дмитрий, Дарья, Денис
    9_420,  // E: Елена, Екатерина, Евгений, Эльвира
    530,    // F: Фёдор, Фатима
    2_790,  // G: Галина, Георгий, Григорий
    80,     // H: Hans, Һ
    10_180, // I: Ирина, Иван, Юлия, Юрий, Яна
    90,     // J: John, Ј
    3_690,  // K: Ксения, Кирилл, Христина
    3_770,  // L: Людмила, Лариса, Лев
    8_290,  // M: Мария, Михаил, Марина, Максим
    6_630,  // N: Наталья, Николай, Никита
    4_370,  // O: Ольга, Олег, Оксана
    2_110,  // P: Павел, Полина, Пётр
    10,     // Q
    1_960,  // R: Роман, Руслан, Раиса
    7_160,  // S: Сергей, Светлана, Шамиль
    4_300,  // T: Татьяна, Тамара, Тимур
    230,    // U: Ульяна, Умар
    8_670,  // V: Владимир, Виктор, Валентина
    20,     // W
    20,     // X
    50,     // Y
    830,    // Z: Зинаида, Захар, Жанна
];

/// Number of people in 100 000 whose family name has the initial, from A to Z.
const FAMILY: [u64; 26] = [
    5_170,  // A
    7_900,  // B
    2_010,  // C: Ч
    4_360,  // D
    2_270,  // E: Е, Э
    2_180,  // F
    6_080,  // G
    110,    // H
    4_170,  // I: И, Ю, Я
    90,     // J
    13_440, // K: К, Х
    4_170,  // L
    7_440,  // M
    3_290,  // N
    1_630,  // O
    6_350,  // P
    10,     // Q
    3_360,  // R
    12_230, // S: С, Ш, Щ
    4_360,  // T: Т, Ц
    910,    // U
    4_270,  // V
    50,     // W
    20,     // X
    50,     // Y
    4_080,  // Z: З, Ж
];

/// Number of people in 100 000 whose given name has the initial.
pub(super) fn people_with_given(initial: Initial) -> u64 {
    GIVEN[initial.index()]
}

/// Number of people in 100 000 whose family name has the initial.
pub(super) fn people_with_family(initial: Initial) -> u64 {
    FAMILY[initial.index()]
}

/// Number of days of the cycle that fall on a day of a month, each where known.
pub(super) fn days_of_cycle(day: Option<u8>, month: Option<u8>) -> u64 {
    let days_on = |month: u8| match day {
        Some(day) => times_of_date(day, month),
        None => (1..=31).map(|day| times_of_date(day, month)).sum(),
    };
    match month {
        Some(month) => days_on(month),
        None if day.is_none() => DAYS_OF_CYCLE,
        None => (1..=12).map(days_on).sum(),
    }
}

/// Number of times that a date occurs in the cycle; 0 for dates like 31 April.
pub(super) fn times_of_date(day: u8, month: u8) -> u64 {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    if day == 0 || day > longest {
        0
    } else if month == 2 && day == 29 {
        LEAP_YEARS_OF_CYCLE
    } else {
        YEARS_OF_CYCLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_positive_and_the_population_sums_to_the_whole() {
        assert_eq!(GIVEN.iter().sum::<u64>(), PEOPLE);
        assert_eq!(FAMILY.iter().sum::<u64>(), PEOPLE);
        assert!(GIVEN.iter().chain(&FAMILY).all(|people| *people > 0));
        assert_eq!(days_of_cycle(None, None), DAYS_OF_CYCLE);
        let by_day: u64 = (1..=31).map(|day| days_of_cycle(Some(day), None)).sum();
        let by_month: u64 = (1..=12).map(|month| days_of_cycle(None, Some(month))).sum();
        assert_eq!(by_day, DAYS_OF_CYCLE);
        assert_eq!(by_month, DAYS_OF_CYCLE);
    }

    #[test]
    fn the_days_of_the_cycle_are_those_of_the_calendar() {
        let mut day = chrono::NaiveDate::from_ymd_opt(1600, 1, 1);
        let mut counted = std::collections::BTreeMap::new();
        for _ in 0..DAYS_OF_CYCLE {
            let date = day.expect("in range");
            let key = chrono::Datelike::month(&date) * 100 + chrono::Datelike::day(&date);
            *counted.entry(key).or_insert(0) += 1;
            day = date.succ_opt();
        }
        for month in 0..=13_u8 {
            for day in 0..=32_u8 {
                let key = u32::from(month) * 100 + u32::from(day);
                let expected = counted.get(&key).copied().unwrap_or(0);
                assert_eq!(times_of_date(day, month), expected, "{day}.{month}");
            }
        }
    }
}

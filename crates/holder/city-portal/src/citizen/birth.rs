//! Date of birth as people write it: `14.07.1990`, `14/07/1990` or `1990-07-14`; `00` stands for a
//! day or month that the document does not state.

use chrono::{Datelike, NaiveDate};
use pass::holder::BirthDate;

use super::TypingFault;

/// Most years that a date of birth may lie back.
pub(super) const MOST_YEARS: i32 = 130;

/// Reads a date of birth. `today` is the day in the city.
pub(super) fn read(text: &str, today: NaiveDate) -> Result<BirthDate, TypingFault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TypingFault::BirthMissing);
    }
    let parts: Vec<&str> = text.split(['.', '-', '/', ' ']).collect();
    let [first, second, third] = parts[..] else {
        return Err(TypingFault::BirthForm);
    };
    let month = number(second, 2)?;
    if first.len() == 4 {
        check(number(first, 4)?, month, number(third, 2)?, today)
    } else {
        check(number(third, 4)?, month, number(first, 2)?, today)
    }
}

fn number(text: &str, most_digits: usize) -> Result<u32, TypingFault> {
    let is_number = !text.is_empty()
        && text.len() <= most_digits
        && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole_year = most_digits == 2 || text.len() == most_digits;
    if !is_number || !is_whole_year {
        return Err(TypingFault::BirthForm);
    }
    text.parse().map_err(|_| TypingFault::BirthForm)
}

fn check(year: u32, month: u32, day: u32, today: NaiveDate) -> Result<BirthDate, TypingFault> {
    let year = i32::try_from(year).map_err(|_| TypingFault::BirthForm)?;
    let stated = |part: u32| match part {
        0 => Ok(None),
        part => u8::try_from(part).map(Some),
    };
    let known_day = stated(day).map_err(|_| TypingFault::BirthNoSuchDay)?;
    let known_month = stated(month).map_err(|_| TypingFault::BirthNoSuchDay)?;
    let birth = BirthDate::new(known_day, known_month).map_err(|_| TypingFault::BirthNoSuchDay)?;
    // Of a date that is not stated whole, the first day that it may be.
    let first = NaiveDate::from_ymd_opt(year, month.max(1), day.max(1));
    let first = first.ok_or(TypingFault::BirthNoSuchDay)?;
    if first > today {
        return Err(TypingFault::BirthFuture);
    }
    if year < today.year() - MOST_YEARS {
        return Err(TypingFault::BirthLongAgo);
    }
    Ok(birth)
}

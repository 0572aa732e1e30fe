//! Change stamps: looking back from one, and keeping one from lying in the future, in the
//! database's own text form.

use az::SaturatingAs;
use chrono::{
    DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone,
    Utc,
};
use chrono_tz::Tz;

use crate::date::written;
use crate::native;
use crate::value::{Cell, Key, Kind, Value, digest};

/// Meaning of a stamp.
pub(crate) enum Moment {
    /// A point on the world's time line, with the offset it was written with.
    Instant(DateTime<FixedOffset>),
    /// The clinic's wall clock.
    Local(NaiveDateTime),
    /// The clinic's calendar.
    Day(NaiveDate),
}

impl Moment {
    /// Date and time as written; of a day its beginning.
    pub(crate) fn clock(&self) -> NaiveDateTime {
        match self {
            Self::Instant(at) => at.naive_local(),
            Self::Local(at) => *at,
            Self::Day(day) => day.and_time(NaiveTime::MIN),
        }
    }

    /// The instant; of what has no zone as if it were UTC.
    pub(crate) fn as_utc(&self) -> DateTime<Utc> {
        match self {
            Self::Instant(at) => at.to_utc(),
            Self::Local(_) | Self::Day(_) => self.clock().and_utc(),
        }
    }
}

/// The lower bound for a run at `now` that looks back over `overlap_seconds` from `stamp`. None
/// where the stamp cannot be read: the run then begins at the very beginning.
pub(crate) fn earlier(
    stamp: &Key,
    overlap_seconds: u32,
    now: DateTime<Utc>,
    zone: Tz,
) -> Option<Key> {
    let overlap = TimeDelta::seconds(i64::from(overlap_seconds));
    let moment = match read(stamp)? {
        Moment::Instant(at) => Moment::Instant(at.checked_sub_signed(overlap)?),
        Moment::Local(at) => {
            let back = at.checked_sub_signed(overlap)?;
            Moment::Local(back.min(least_since(at, now, zone)))
        }
        // A bare date stands for the whole day, so at least one whole day is read again.
        Moment::Day(day) => Moment::Day(day.checked_sub_days(Days::new(u64::from(
            overlap_seconds.div_ceil(86_400).max(1),
        )))?),
    };
    write(&moment, stamp.kind, &stamp.value, false)
}

/// The least that the clinic's wall clock has shown from `at` up to `now`: less than `at` where
/// the clocks have gone back in between.
fn least_since(at: NaiveDateTime, now: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    /// Clocks change at a quarter of an hour of UTC.
    const QUARTER: i64 = 900;
    /// Quarters of a day and an hour: no clock goes back by more than a day.
    const QUARTERS: i64 = 100;
    let shown_first = zone
        .from_local_datetime(&at)
        .earliest()
        .map_or_else(|| zone.from_utc_datetime(&at).to_utc(), |at| at.to_utc());
    let first = shown_first.timestamp().div_euclid(QUARTER) + 1;
    (first..first + QUARTERS)
        .filter_map(|quarter| DateTime::from_timestamp(quarter * QUARTER, 0))
        .take_while(|quarter| *quarter <= now)
        .map(|quarter| quarter.with_timezone(&zone).naive_local())
        .fold(at, NaiveDateTime::min)
}

/// The lower bound of text stamps that may be as late as those from `bound` on, whatever their
/// offsets and however day and time are parted: SQLite orders them as text.
pub(crate) fn widest(bound: &Key) -> Option<Key> {
    /// Twice the greatest distance of two offsets.
    const TWO_DAYS: Days = Days::new(2);
    let moment = read(bound).filter(|_| bound.kind == Kind::Text)?;
    let day = moment.clock().date().checked_sub_days(TWO_DAYS)?;
    Some(Key {
        kind: Kind::Text,
        value: day.to_string().into_bytes(),
    })
}

/// The stamp on a scale of its own: microseconds since 1970 (of the clinic's wall clock, where that
/// is what is written), whole numbers themselves, and a digest of what is no point in time. None
/// where there is none.
pub(crate) fn scale(cell: Cell<'_>) -> Option<i64> {
    match cell.value {
        Value::Whole(number) => return Some(number),
        Value::Days(days) => return Some(native::day_micros(days)),
        Value::Micros(micros) => return Some(micros),
        Value::Null | Value::Bytes(_) => {}
    }
    let stamp = cell.key()?;
    if stamp.kind == Kind::Integer
        && let Ok(number) = String::from_utf8_lossy(&stamp.value).parse()
    {
        return Some(number);
    }
    Some(micros(&stamp).unwrap_or_else(|| (digest(&stamp.value) >> 2).saturating_as()))
}

/// True when one stamp certainly lies before another of the same kind.
pub(crate) fn is_before(stamp: &Key, other: &Key) -> bool {
    stamp.kind == other.kind
        && micros(stamp)
            .zip(micros(other))
            .is_some_and(|(one, other)| one < other)
}

/// True when one stamp lies before another of the same kind, whichever of its two hours a clock
/// showed that goes back.
pub(crate) fn is_before_in(stamp: &Key, other: &Key, zone: Tz) -> bool {
    let shown = |at: NaiveDateTime| zone.from_local_datetime(&at);
    match (read(stamp), read(other)) {
        (Some(Moment::Local(one)), Some(Moment::Local(other)))
            if let (Some(one), Some(other)) = (shown(one).latest(), shown(other).earliest()) =>
        {
            one < other
        }
        _ => is_before(stamp, other),
    }
}

/// Number that a cell is already, whose order is that of time; no text is made of it.
pub(crate) fn number_of(cell: Cell<'_>) -> Option<i64> {
    match cell.value {
        Value::Days(days) => Some(native::day_micros(days)),
        Value::Micros(micros) => Some(micros),
        Value::Whole(number) => Some(number),
        _ => None,
    }
}

fn micros(stamp: &Key) -> Option<i64> {
    Some(read(stamp)?.as_utc().timestamp_micros())
}

/// The stamp itself, or the present moment in the same form where the stamp lies in the future.
/// None where it cannot be read (`infinity`, text that is no date): such a stamp must not become a
/// cursor.
pub(crate) fn not_after(stamp: &Key, now: DateTime<Utc>, zone: Tz) -> Option<Key> {
    let local = now.with_timezone(&zone).naive_local();
    let moment = match read(stamp)? {
        Moment::Instant(at) if at > now => Moment::Instant(now.with_timezone(at.offset())),
        Moment::Local(at) if at > local => Moment::Local(local),
        Moment::Day(day) if day > local.date() => Moment::Day(local.date()),
        _ => return Some(stamp.clone()),
    };
    write(&moment, stamp.kind, &stamp.value, true)
}

/// The present moment as a key for a column of this kind; `like` shows how SQLite's text stamps are
/// written.
pub(crate) fn present(now: DateTime<Utc>, kind: Kind, like: &[u8], zone: Tz) -> Option<Key> {
    let local = now.with_timezone(&zone).naive_local();
    let shown = Key {
        kind,
        value: like.to_vec(),
    };
    let moment = match (kind, read(&shown)) {
        (Kind::TimestampTz | Kind::Integer, _) => Moment::Instant(now.fixed_offset()),
        (Kind::Text, Some(Moment::Instant(at))) => Moment::Instant(now.with_timezone(at.offset())),
        (Kind::Date, _) | (Kind::Text, Some(Moment::Day(_))) => Moment::Day(local.date()),
        _ => Moment::Local(local),
    };
    write(&moment, kind, like, true)
}

/// Reads a stamp; `None` where it is no point in time.
pub(crate) fn read(stamp: &Key) -> Option<Moment> {
    let text = std::str::from_utf8(&stamp.value).ok()?.trim();
    match stamp.kind {
        Kind::TimestampTz => Some(Moment::Instant(written(text)?.0.and_utc().fixed_offset())),
        Kind::Timestamp => Some(Moment::Local(written(text)?.0)),
        Kind::Date => Some(Moment::Day(day_only(text)?)),
        Kind::Integer => DateTime::from_timestamp(text.parse().ok()?, 0)
            .map(|at| Moment::Instant(at.fixed_offset())),
        Kind::Text => match (written(text)?, text.len()) {
            ((at, None), 10) => Some(Moment::Day(at.date())),
            ((at, None), _) => Some(Moment::Local(at)),
            ((at, Some(offset)), _) => offset
                .from_local_datetime(&at)
                .single()
                .map(Moment::Instant),
        },
        _ => None,
    }
}

fn day_only(text: &str) -> Option<NaiveDate> {
    (text.len() == 10)
        .then(|| written(text))
        .flatten()
        .map(|(at, _)| at.date())
}

/// Writes a moment as the column's text form. Bounds in SQLite's text (`whole` false) leave out
/// fraction and zone, so that they sort before every stamp of the same second.
fn write(moment: &Moment, kind: Kind, like: &[u8], whole: bool) -> Option<Key> {
    const NATIVE: &str = "%Y-%m-%d %H:%M:%S%.6f";
    let text = match (kind, moment) {
        (Kind::TimestampTz, Moment::Instant(at)) => at.to_utc().format(NATIVE).to_string(),
        (Kind::Timestamp, Moment::Local(at)) => at.format(NATIVE).to_string(),
        (Kind::Date, Moment::Day(day)) => day.to_string(),
        (Kind::Integer, Moment::Instant(at)) => at.timestamp().to_string(),
        (Kind::Text, Moment::Day(day)) => day.to_string(),
        (Kind::Text, Moment::Local(at)) => like_text(*at, like),
        (Kind::Text, Moment::Instant(at)) if whole => {
            let zone = if like.ends_with(b"Z") {
                "Z".to_owned()
            } else {
                at.offset().fix().to_string()
            };
            like_text(at.naive_local(), like) + &zone
        }
        (Kind::Text, Moment::Instant(at)) => like_text(at.naive_local(), like),
        _ => return None,
    };
    Some(Key {
        kind,
        value: text.into_bytes(),
    })
}

fn like_text(at: NaiveDateTime, like: &[u8]) -> String {
    let separator = if like.get(10) == Some(&b'T') {
        'T'
    } else {
        ' '
    };
    format!("{}{separator}{}", at.date(), at.format("%H:%M:%S"))
}

#[cfg(test)]
mod tests;

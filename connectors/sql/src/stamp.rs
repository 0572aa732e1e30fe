//! Change stamps: looking back from one, and keeping one from lying in the future, in the database's own text form.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::date::written;
use crate::value::{Key, Kind};

enum Moment {
    /// A point on the world's time line, with the offset it was written with.
    Instant(DateTime<FixedOffset>),
    /// The clinic's wall clock.
    Local(NaiveDateTime),
    /// The clinic's calendar.
    Day(NaiveDate),
}

/// The lower bound for a run that looks back over `overlap_seconds` from `stamp`, for a column of `target` kind.
/// None where the stamp cannot be read: the run then begins at the very beginning.
pub(crate) fn earlier(stamp: &Key, overlap_seconds: u32, target: Kind, zone: Tz) -> Option<Key> {
    let overlap = TimeDelta::seconds(i64::from(overlap_seconds));
    let moment = match read(stamp)? {
        Moment::Instant(at) => Moment::Instant(at.checked_sub_signed(overlap)?),
        Moment::Local(at) => Moment::Local(at.checked_sub_signed(overlap)?),
        // A bare date stands for the whole day, so at least one whole day is read again.
        Moment::Day(day) => {
            Moment::Day(day.checked_sub_days(Days::new(u64::from(overlap_seconds.div_ceil(86_400).max(1))))?)
        }
    };
    let kind = if target == Kind::Dynamic { stamp.kind } else { target };
    write(&convert(moment, stamp.kind, kind, zone), kind, &stamp.value, false)
}

/// The stamp itself, or the present moment in the same form where the stamp lies in the future. None where it cannot be
/// read (`infinity`, text that is no date): such a stamp must not become a cursor.
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

/// The present moment as a key for a column of this kind; `like` shows how SQLite's text stamps are written.
pub(crate) fn present(now: DateTime<Utc>, kind: Kind, like: &[u8], zone: Tz) -> Option<Key> {
    let instant = Moment::Instant(now.fixed_offset());
    write(&convert(instant, Kind::TimestampTz, kind, zone), kind, like, true)
}

/// True for stamps that are wall-clock time: an hour that comes twice a year can hide rows.
pub(crate) fn is_local(stamp: &Key) -> bool {
    matches!(read(stamp), Some(Moment::Local(_)))
}

fn read(stamp: &Key) -> Option<Moment> {
    let text = std::str::from_utf8(&stamp.value).ok()?.trim();
    match stamp.kind {
        Kind::TimestampTz => Some(Moment::Instant(written(text)?.0.and_utc().fixed_offset())),
        Kind::Timestamp => Some(Moment::Local(written(text)?.0)),
        Kind::Date => Some(Moment::Day(day_only(text)?)),
        Kind::Integer => {
            DateTime::from_timestamp(text.parse().ok()?, 0).map(|at| Moment::Instant(at.fixed_offset()))
        }
        Kind::Text => match (written(text)?, text.len()) {
            ((at, None), 10) => Some(Moment::Day(at.date())),
            ((at, None), _) => Some(Moment::Local(at)),
            ((at, Some(offset)), _) => offset.from_local_datetime(&at).single().map(Moment::Instant),
        },
        _ => None,
    }
}

fn day_only(text: &str) -> Option<NaiveDate> {
    (text.len() == 10).then(|| written(text)).flatten().map(|(at, _)| at.date())
}

/// Turns a moment into what another kind of column holds, for columns whose type has changed since the cursor was stored.
fn convert(moment: Moment, from: Kind, to: Kind, zone: Tz) -> Moment {
    if from == to {
        return moment;
    }
    // Of a wall-clock hour that comes twice the first is meant: looking back too far does no harm.
    let instant = |local: NaiveDateTime| {
        zone.from_local_datetime(&local)
            .earliest()
            .map_or_else(|| local.and_utc().fixed_offset(), |at| at.fixed_offset())
    };
    let local = |moment: &Moment| match moment {
        Moment::Instant(at) => at.with_timezone(&zone).naive_local(),
        Moment::Local(at) => *at,
        Moment::Day(day) => day.and_time(chrono::NaiveTime::MIN),
    };
    match (to, moment) {
        (Kind::TimestampTz | Kind::Integer, Moment::Instant(at)) => Moment::Instant(at),
        (Kind::TimestampTz | Kind::Integer, moment) => Moment::Instant(instant(local(&moment))),
        (Kind::Date, moment) => Moment::Day(local(&moment).date()),
        (_, moment) => Moment::Local(local(&moment)),
    }
}

/// Writes a moment as the column's text form. Bounds in SQLite's text (`whole` false) leave out fraction and zone, so
/// that they sort before every stamp of the same second.
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
            let zone = if like.ends_with(b"Z") { "Z".to_owned() } else { at.offset().fix().to_string() };
            like_text(at.naive_local(), like) + &zone
        }
        (Kind::Text, Moment::Instant(at)) => like_text(at.naive_local(), like),
        _ => return None,
    };
    Some(Key { kind, value: text.into_bytes() })
}

fn like_text(at: NaiveDateTime, like: &[u8]) -> String {
    let separator = if like.get(10) == Some(&b'T') { 'T' } else { ' ' };
    format!("{}{separator}{}", at.date(), at.format("%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: Tz = Tz::Europe__Moscow;

    fn key(kind: Kind, text: &str) -> Key {
        Key { kind, value: text.as_bytes().to_vec() }
    }

    fn text(key: Option<Key>) -> String {
        key.map_or("none".into(), |key| String::from_utf8(key.value).unwrap())
    }

    #[test]
    fn looking_back_keeps_the_columns_form_and_its_fractions() {
        for (kind, stamp, target, expected) in [
            (
                Kind::TimestampTz,
                "2021-07-01 00:04:00.123456+00",
                Kind::TimestampTz,
                "2021-06-30 23:59:00.123456",
            ),
            (Kind::Timestamp, "2021-07-01 00:05:00", Kind::Timestamp, "2021-07-01 00:00:00.000000"),
            (Kind::Date, "2021-07-01", Kind::Date, "2021-06-30"),
            (Kind::Integer, "1625173200", Kind::Dynamic, "1625172900"),
            (Kind::Text, "2021-07-01 00:05:00.5", Kind::Dynamic, "2021-07-01 00:00:00"),
            (Kind::Text, "2021-07-01T00:05:00+03:00", Kind::Dynamic, "2021-07-01T00:00:00"),
            (Kind::Text, "2021-07-01", Kind::Dynamic, "2021-06-30"),
            (Kind::TimestampTz, "2021-06-30 21:05:00+00", Kind::Timestamp, "2021-07-01 00:00:00.000000"),
            (Kind::Timestamp, "2021-07-01 00:05:00", Kind::TimestampTz, "2021-06-30 21:00:00.000000"),
            (Kind::Timestamp, "infinity", Kind::Timestamp, "none"),
            (Kind::Text, "вчера", Kind::Dynamic, "none"),
        ] {
            assert_eq!(text(earlier(&key(kind, stamp), 300, target, ZONE)), expected, "{kind:?} {stamp}");
        }
    }

    #[test]
    fn a_stamp_in_the_future_becomes_the_present_and_a_past_one_stays_byte_for_byte() {
        let now = "2021-07-01T09:00:00Z".parse().unwrap();
        for (kind, stamp, expected) in [
            (Kind::TimestampTz, "2099-01-01 00:00:00+00", "2021-07-01 09:00:00.000000"),
            (Kind::TimestampTz, "2021-07-01 08:59:59.999999+00", "2021-07-01 08:59:59.999999+00"),
            (Kind::Timestamp, "2021-07-01 12:00:01", "2021-07-01 12:00:00.000000"),
            (Kind::Timestamp, "2021-07-01 11:59:59", "2021-07-01 11:59:59"),
            (Kind::Date, "2021-07-02", "2021-07-01"),
            (Kind::Integer, "4070908800", "1625130000"),
            (Kind::Text, "2099-01-01T00:00:00Z", "2021-07-01T09:00:00Z"),
            (Kind::Text, "2099-01-01 00:00:00+05:00", "2021-07-01 14:00:00+05:00"),
            (Kind::Text, "2099-01-01 00:00:00", "2021-07-01 12:00:00"),
            (Kind::Timestamp, "infinity", "none"),
            (Kind::Timestamp, "0000-00-00 00:00:00", "none"),
        ] {
            assert_eq!(text(not_after(&key(kind, stamp), now, ZONE)), expected, "{kind:?} {stamp}");
        }
    }
}

//! PostgreSQL's rows: the types of their columns, and values out of their binary forms.

use sqlx::postgres::PgRow;
use sqlx::{Column, Row};

use crate::native;
use crate::table::Table;
use crate::value::{Kind, Value};

/// True where a row's columns have the types that `Postgres::select` gives columns of these
/// kinds.
pub(super) fn has_kinds(row: &PgRow, kinds: &[Kind]) -> bool {
    let selected = |kind| match kind {
        Kind::Integer | Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Bytes => kind,
        _ => Kind::Text,
    };
    let oid = |column: &sqlx::postgres::PgColumn| column.type_info().oid().map_or(0, |oid| oid.0);
    kinds
        .iter()
        .zip(row.columns())
        .all(|(kind, column)| kind_of(oid(column)) == selected(*kind))
}

/// Days from 1970 to the day PostgreSQL counts from.
const DAYS_TO_2000: i64 = 10_957;
/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Adds a value out of its binary form; what has no native form of ours is written as the server
/// writes it.
pub(super) fn push(table: &mut Table, kind: Kind, bytes: Option<&[u8]>, is_typed: bool) {
    let Some(bytes) = bytes else {
        return table.push(kind, Value::Null);
    };
    match (kind, whole(bytes)) {
        (Kind::Integer, Some(number)) if is_typed => table.push(kind, Value::Whole(number)),
        (Kind::Date, Some(number)) if is_typed => push_day(table, number),
        (Kind::Timestamp | Kind::TimestampTz, Some(number)) if is_typed => {
            push_moment(table, kind, number)
        }
        _ => table.push(kind, Value::Bytes(bytes)),
    }
}

/// A number of two, four or eight bytes.
fn whole(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
        _ => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
    }
}

fn push_day(table: &mut Table, number: i64) {
    let days = number + DAYS_TO_2000;
    match i32::try_from(days) {
        Ok(days) if native::is_usual_day(days.into()) => table.push(Kind::Date, Value::Days(days)),
        _ if number == i64::from(i32::MAX) => table.push(Kind::Date, Value::Bytes(b"infinity")),
        _ if number == i64::from(i32::MIN) => table.push(Kind::Date, Value::Bytes(b"-infinity")),
        _ => table.push(Kind::Date, Value::Bytes(native::day_text(days).as_bytes())),
    }
}

fn push_moment(table: &mut Table, kind: Kind, number: i64) {
    let days = number.div_euclid(DAY_MICROS) + DAYS_TO_2000;
    let rest = number.rem_euclid(DAY_MICROS);
    match number {
        i64::MAX => table.push(kind, Value::Bytes(b"infinity")),
        i64::MIN => table.push(kind, Value::Bytes(b"-infinity")),
        _ if native::is_usual_day(days) => {
            table.push(kind, Value::Micros(days * DAY_MICROS + rest))
        }
        _ => table.push(
            kind,
            Value::Bytes(native::moment_text(days, rest).as_bytes()),
        ),
    }
}

/// The built-in types by their fixed numbers (`pg_type.dat`).
pub(super) fn kind_of(oid: u32) -> Kind {
    match oid {
        16 => Kind::Boolean,
        17 => Kind::Bytes,
        20 | 21 | 23 => Kind::Integer,
        25 | 1043 => Kind::Text,
        1042 => Kind::FixedText,
        700 | 701 => Kind::Float,
        1082 => Kind::Date,
        1114 => Kind::Timestamp,
        1184 => Kind::TimestampTz,
        1700 => Kind::Decimal,
        2950 => Kind::Uuid,
        _ => Kind::Other,
    }
}

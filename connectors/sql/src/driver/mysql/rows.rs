//! MariaDB's and MySQL's rows: which types their columns have, and values out of their text forms.

use chrono::{NaiveDateTime, TimeDelta};
use sqlx::mysql::{MySqlColumn, MySqlRow};
use sqlx::{Column, Row, Type, TypeInfo};

use crate::date::written;
use crate::native;
use crate::table::{Table, of_text};
use crate::value::{Kind, Value};

/// A stamp's text moved by a number of whole seconds; zero dates stay what they are.
pub(super) fn shifted(text: &str, by: TimeDelta) -> String {
    let moved = |at: NaiveDateTime| at.checked_add_signed(by);
    match written(text).and_then(|(at, _)| moved(at)) {
        Some(at) => {
            let fraction = text.find('.').map_or("", |point| &text[point..]);
            format!("{}{fraction}", at.format("%Y-%m-%d %H:%M:%S"))
        }
        None => text.to_owned(),
    }
}

/// True where a row's columns have the types that `MySql::select` gives columns of these kinds, and
/// behind them the types that `MySql::witness` gives those of text.
pub(super) fn has_kinds(row: &MySqlRow, kinds: &[Kind]) -> bool {
    let selected = |kind: &Kind| match kind {
        Kind::Integer
        | Kind::Unsigned
        | Kind::Decimal
        | Kind::Date
        | Kind::Timestamp
        | Kind::TimestampTz
        | Kind::Year
        | Kind::Bytes => *kind,
        Kind::Bit => Kind::Unsigned,
        _ => Kind::Text,
    };
    let texts = kinds.iter().filter(|kind| **kind == Kind::Text).copied();
    let expected = kinds.iter().map(selected).chain(texts);
    expected
        .zip(row.columns())
        .all(|(kind, column)| kind_of(column) == kind)
}

/// Adds a value out of its text form.
pub(super) fn push(table: &mut Table, kind: Kind, bytes: Option<&[u8]>, offset: TimeDelta) {
    let Some(bytes) = bytes else {
        return table.push(kind, Value::Null);
    };
    match (kind, of_text(kind, bytes)) {
        (Kind::TimestampTz, Value::Micros(local)) => {
            let utc = local - offset.num_seconds() * 1_000_000;
            if native::is_usual_moment(utc) {
                return table.push(kind, Value::Micros(utc));
            }
        }
        (Kind::TimestampTz, _) => {}
        (_, value) => return table.push(kind, value),
    }
    table.push(
        kind,
        Value::Bytes(shifted(&String::from_utf8_lossy(bytes), -offset).as_bytes()),
    );
}

pub(super) fn kind_of(column: &MySqlColumn) -> Kind {
    // Text of a `_bin` collation goes by the name of a type of bytes; its character set tells it
    // apart.
    let is_text = || <str as Type<sqlx::MySql>>::compatible(column.type_info());
    match kind_named(column.type_info().name()) {
        Kind::Bytes if is_text() => Kind::Text,
        kind => kind,
    }
}

/// The driver's type names.
fn kind_named(name: &str) -> Kind {
    match name {
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Kind::Integer,
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
        | "BIGINT UNSIGNED" => Kind::Unsigned,
        "DECIMAL" => Kind::Decimal,
        "FLOAT" | "DOUBLE" => Kind::Float,
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" => Kind::Text,
        "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => Kind::Bytes,
        "DATE" => Kind::Date,
        "DATETIME" => Kind::Timestamp,
        "TIMESTAMP" => Kind::TimestampTz,
        "YEAR" => Kind::Year,
        "BIT" => Kind::Bit,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_moved_with_its_fraction_and_back_again() {
        let hours = TimeDelta::hours(3);
        for (utc, local) in [
            ("2021-06-30 22:00:00", "2021-07-01 01:00:00"),
            ("2021-06-30 22:00:00.100000", "2021-07-01 01:00:00.100000"),
            ("0000-00-00 00:00:00", "0000-00-00 00:00:00"),
        ] {
            assert_eq!(shifted(utc, hours), local);
            assert_eq!(shifted(local, -hours), utc);
        }
    }
}

//! Kinds of column types, told by the name that the database gives a type.

/// Kind of a column's type, as far as it decides what the column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Number,
    Flag,
    Text,
    Date,
    Moment,
    Json,
    Bytes,
    Uuid,
    Other,
}

impl Shape {
    /// Tells a type by its name, in any of the databases.
    pub(crate) fn of(type_name: &str) -> Self {
        let name = type_name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let is_list = name.ends_with("[]");
        match name.as_str() {
            _ if is_list => Self::Other,
            "" => Self::Text,
            "tinyint(1)" | "bit(1)" => Self::Flag,
            _ if has(&["bool"]) => Self::Flag,
            _ if has(&["json"]) => Self::Json,
            _ if has(&["uuid", "uniqueidentifier"]) => Self::Uuid,
            _ if has(&["timestamp", "datetime"]) => Self::Moment,
            _ if name.starts_with("date") => Self::Date,
            _ if has(&["interval", "point", "range", "geo", "time", "polygon"]) => Self::Other,
            _ if has(&["char", "text", "clob", "enum", "name", "string", "set("]) => Self::Text,
            _ if has(&["int", "serial"]) || name == "year" => Self::Whole,
            _ if has(&["num", "dec", "float", "double", "real", "money"]) => Self::Number,
            _ if has(&["blob", "bytea", "binary"]) => Self::Bytes,
            _ => Self::Other,
        }
    }

    /// True for what may be a code or a word.
    pub(crate) const fn is_code(self) -> bool {
        matches!(self, Self::Text | Self::Whole)
    }

    /// True for a day or a moment.
    pub(crate) const fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Moment)
    }
}

/// True for a type of moments that are kept with their zone, in PostgreSQL, MariaDB and MySQL.
pub(crate) fn is_instant(type_name: &str) -> bool {
    let name = type_name.to_lowercase();
    name.starts_with("timestamp") && !name.contains("without time zone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_three_databases_are_told_by_their_names() {
        for (name, expected) in [
            ("bigint", Shape::Whole),
            ("int(10) unsigned", Shape::Whole),
            ("INTEGER", Shape::Whole),
            ("numeric(16,0)", Shape::Number),
            ("tinyint(1)", Shape::Flag),
            ("tinyint(4)", Shape::Whole),
            ("boolean", Shape::Flag),
            ("character varying(255)", Shape::Text),
            ("enum('a','b')", Shape::Text),
            ("longtext", Shape::Text),
            ("", Shape::Text),
            ("date", Shape::Date),
            ("datetime(6)", Shape::Moment),
            ("timestamp with time zone", Shape::Moment),
            ("jsonb", Shape::Json),
            ("tstzrange", Shape::Other),
            ("text[]", Shape::Other),
            ("uuid", Shape::Uuid),
            ("varbinary(16)", Shape::Bytes),
        ] {
            assert_eq!(Shape::of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_type_with_a_zone_is_told() {
        for (name, expected) in [
            ("timestamp(6) with time zone", true),
            ("timestamp", true),
            ("timestamp(6) without time zone", false),
            ("datetime(6)", false),
            ("date", false),
        ] {
            assert_eq!(is_instant(name), expected, "{name}");
        }
    }
}

//! Dialects of SQL: quotes, comments and placeholders.

use crate::catalog::Shape;

/// Dialect of a kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    MySql,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// Differences of the dialects, as far as they decide where a token ends.
pub(super) struct Rules {
    pub backslash_escapes: bool,
    pub dollar_quotes: bool,
    pub hash_comments: bool,
    pub nested_comments: bool,
    pub brackets: bool,
    pub question_mark_binds: bool,
    pub named_binds: bool,
}

impl Syntax {
    /// True where the database is a file.
    pub(crate) const fn is_of_file(self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => true,
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => false,
        }
    }

    /// True where stamps usually stand in columns of text, for want of a type of time.
    pub(crate) const fn keeps_stamps_as_text(self) -> bool {
        self.is_of_file()
    }

    /// True where a flag is a condition by itself; elsewhere it is compared with a number.
    pub(crate) const fn has_booleans(self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => true,
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => false,
        }
    }

    /// True where a name outside quotation marks loses its capital letters.
    pub(crate) const fn lowers_names(self) -> bool {
        self.has_booleans()
    }

    /// A column read as text, where the database does not compare other types with text itself.
    pub(crate) fn as_text(self, column: &str) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("{column}::text"),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => column.to_owned(),
        }
    }

    /// A column of any type as text, also where a number would be compared as one.
    pub(crate) fn text(self, column: &str) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("{column}::text"),
            #[cfg(feature = "mysql")]
            Self::MySql => format!("CAST({column} AS CHAR)"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("CAST({column} AS TEXT)"),
        }
    }

    /// A column as it is compared with one of another query, where each value has a type of its
    /// own, and a number is no text.
    pub(crate) fn as_compared(self, column: &str) -> String {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("CAST({column} AS TEXT)"),
            #[cfg(any(feature = "postgres", feature = "mysql"))]
            _ => column.to_owned(),
        }
    }

    /// A moment that a column without a zone keeps in UTC, in a form that becomes the clinic's day.
    pub(crate) fn of_utc(self, column: &str) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("{column} AT TIME ZONE 'UTC'"),
            // Text with a zone is read alike whatever zones the server knows.
            #[cfg(feature = "mysql")]
            Self::MySql => format!("CONCAT({column}, 'Z')"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("{column} || 'Z'"),
        }
    }

    /// The least of a column's values.
    pub(crate) fn least(self, column: &str, shape: Shape) -> String {
        // PostgreSQL has no least one of its UUIDs before version 18.
        if self.has_booleans() && shape == Shape::Uuid {
            format!("MIN({column}::text)::uuid")
        } else {
            format!("MIN({column})")
        }
    }

    /// Digits of a number, with the zeros before them that its column has lost.
    pub(crate) fn padded(self, column: &str, digits: usize) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("LPAD({column}::text, {digits}, '0')"),
            #[cfg(feature = "mysql")]
            Self::MySql => format!("LPAD({column}, {digits}, '0')"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("printf('%0{digits}d', {column})"),
        }
    }

    /// Text that several expressions make, one behind the other.
    pub(crate) fn concatenated(self, parts: &[String]) -> String {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql => format!("CONCAT({})", parts.join(", ")),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => parts.join(" || "),
        }
    }

    /// The texts of several rows as one, in an order of rows, with something between them.
    pub(crate) fn texts_of_rows(self, column: &str, between: &str, order: &str) -> String {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("string_agg({column}::text, '{between}' ORDER BY {order})"),
            #[cfg(feature = "mysql")]
            Self::MySql => format!("GROUP_CONCAT({column} ORDER BY {order} SEPARATOR '{between}')"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("group_concat({column}, '{between}' ORDER BY {order})"),
        }
    }

    /// A literal that lies before every stamp.
    pub(super) const fn before_all(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "'-infinity'",
            #[cfg(feature = "mysql")]
            Self::MySql => "'1000-01-01'",
            // Numbers come before all text.
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "-9223372036854775808",
        }
    }

    pub(super) fn rules(self) -> Rules {
        let none = Rules {
            backslash_escapes: false,
            dollar_quotes: false,
            hash_comments: false,
            nested_comments: false,
            brackets: false,
            question_mark_binds: false,
            named_binds: false,
        };
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => Rules {
                dollar_quotes: true,
                nested_comments: true,
                ..none
            },
            #[cfg(feature = "mysql")]
            Self::MySql => Rules {
                backslash_escapes: true,
                hash_comments: true,
                question_mark_binds: true,
                ..none
            },
            #[cfg(feature = "sqlite")]
            Self::Sqlite => Rules {
                brackets: true,
                question_mark_binds: true,
                named_binds: true,
                ..none
            },
        }
    }
}

//! Dialects of SQL: quotes, comments and placeholders.

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

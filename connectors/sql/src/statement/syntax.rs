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

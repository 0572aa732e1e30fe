//! A bounded look at the values of columns that hold codes: never at those of identifiers or names.

use std::fmt::Write as _;

use crate::driver::{Driver, Failure, Sessions};
use crate::value::{Kind, Sql};

/// Rows of a table or query that are looked at.
const MAX_ROWS: u32 = 50_000;
/// Most entries of a list that are read.
pub(super) const MAX_ENTRIES: usize = 2_000;
/// Most distinct values that are read of a column.
pub(super) const MAX_VALUES: usize = 300;
/// Longest value that is shown, in characters; a longer one is a text, not a code.
const MAX_CHARS: usize = 130;

/// Word of a column, and the number of rows that have it among those looked at.
pub type CountedValue = (String, u64);

/// Tells whether a code of a documented column is known without being mapped.
pub type KnownCodes<'a> = dyn Fn(&str, &str) -> bool + Sync + 'a;

/// Looks at values with one session for each question.
pub(super) struct Look<'s> {
    pub sessions: &'s Sessions,
    /// Tells whether a code of a documented column is known without being mapped.
    pub known: Option<&'s KnownCodes<'s>>,
}

impl Look<'_> {
    pub(super) fn driver(&self) -> &dyn Driver {
        self.sessions.driver.as_ref()
    }

    /// True for a code that is known to mean something in a documented column.
    pub(super) fn knows(&self, column: &str, code: &str) -> bool {
        self.known.is_some_and(|known| known(column, code))
    }

    /// Distinct values of an expression over a table or parenthesised query, the most frequent
    /// first. None where the database does not answer: the proposal then does without.
    pub(super) async fn values(&self, expression: &str, from: &str) -> Vec<CountedValue> {
        self.try_values(expression, from).await.unwrap_or_default()
    }

    /// Distinct keys with their names, over a table and what follows it in a query; the first ones
    /// in the order of keys. None where the database does not answer.
    pub(super) async fn entries(&self, key: &str, name: &str, from: &str) -> Vec<(String, String)> {
        self.try_entries(key, name, from).await.unwrap_or_default()
    }

    async fn try_entries(
        &self,
        key: &str,
        name: &str,
        from: &str,
    ) -> Result<Vec<(String, String)>, Failure> {
        let shown = |column| self.driver().project(column, Kind::Text);
        let text = format!(
            "SELECT {}, {} FROM (SELECT DISTINCT {key} AS k, {name} AS c FROM {from}) AS q WHERE \
             q.k IS NOT NULL AND q.c IS NOT NULL ORDER BY q.k, q.c LIMIT {MAX_ENTRIES}",
            shown("q.k"),
            shown("q.c")
        );
        let rows = self.pairs(text).await?;
        Ok(rows.into_iter().map(<(String, String)>::from).collect())
    }

    /// True where a column is empty in all rows that are looked at, and there are some.
    pub(super) async fn is_empty(&self, column: &str, from: &str) -> bool {
        let count = self.try_filled(column, from).await;
        count.is_ok_and(|[rows, filled]| rows > 0 && filled == 0)
    }

    async fn try_filled(&self, column: &str, from: &str) -> Result<[u64; 2], Failure> {
        let text = self.driver().syntax().text("q.c");
        let sql = format!(
            "SELECT CAST(count(*) AS CHAR(20)), CAST(count(NULLIF({text}, '')) AS CHAR(20)) FROM \
             (SELECT {column} AS c FROM {from} LIMIT {MAX_ROWS}) AS q"
        );
        let counts = self.pairs(sql).await?;
        let number = |text: &String| text.parse().unwrap_or(0);
        let counts = counts.first().map(|counts| counts.each_ref().map(number));
        Ok(counts.unwrap_or_default())
    }

    /// The two columns of a statement's rows, without blanks around them.
    async fn pairs(&self, sql: String) -> Result<Vec<[String; 2]>, Failure> {
        let mut lent = self.sessions.lend().await?;
        let rows = lent.text_rows(&Sql::plain(sql)).await?;
        lent.give_back().await?;
        let trimmed = |row: [String; 2]| row.map(|text| text.trim().to_owned());
        Ok(rows.into_iter().map(trimmed).collect())
    }

    async fn try_values(&self, column: &str, from: &str) -> Result<Vec<CountedValue>, Failure> {
        let mut text = String::new();
        let shown = self.driver().project("q.c", Kind::Text);
        let _ = write!(
            text,
            "SELECT {shown}, CAST(count(*) AS CHAR(20)) FROM (SELECT {column} AS c FROM {from} \
             LIMIT \
             {MAX_ROWS}) AS q WHERE q.c IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {}",
            MAX_VALUES + 1
        );
        let rows = self.pairs(text).await?;
        Ok(rows
            .into_iter()
            .filter_map(|[value, count]| Some((value, count.parse().ok()?)))
            .collect())
    }
}

/// True for a value that may be shown: short and printable, and of several rows. A free text could
/// hold a name.
pub(super) fn may_be_shown(counted: &CountedValue) -> bool {
    let (value, rows) = counted;
    *rows > 1 && is_code(value)
}

/// True for a value that may be a code or a word by its form.
pub(super) fn is_code(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    !value.is_empty()
        && value.chars().count() <= MAX_CHARS
        && !value.chars().any(char::is_control)
        && !value.contains('\u{fffd}')
        && digits <= 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_one_row_a_long_one_and_a_long_number_are_not_shown() {
        let shown = |value: &str, rows| may_be_shown(&(value.to_owned(), rows));
        assert!(shown("Гам-КОВИД-Вак", 2) && shown("840539006", 7));
        assert!(
            !shown("Гам-КОВИД-Вак", 1),
            "it could be a remark about one person"
        );
        assert!(!shown("112-233-445 95", 3), "a number of a person");
        assert!(!shown("a\u{1b}[2J", 9) && !shown("", 9));
        assert!(shown(&"x".repeat(130), 2) && !shown(&"x".repeat(131), 2));
    }
}

//! Statement that looks for stamps whose order among others is not that of time.

use crate::layout::CHANGED_AT;
use crate::page::Pager;
use crate::value::{Key, Sql};

/// Answer of [`Pager::other_forms`]: some stamps are written in another way.
pub(crate) const OTHER_TEXT: &str = "text";
/// Answer of [`Pager::other_forms`]: some stamps are text, and some numbers.
pub(crate) const NUMBERS: &str = "numbers";

impl Pager<'_> {
    /// Looks for text stamps of another form than `at` between two bounds, and for numbers beside
    /// text. None where the column's type leaves no choice.
    pub(crate) fn other_forms(&self, at: &Key, from: &Key, to: &Key) -> Option<Sql> {
        let column = self.column(CHANGED_AT);
        let source = self.source();
        let form = self.driver.stamp_form(&column)?;
        let mut sql = Sql::plain(format!(
            "SELECT '{OTHER_TEXT}' FROM (SELECT 1 {source} WHERE {column} >= "
        ));
        self.driver.push_key(&mut sql, from);
        sql.push(&format!(" AND {column} < "));
        self.driver.push_key(&mut sql, to);
        sql.push(&format!(" AND {form} <> (SELECT "));
        sql.push(&self.driver.stamp_form("s.at")?);
        sql.push(" FROM (SELECT ");
        self.driver.push_key(&mut sql, at);
        // Numbers come before all text.
        sql.push(&format!(
            " AS at) AS s) LIMIT 1) UNION ALL SELECT '{NUMBERS}' FROM (SELECT 1 {source} WHERE \
             {column} < '' AND typeof({column}) = 'integer' LIMIT 1) AS n, (SELECT 1 {source} \
             WHERE {column} >= '' AND typeof({column}) = 'text' LIMIT 1) AS t"
        ));
        Some(sql)
    }
}

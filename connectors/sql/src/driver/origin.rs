//! Origin of a selected column: the column of a table that an index would be made on.

/// Column of a table that a query hands on unchanged, as the server names it: PostgreSQL by its
/// numbers, the others by names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub table: String,
    pub column: String,
}

/// A name as a person would type it in a statement: in quotation marks where the query has it so,
/// or where it is no plain word.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) fn typed(name: &str, quoted: String, query: &str) -> String {
    let is_word = name
        .chars()
        .all(|char| char.is_alphanumeric() || char == '_')
        && !name.starts_with(|char: char| char.is_ascii_digit());
    if is_word && !query.contains(&quoted) {
        name.to_owned()
    } else {
        quoted
    }
}

/// The origin as the driver tells it; `None` for an expression.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(crate) fn of_column(column: &impl sqlx::Column) -> Option<Origin> {
    match column.origin() {
        sqlx::ColumnOrigin::Table(origin) => Some(Origin {
            table: origin.table.to_string(),
            column: origin.name.to_string(),
        }),
        _ => None,
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_typed_in_quotation_marks_where_it_needs_them() {
        let in_query = |name: &str, query| typed(name, format!("\"{name}\""), query);
        assert_eq!(in_query("доза", "SELECT 1 FROM доза"), "доза");
        assert_eq!(in_query("order", "SELECT 1 FROM \"order\""), "\"order\"");
        assert_eq!(in_query("a b", ""), "\"a b\"");
        assert_eq!(in_query("2021", ""), "\"2021\"");
    }
}

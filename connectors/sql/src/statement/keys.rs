//! The query with its keys alone: for rows whose other columns make the server fail even where
//! nobody asks for them, as functions do that PostgreSQL takes for volatile.

use std::ops::Range;

use super::scanner::{Token, TokenKind};

/// Words at the top level after which the rows may depend on all that is selected.
const DEPENDENT: [&str; 12] = [
    "union",
    "intersect",
    "except",
    "minus",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "into",
];

/// A query cut around its columns, of which `record_id` is kept.
#[derive(Debug, Clone)]
pub(crate) struct AroundId {
    /// From the query's first word to the end of `record_id`.
    begin: String,
    /// From the query's FROM to its end.
    end: String,
}

impl AroundId {
    /// The query with `record_id`, and these columns behind it.
    pub(crate) fn with(&self, columns: &[String]) -> String {
        let columns: String = columns
            .iter()
            .map(|column| format!(",\n{column}"))
            .collect();
        format!("{}{columns}\n{}", self.begin, self.end)
    }
}

/// Cuts the query around its columns, where it is plain enough to be sure that its rows are the
/// same whatever is selected.
pub(super) fn around_id(query: &str, tokens: &[Token]) -> Option<AroundId> {
    let within = top_select(tokens)?;
    let select = within.start - 1;
    let from = within.end;
    if is_dependent(tokens, select, from) {
        return None;
    }
    let begin = &query[tokens[0].at.start..tokens[select].at.end];
    let end = &query[tokens[from].at.start..tokens.last()?.at.end];
    let id = item_text(query, tokens, within, "record_id")?;
    Some(AroundId {
        begin: format!("{begin}\n{id}"),
        end: end.to_owned(),
    })
}

/// Returns the query without its columns other than `record_id` and `changed_at`, where it is plain
/// enough to be sure that these rows are the same.
pub(super) fn only_keys(query: &str, tokens: &[Token], around: &AroundId) -> Option<String> {
    let within = top_select(tokens)?;
    let has_stamp = items(tokens, within.clone())
        .iter()
        .any(|item| last_name(query, &tokens[item.clone()]).as_deref() == Some("changed_at"));
    if !has_stamp {
        return Some(around.with(&[]));
    }
    let at = item_text(query, tokens, within, "changed_at")?;
    Some(around.with(&[at.to_owned()]))
}

/// Text of the selected column with this name, if there is just one.
fn item_text<'q>(
    query: &'q str,
    tokens: &[Token],
    within: Range<usize>,
    name: &str,
) -> Option<&'q str> {
    let one = item_named(query, tokens, within, name)?;
    Some(&query[tokens[one.start].at.start..tokens[one.end - 1].at.end])
}

/// The selected columns of the query itself, as a range of tokens; `None` without a FROM.
pub(super) fn top_select(tokens: &[Token]) -> Option<Range<usize>> {
    let select = top_level(tokens)
        .find(|(_, token)| token.word == "select")
        .map(|(index, _)| index)?;
    let from = select + position_of_from(&tokens[select..])?;
    Some(select + 1..from)
}

/// The selected column with this name, if there is just one.
pub(super) fn item_named(
    query: &str,
    tokens: &[Token],
    within: Range<usize>,
    name: &str,
) -> Option<Range<usize>> {
    let items = items(tokens, within);
    let mut named = items
        .into_iter()
        .filter(|item| last_name(query, &tokens[item.clone()]).as_deref() == Some(name));
    let one = named.next()?;
    named.next().is_none().then_some(one)
}

/// True where the rows may depend on what is selected: sets, groups, `DISTINCT`, an order by an
/// alias.
fn is_dependent(tokens: &[Token], select: usize, from: usize) -> bool {
    let is_distinct = matches!(tokens[select + 1].word.as_str(), "distinct" | "all");
    is_distinct
        || top_level(&tokens[from..]).any(|(_, token)| DEPENDENT.contains(&token.word.as_str()))
}

/// The tokens outside all brackets, with their indices.
fn top_level(tokens: &[Token]) -> impl Iterator<Item = (usize, &Token)> {
    let mut depth = 0_i32;
    tokens.iter().enumerate().filter(move |(_, token)| {
        match token.kind {
            TokenKind::Symbol('(' | '[') => depth += 1,
            TokenKind::Symbol(')' | ']') => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// The `FROM` of a `SELECT`, which `IS DISTINCT FROM` is not.
fn position_of_from(tokens: &[Token]) -> Option<usize> {
    top_level(tokens)
        .find(|(index, token)| {
            token.word == "from" && *index > 0 && tokens[index - 1].word != "distinct"
        })
        .map(|(index, _)| index)
}

/// The selected columns: what stands between commas.
fn items(tokens: &[Token], within: Range<usize>) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut start = within.start;
    for (index, token) in top_level(&tokens[within.clone()]) {
        if token.kind == TokenKind::Symbol(',') {
            items.push(start..within.start + index);
            start = within.start + index + 1;
        }
    }
    items.push(start..within.end);
    items.retain(|item| !item.is_empty());
    items
}

/// Name that a selected column goes by: the last one in it.
fn last_name(query: &str, item: &[Token]) -> Option<String> {
    let last = item.last()?;
    matches!(last.kind, TokenKind::Word | TokenKind::Quoted).then(|| {
        query[last.at.clone()]
            .trim_matches(['"', '`', '[', ']'])
            .to_lowercase()
    })
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use crate::statement::{Statement, Syntax};

    fn keys(query: &str) -> Option<String> {
        let keys = Statement::parse(query, Syntax::Postgres).ok()?.keys?;
        Some(keys.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn of_a_plain_query_the_keys_remain() {
        for (query, expected) in [
            (
                "SELECT v.id AS record_id, raising(a, b) AS dose_number, v.at AS \"changed_at\" \
                 FROM v",
                "SELECT v.id AS record_id, v.at AS \"changed_at\" FROM v",
            ),
            (
                "WITH v AS (SELECT 1, 2 FROM w) SELECT record_id, -- a, b\n v.Changed_At, (SELECT \
                 x FROM y LIMIT 1) z FROM v WHERE a IN (SELECT DISTINCT b FROM c ORDER BY d)",
                "WITH v AS (SELECT 1, 2 FROM w) SELECT record_id, v.Changed_At FROM v WHERE a IN \
                 (SELECT DISTINCT b FROM c ORDER BY d)",
            ),
            (
                "select extract(year from x) y, a is distinct from b c, ARRAY[1, 2] d, \
                 coalesce(e, f) changed_at, g::text AS record_id from h",
                "select g::text AS record_id, coalesce(e, f) changed_at from h",
            ),
            (
                "SELECT a, id AS record_id FROM v",
                "SELECT id AS record_id FROM v",
            ),
        ] {
            assert_eq!(keys(query).as_deref(), Some(expected), "{query}");
        }
    }

    #[test]
    fn a_query_whose_rows_may_depend_on_its_columns_stays_whole() {
        for query in [
            "SELECT * FROM v",
            "SELECT DISTINCT id AS record_id, at AS changed_at, a FROM v",
            "SELECT id AS record_id, at AS changed_at FROM v UNION SELECT 1, now() FROM w",
            "SELECT id AS record_id, max(at) AS changed_at FROM v GROUP BY 1",
            "SELECT id AS record_id, at AS changed_at FROM v ORDER BY 3 LIMIT 5",
            "SELECT id AS record_id, at AS changed_at, 1 AS record_id FROM v",
            "SELECT id AS record_id, at AS changed_at",
            "SELECT id, at FROM v",
            "SELECT id AS record_id, a AS changed_at, b AS changed_at FROM v",
        ] {
            assert_eq!(keys(query), None, "{query}");
        }
    }
}

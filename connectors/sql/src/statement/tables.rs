//! Tables that a query names in FROM and JOIN, and those that a selected column is made of.

use std::collections::BTreeSet;

use super::keys::{item_named, top_select};
use super::scanner::{Token, TokenKind};

/// Words behind a table's name that are no alias of it.
const NO_ALIAS: [&str; 27] = [
    "on",
    "using",
    "where",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "outer",
    "straight_join",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "fetch",
    "window",
    "union",
    "intersect",
    "except",
    "for",
    "force",
    "use",
    "ignore",
    "tablesample",
];

/// A table as the query names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// As it is written, with its schema if it has one.
    table: String,
    /// Name that its columns go by, in small letters.
    alias: String,
}

/// Tables of a query, as they are written, and those of them that `changed_at` is made of; `None`
/// where that cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub all: BTreeSet<String>,
    pub of_stamp: Option<BTreeSet<String>>,
}

/// Finds the tables of a query.
pub(super) fn find(query: &str, tokens: &[Token]) -> Tables {
    let named = named(query, tokens);
    let all: BTreeSet<String> = named.iter().map(|one| one.table.clone()).collect();
    let of_stamp = top_select(tokens)
        .and_then(|within| item_named(query, tokens, within, "changed_at"))
        .and_then(|item| tables_of(query, &tokens[item], &named));
    Tables { all, of_stamp }
}

/// Tables that an expression has its columns of. Of a name without a table it is not known.
fn tables_of(query: &str, item: &[Token], named: &[Named]) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let is_symbol = |index: usize, symbol: char| {
        item.get(index)
            .is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    };
    let names = item.iter().enumerate().filter(|(_, token)| is_name(token));
    for (index, token) in names {
        if is_symbol(index + 1, '.') {
            let alias = plain(query, token).to_lowercase();
            let table = named.iter().find(|one| one.alias == alias);
            found.extend(table.map(|one| one.table.clone()));
        }
    }
    match named {
        _ if !found.is_empty() => Some(found),
        [only] => Some(BTreeSet::from([only.table.clone()])),
        _ => None,
    }
}

/// The tables in FROM and JOIN, in the query itself and in those inside of it.
fn named(query: &str, tokens: &[Token]) -> Vec<Named> {
    let made = common_tables(query, tokens);
    let mut found = Vec::new();
    // For each open parenthesis: whether a query stands in it.
    let mut inside = vec![true];
    for (index, token) in tokens.iter().enumerate() {
        let word = |index: usize| tokens.get(index).map_or("", |token| token.word.as_str());
        match token.kind {
            TokenKind::Symbol('(') => {
                let holds_tables = matches!(word(index + 1), "select" | "with")
                    || index > 0 && matches!(word(index - 1), "from" | "join");
                inside.push(holds_tables);
            }
            TokenKind::Symbol(')') => _ = inside.pop(),
            _ => {}
        }
        let begins = match token.word.as_str() {
            "join" | "straight_join" => true,
            "from" => index == 0 || word(index - 1) != "distinct",
            _ => false,
        };
        if begins && inside.last().copied().unwrap_or(true) {
            list(query, tokens, index + 1, &mut found);
        }
    }
    found.retain(|one| !made.contains(&one.table.to_lowercase()));
    found
}

/// Reads the tables from a place on, parted by commas.
fn list(query: &str, tokens: &[Token], mut at: usize, found: &mut Vec<Named>) {
    let symbol = |index: usize| match tokens.get(index).map(|token| token.kind) {
        Some(TokenKind::Symbol(symbol)) => symbol,
        _ => ' ',
    };
    let word = |index: usize| tokens.get(index).map_or("", |token| token.word.as_str());
    loop {
        while matches!(word(at), "only" | "lateral")
            || symbol(at) == '(' && word(at + 1) != "select"
        {
            at += 1;
        }
        let start = at;
        while tokens.get(at).is_some_and(is_name) && symbol(at + 1) == '.' {
            at += 2;
        }
        if !tokens.get(at).is_some_and(is_name) || symbol(at + 1) == '(' {
            return;
        }
        let table = &query[tokens[start].at.start..tokens[at].at.end];
        let mut alias = plain(query, &tokens[at]);
        at += 1;
        let has_word = word(at) == "as";
        at += usize::from(has_word);
        if let Some(token) = tokens.get(at).filter(|token| is_name(token))
            && (has_word || !NO_ALIAS.contains(&token.word.as_str()))
        {
            alias = plain(query, token);
            at += 1;
        }
        found.push(Named {
            table: table.to_owned(),
            alias: alias.to_lowercase(),
        });
        if symbol(at) != ',' {
            return;
        }
        at += 1;
    }
}

/// Names of the queries that stand before the query itself, in small letters.
fn common_tables(query: &str, tokens: &[Token]) -> BTreeSet<String> {
    let is_body = |index: usize| {
        tokens
            .get(index)
            .is_some_and(|token| token.kind == TokenKind::Symbol('('))
            && tokens
                .get(index + 1)
                .is_some_and(|token| matches!(token.word.as_str(), "select" | "with"))
    };
    let mut made = BTreeSet::new();
    for (index, token) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| is_name(token))
    {
        let mut at = index + 1;
        if tokens.get(at).is_some_and(|token| token.word == "as") {
            at += 1;
            while tokens
                .get(at)
                .is_some_and(|token| matches!(token.word.as_str(), "not" | "materialized"))
            {
                at += 1;
            }
            if is_body(at) {
                made.insert(plain(query, token).to_lowercase());
            }
        }
    }
    made
}

fn is_name(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
}

fn plain<'q>(query: &'q str, token: &Token) -> &'q str {
    query[token.at.clone()].trim_matches(['"', '`', '[', ']'])
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use crate::statement::{Statement, Syntax};

    #[test]
    fn tables_are_found_as_they_are_written() {
        for (query, all, of_stamp) in [
            (
                "SELECT v.id AS record_id, GREATEST(v.at, p.at) AS changed_at FROM mis.\"Dose\" AS v \
                 JOIN patient p ON p.id = v.patient LEFT JOIN code ON code.id = v.code",
                "code mis.\"Dose\" patient",
                Some("mis.\"Dose\" patient"),
            ),
            (
                "SELECT id AS record_id, at AS changed_at FROM dose",
                "dose",
                Some("dose"),
            ),
            (
                "SELECT id record_id, at changed_at FROM dose, person AS p",
                "dose person",
                None,
            ),
            (
                "SELECT id AS record_id FROM dose WHERE a IN (SELECT b FROM c)",
                "c dose",
                None,
            ),
            (
                "WITH d AS (SELECT * FROM dose) SELECT d.id AS record_id, extract(epoch FROM d.at) \
                 AS changed_at, trim(both FROM x) FROM d JOIN (SELECT 1 FROM a, b) AS s ON true \
                 WHERE d.a IS DISTINCT FROM s.b",
                "a b dose",
                None,
            ),
            ("SELECT * FROM (a JOIN b USING (id))", "a b", None),
            (
                "SELECT 1 AS record_id, now() AS changed_at FROM generate_series(1, 9)",
                "",
                None,
            ),
        ] {
            let tables = Statement::parse(query, Syntax::Postgres).unwrap().tables;
            let words = |tables: &std::collections::BTreeSet<String>| {
                tables
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(words(&tables.all), all, "{query}");
            assert_eq!(
                tables.of_stamp.as_ref().map(words).as_deref(),
                of_stamp,
                "{query}"
            );
        }
    }
}

//! Tables that a query names in FROM and JOIN, and those that a selected column is made of.

use std::collections::BTreeSet;
use std::ops::Range;

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
    /// The same name as it is written.
    written: String,
    /// True where it stands in the FROM of the query itself, and in none inside of it.
    is_joined: bool,
}

/// Table in the FROM of the query itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    /// As it is written, with its schema if it has one.
    pub table: String,
    /// Name that its columns go by, as it is written.
    pub alias: String,
}

/// Tables of a query, as they are written, and those of them that `changed_at` is made of; `None`
/// where that cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub all: BTreeSet<String>,
    pub of_stamp: Option<BTreeSet<String>>,
    /// Those in the FROM of the query itself.
    pub joined: Vec<Joined>,
    /// The one of these that `changed_at` is made of, if there is just one.
    pub stamped: Option<Joined>,
    /// Name of `changed_at` in its table, as it is written, where it is a column as it stands.
    pub stamp_column: Option<String>,
    /// The one of these whose column `record_id` is, and that column as it is written.
    pub of_id: Option<(Joined, String)>,
}

/// Finds the tables of a query.
pub(super) fn find(query: &str, tokens: &[Token]) -> Tables {
    let named = named(query, tokens);
    let all: BTreeSet<String> = named.iter().map(|one| one.table.clone()).collect();
    let item = |name| item_named(query, tokens, top_select(tokens)?, name);
    let stamp: Option<Range<usize>> = item("changed_at");
    let of_stamp = stamp
        .clone()
        .and_then(|item| tables_of(query, &tokens[item], &named));
    let named_column = |item: &Option<Range<usize>>| column(&tokens[item.clone()?]);
    let text = |name: &Token| query[name.at.clone()].to_owned();
    let id = named_column(&item("record_id"));
    Tables {
        all,
        of_stamp,
        stamp_column: named_column(&stamp).map(|(_, name)| text(name)),
        stamped: stamp.and_then(|item| only_joined(query, &tokens[item], &named)),
        of_id: id.and_then(|(item, name)| Some((only_joined(query, item, &named)?, text(name)))),
        joined: named.iter().filter_map(Named::joined).collect(),
    }
}

impl Named {
    fn joined(&self) -> Option<Joined> {
        self.is_joined.then(|| Joined {
            table: self.table.clone(),
            alias: self.written.clone(),
        })
    }
}

/// The column that an item is as it stands: its tokens without an alias, and its name among them.
fn column(item: &[Token]) -> Option<(&[Token], &Token)> {
    let end = match item {
        [.., word, alias] if word.word == "as" && is_name(alias) => item.len() - 2,
        [.., name, alias] if is_name(name) && is_name(alias) => item.len() - 1,
        _ => item.len(),
    };
    let item = &item[..end];
    let is_path = item.iter().enumerate().all(|(index, token)| {
        if index % 2 == 0 {
            is_name(token)
        } else {
            token.kind == TokenKind::Symbol('.')
        }
    });
    let name = item.last().filter(|last| is_path && is_name(last))?;
    Some((item, name))
}

/// The table in the FROM of the query itself that an expression has its columns of, if it has them
/// of one alone.
fn only_joined(query: &str, item: &[Token], named: &[Named]) -> Option<Joined> {
    let is_dot = |index: usize| {
        item.get(index)
            .is_some_and(|token| token.kind == TokenKind::Symbol('.'))
    };
    let names = item.iter().enumerate();
    let names = names.filter(|(index, token)| is_name(token) && is_dot(index + 1));
    let aliases: BTreeSet<String> = names
        .map(|(_, token)| plain(query, token).to_lowercase())
        .collect();
    let mut of = named.iter().filter(|one| aliases.contains(&one.alias));
    match (of.next(), of.next(), named) {
        (Some(only), None, _) => only.joined(),
        (None, _, [only]) if aliases.is_empty() => only.joined(),
        _ => None,
    }
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
            let known = found.len();
            list(query, tokens, index + 1, &mut found);
            for one in &mut found[known..] {
                one.is_joined = inside.len() == 1;
            }
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
            || symbol(at) == '(' && !matches!(word(at + 1), "select" | "with")
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
        let mut alias = &tokens[at];
        at += 1;
        let has_word = word(at) == "as";
        at += usize::from(has_word);
        if let Some(token) = tokens.get(at).filter(|token| is_name(token))
            && (has_word || !NO_ALIAS.contains(&token.word.as_str()))
        {
            alias = token;
            at += 1;
        }
        found.push(Named {
            table: table.to_owned(),
            alias: plain(query, alias).to_lowercase(),
            written: query[alias.at.clone()].to_owned(),
            is_joined: false,
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
        let mut at = behind_columns(tokens, index + 1);
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

/// The place behind a list of names in parentheses, if one stands here.
fn behind_columns(tokens: &[Token], at: usize) -> usize {
    let kind = |index: usize| tokens.get(index).map(|token| token.kind);
    if kind(at) != Some(TokenKind::Symbol('(')) {
        return at;
    }
    let is_listed = |token: &&Token| is_name(token) || token.kind == TokenKind::Symbol(',');
    let listed = tokens[at + 1..].iter().take_while(is_listed).count();
    let end = at + 1 + listed;
    if kind(end) == Some(TokenKind::Symbol(')')) {
        end + 1
    } else {
        at
    }
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
    fn the_tables_of_the_query_itself_are_told_from_those_inside_of_it() {
        for (query, joined, stamped, of_id) in [
            (
                "SELECT v.id AS record_id, COALESCE(p.at, \"P\".added) AS changed_at FROM \
                 mis.patient \"P\" JOIN dose v ON v.patient = p.id AND v.a IN (SELECT b FROM c)",
                "mis.patient \"P\", dose v",
                Some("mis.patient \"P\""),
                Some("dose v id"),
            ),
            (
                "SELECT id record_id, at AS changed_at FROM dose",
                "dose dose",
                Some("dose dose"),
                Some("dose dose id"),
            ),
            (
                "SELECT record_id, changed_at FROM dose",
                "dose dose",
                Some("dose dose"),
                Some("dose dose record_id"),
            ),
            (
                "SELECT 'd-' || d.id AS record_id, GREATEST(d.at, p.at) AS changed_at FROM dose d, \
                 (SELECT * FROM person) p",
                "dose d",
                Some("dose d"),
                None,
            ),
            (
                "SELECT id AS record_id, at AS changed_at FROM dose JOIN person USING (id)",
                "dose dose, person person",
                None,
                None,
            ),
            (
                "WITH d AS (SELECT * FROM dose) SELECT d.id AS record_id, d.at AS changed_at FROM d",
                "",
                None,
                None,
            ),
        ] {
            let tables = Statement::parse(query, Syntax::Postgres).unwrap().tables;
            let shown = |one: &super::Joined| format!("{} {}", one.table, one.alias);
            let all: Vec<String> = tables.joined.iter().map(shown).collect();
            assert_eq!(all.join(", "), joined, "{query}");
            assert_eq!(
                tables.stamped.as_ref().map(shown).as_deref(),
                stamped,
                "{query}"
            );
            let id = tables.of_id.as_ref();
            let id = id.map(|(table, column)| format!("{} {column}", shown(table)));
            assert_eq!(id.as_deref(), of_id, "{query}");
        }
    }

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
                "SELECT a.id AS record_id FROM a LEFT JOIN (WITH RECURSIVE chain (x, y) AS (SELECT \
                 x, y FROM merged UNION SELECT c.x, m.y FROM chain AS c JOIN merged AS m ON m.x = \
                 c.y) SELECT x, y FROM chain) AS m ON m.x = a.id",
                "a merged",
                None,
            ),
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

//! The administrator's SELECT: cut into tokens far enough to know that it is one statement that can
//! be wrapped.

mod keys;
mod scanner;
mod syntax;
mod tables;

use scanner::{Token, TokenKind};

pub(crate) use keys::AroundId;
pub(crate) use syntax::Syntax;
pub(crate) use tables::{Joined, Tables};

/// Longest query accepted, in bytes.
const MAX_QUERY_BYTES: usize = 64 * 1024;

/// Placeholder of a change query.
const SINCE: &str = ":since";

/// Words that cannot be the name a server complains about.
const KEYWORDS: [&str; 30] = [
    "select", "from", "as", "where", "join", "left", "on", "and", "or", "not", "is", "null",
    "case", "when", "then", "else", "end", "in", "with", "union", "all", "order", "by", "group",
    "having", "limit", "column", "table", "relation", "function",
];

/// Words of a query that makes rows of several others, or cuts a list of them off.
const MERGING: [&str; 8] = [
    "distinct",
    "group",
    "union",
    "intersect",
    "except",
    "over",
    "limit",
    "fetch",
];

/// A query that may be wrapped in parentheses.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// From its first word to its last, without a closing semicolon.
    pub text: String,
    /// The same rows with `record_id` and, where it has one, `changed_at` alone, where the query is
    /// plain enough.
    pub keys: Option<String>,
    /// The query cut around its columns, where it is plain enough.
    pub around_id: Option<AroundId>,
    /// The names in it, lower case: the only words of a server's message that are ever shown.
    identifiers: Vec<String>,
    /// True where it selects columns it does not name (`*`), so that they may come and go with the
    /// tables.
    pub selects_all: bool,
    /// True where it makes rows of several others, so that no index can give them in an order.
    pub merges_rows: bool,
    /// Tables that it names.
    pub tables: Tables,
}

impl Statement {
    /// Takes a query apart; the error says what is wrong with it.
    pub(crate) fn parse(query: &str, syntax: Syntax) -> Result<Self, String> {
        Self::parse_without(query, syntax, |name| {
            if name.eq_ignore_ascii_case(SINCE) {
                format!(
                    "the query holds {SINCE}, which has a meaning in the queries under `changes` \
                     alone; leave it out, since the gateway adds what limits a page"
                )
            } else {
                scanner::placeholder(name)
            }
        })
    }

    /// Takes a query apart in which no name stands behind a colon; `named` says what is wrong with
    /// one.
    fn parse_without(
        query: &str,
        syntax: Syntax,
        named: impl Fn(&str) -> String,
    ) -> Result<Self, String> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(format!("the query is longer than {MAX_QUERY_BYTES} bytes"));
        }
        let mut tokens = scanner::tokens(query, syntax.rules())?;
        let is_semicolon = |token: &Token| token.kind == TokenKind::Symbol(';');
        while tokens.last().is_some_and(is_semicolon) {
            tokens.pop();
        }
        check_shape(&tokens)?;
        if let Some(token) = placeholders(&tokens).next() {
            return Err(named(&query[token.at.clone()]));
        }
        let start = tokens[0].at.start;
        let end = tokens[tokens.len() - 1].at.end;
        let is_name = |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
        let name = |token: &Token| {
            query[token.at.clone()]
                .trim_matches(['"', '`', '[', ']'])
                .to_lowercase()
        };
        let identifiers = tokens
            .iter()
            .filter(is_name)
            .map(name)
            .filter(|name| !KEYWORDS.contains(&name.as_str()))
            .collect();
        let selects_all = (0..tokens.len()).any(|index| is_all_columns(&tokens, index));
        let around_id = keys::around_id(query, &tokens);
        Ok(Self {
            keys: around_id
                .as_ref()
                .and_then(|around| keys::only_keys(query, &tokens, around)),
            around_id,
            tables: tables::find(query, &tokens),
            text: query[start..end].to_owned(),
            identifiers,
            selects_all,
            merges_rows: merges_rows(&tokens),
        })
    }

    /// Takes a change query apart. A `:since` in it stands for the beginning of all time: what was
    /// read before is left out around the query.
    pub(crate) fn parse_change(query: &str, syntax: Syntax) -> Result<Self, String> {
        let text = without_since(query, syntax)?;
        Self::parse_without(&text, syntax, |name| {
            format!(
                "the query holds a placeholder ({name}); the only one that it may hold is {SINCE}"
            )
        })
    }

    /// The first word of a server's message that is a name in this query; of `table.column` the
    /// column.
    pub(crate) fn name_in<'m>(&self, message: &'m str) -> Option<&'m str> {
        message
            .split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '.')))
            .find_map(|dotted| {
                dotted.rsplit('.').find(|word| {
                    !word.is_empty() && self.identifiers.contains(&word.to_lowercase())
                })
            })
    }
}

/// The query with a literal in place of each `:since`.
fn without_since(query: &str, syntax: Syntax) -> Result<String, String> {
    let tokens = scanner::tokens(query, syntax.rules())?;
    let mut text = String::new();
    let mut end = 0;
    for token in placeholders(&tokens).filter(|token| query[token.at.clone()] == *SINCE) {
        text.push_str(&query[end..token.at.start]);
        text.push_str(syntax.before_all());
        end = token.at.end;
    }
    text.push_str(&query[end..]);
    Ok(text)
}

/// Names behind colons, but for those in brackets.
fn placeholders(tokens: &[Token]) -> impl Iterator<Item = &Token> {
    let mut depth = 0_i32;
    tokens.iter().filter(move |token| {
        match token.kind {
            TokenKind::Symbol('[') => depth += 1,
            TokenKind::Symbol(']') => depth -= 1,
            _ => {}
        }
        depth == 0 && token.kind == TokenKind::Named
    })
}

/// True where the query itself, outside of parentheses, makes rows of several others.
fn merges_rows(tokens: &[Token]) -> bool {
    let mut depth = 0_i32;
    tokens.iter().any(|token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth -= 1,
            _ => {}
        }
        depth == 0 && MERGING.contains(&token.word.as_str())
    })
}

/// True for a `*` that stands for columns: neither between two operands nor that of `count(*)`.
/// Words that may stand before it (SQL_NO_CACHE, STRAIGHT_JOIN) are too many to list.
fn is_all_columns(tokens: &[Token], index: usize) -> bool {
    let Some(before) = index
        .checked_sub(1)
        .filter(|_| tokens[index].kind == TokenKind::Symbol('*'))
        .map(|before| &tokens[before])
    else {
        return false;
    };
    let ends_operand = match before.kind {
        TokenKind::Symbol('(') => return false,
        TokenKind::Symbol(symbol) => matches!(symbol, ')' | ']'),
        TokenKind::Word => !matches!(before.word.as_str(), "select" | "distinct" | "all"),
        TokenKind::Quoted | TokenKind::Literal | TokenKind::Named => true,
    };
    let begins_operand = match tokens.get(index + 1) {
        None => false,
        Some(next) if matches!(next.kind, TokenKind::Symbol(',' | ')')) => false,
        Some(next) => next.word != "from",
    };
    !(ends_operand && begins_operand)
}

/// Refuses what is not one SELECT that can be wrapped in parentheses.
fn check_shape(tokens: &[Token]) -> Result<(), String> {
    let word = |index: usize| tokens.get(index).map_or("", |token| token.word.as_str());
    if !matches!(word(0), "select" | "with") {
        return Err("the query is not a SELECT".into());
    }
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol(';') => {
                return Err("the query holds more than one statement".into());
            }
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth -= 1,
            _ => {}
        }
        match (token.word.as_str(), word(index + 1)) {
            ("into", _) => return Err("the query writes somewhere: INTO".into()),
            ("for", "update" | "share" | "no" | "key") | ("lock", "in") => {
                return Err("the query locks rows: FOR UPDATE, FOR SHARE".into());
            }
            ("procedure", "analyse") => return Err("the query calls a procedure".into()),
            _ => {}
        }
        if depth < 0 {
            return Err("the query closes a parenthesis it did not open".into());
        }
    }
    if depth > 0 {
        Err("the query leaves a parenthesis open".into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, syntax: Syntax) -> Result<String, String> {
        Statement::parse(query, syntax).map(|statement| statement.text)
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn semicolons_and_comments_around_a_query_are_dropped_and_those_inside_strings_are_not() {
        for (query, expected) in [
            (" -- прививки\n SELECT 1 ; -- end", "SELECT 1"),
            ("/* a /* b */ c */ select ';)' ; ;", "select ';)'"),
            (
                "SELECT $t$ ); ' $t$, E'\\'; ', \"a;\"\"b\" FROM t -- x",
                "SELECT $t$ ); ' $t$, E'\\'; ', \"a;\"\"b\" FROM t",
            ),
            (
                "WITH a AS (SELECT 1) SELECT * FROM a",
                "WITH a AS (SELECT 1) SELECT * FROM a",
            ),
            (
                "SELECT a::text, b ? 'c' FROM t",
                "SELECT a::text, b ? 'c' FROM t",
            ),
        ] {
            assert_eq!(parse(query, Syntax::Postgres).as_deref(), Ok(expected));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn what_is_not_one_select_is_refused_with_a_reason() {
        for (query, reason) in [
            ("", "not a SELECT"),
            ("DELETE FROM t", "not a SELECT"),
            ("(SELECT 1)", "not a SELECT"),
            ("SELECT 1; SELECT 2", "more than one"),
            ("SELECT 1; DROP TABLE t; --", "more than one"),
            ("SELECT 1) AS q; DELETE FROM t WHERE (true", "did not open"),
            ("SELECT 1 FROM t) AS q, (SELECT 2", "did not open"),
            ("SELECT (1", "parenthesis open"),
            ("SELECT 'a", "quotation mark open"),
            ("SELECT 1 /* ", "comment open"),
            ("SELECT 1 /* /* */", "comment open"),
            ("SELECT $$ a", "dollar"),
            ("SELECT * INTO copy FROM t", "INTO"),
            ("SELECT * FROM t FOR UPDATE", "locks"),
            ("SELECT * FROM t WHERE a > $1", "placeholder"),
        ] {
            let error = parse(query, Syntax::Postgres).unwrap_err();
            assert!(error.contains(reason), "{query}: {error}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn mysql_has_its_own_comments_quotes_and_traps() {
        assert_eq!(
            parse("SELECT 5--1 # five\n;", Syntax::MySql).as_deref(),
            Ok("SELECT 5--1")
        );
        assert_eq!(
            parse(r"SELECT 'it\'s; (', `a``;b`", Syntax::MySql).as_deref(),
            Ok(r"SELECT 'it\'s; (', `a``;b`")
        );
        for query in [
            "SELECT 1 /*! INTO OUTFILE 'x' */",
            "SELECT ?",
            "SELECT 1 INTO OUTFILE '/x'",
            "SELECT 1 LOCK IN SHARE MODE",
        ] {
            assert!(parse(query, Syntax::MySql).is_err(), "{query}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn a_star_that_is_no_multiplication_selects_all() {
        for (query, all) in [
            ("SELECT * FROM t", true),
            ("SELECT SQL_NO_CACHE * FROM t", true),
            ("SELECT STRAIGHT_JOIN * FROM t", true),
            ("SELECT SQL_NO_CACHE *, 1 AS a FROM t", true),
            ("SELECT a, t.* FROM t", true),
            ("SELECT a FROM (SELECT DISTINCT *FROM t) AS q", true),
            ("SELECT a * 2, (a) * -b, 2*`from` FROM t", false),
            ("SELECT count(*) FROM t", false),
        ] {
            let statement = Statement::parse(query, Syntax::MySql).unwrap();
            assert_eq!(statement.selects_all, all, "{query}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn only_the_query_itself_is_said_to_merge_rows() {
        for (query, merges) in [
            ("SELECT a FROM t", false),
            ("SELECT DISTINCT a FROM t", true),
            ("SELECT max(a) FROM t GROUP BY b", true),
            ("SELECT a FROM t UNION ALL SELECT a FROM u", true),
            ("SELECT a, row_number() OVER (ORDER BY a) FROM t", true),
            ("SELECT a FROM t ORDER BY a LIMIT 5", true),
            (
                "SELECT (SELECT max(b) FROM u GROUP BY c LIMIT 1) AS a FROM t",
                false,
            ),
            ("SELECT 'group' AS a, \"limit\" FROM t", false),
        ] {
            let statement = Statement::parse(query, Syntax::Sqlite).unwrap();
            assert_eq!(statement.merges_rows, merges, "{query}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn only_names_of_the_query_are_taken_from_a_servers_message() {
        let statement = Statement::parse(
            "SELECT [вид], \"Дата\" FROM t WHERE x = 'secret'",
            Syntax::Sqlite,
        )
        .unwrap();
        assert_eq!(statement.name_in("no such column: t.дата"), Some("дата"));
        assert_eq!(statement.name_in("no such column: Дата"), Some("Дата"));
        assert_eq!(statement.name_in("value 'secret' of 11223344595"), None);
        assert!(parse("SELECT :a", Syntax::Sqlite).is_err());
    }

    #[cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    #[test]
    fn the_placeholder_of_change_queries_is_known_there_alone() {
        for syntax in [Syntax::Postgres, Syntax::MySql, Syntax::Sqlite] {
            let change = |query: &str| Statement::parse_change(query, syntax).map(|one| one.text);
            for query in ["SELECT a FROM t WHERE b > :since", "SELECT :SINCE FROM t"] {
                let error = parse(query, syntax).unwrap_err();
                assert!(
                    error.contains(
                        ":since, which has a meaning in the queries under `changes` alone"
                    ),
                    "{error}"
                );
            }
            let error = parse("SELECT a FROM t WHERE b > :c", syntax).unwrap_err();
            assert!(error.contains("placeholder (:c); it takes no"), "{error}");
            for misspelt in [":sinse", ":Since", ":since_", ":s"] {
                let error = change(&format!("SELECT a FROM t WHERE b > {misspelt}")).unwrap_err();
                assert!(
                    error.contains(&format!(
                        "({misspelt}); the only one that it may hold is :since"
                    )),
                    "{error}"
                );
            }
            let literal = syntax.before_all();
            assert_eq!(
                change("SELECT ':since', a /* :since */ FROM t WHERE b>:since AND c >:since;"),
                Ok(format!(
                    "SELECT ':since', a /* :since */ FROM t WHERE b>{literal} AND c >{literal}"
                )),
                "text and comments stay as they are"
            );
        }
        let slices = "SELECT a::text, b[1:n], c[:since] FROM t WHERE d::date > '2021-07-01'";
        assert_eq!(parse(slices, Syntax::Postgres).as_deref(), Ok(slices));
        let assigned = "SELECT @n := 5 FROM t";
        assert_eq!(parse(assigned, Syntax::MySql).as_deref(), Ok(assigned));
    }
}
